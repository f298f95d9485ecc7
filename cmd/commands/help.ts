import { defineCommand, optional } from "../language/command.ts";
import { helpText, isCommandWord } from "../help/help.ts";
import { describeCommand, describeGlobals } from "../help/table.ts";
import { TOPIC_NAMES } from "../language/topics.ts";
import { text } from "../language/kinds.ts";
import { loadRules } from "../reference/load.ts";
import type { Rule } from "../reference/parse.ts";
import { renderRule, renderRules } from "../reference/render.ts";

/** Help on commands, a rule, or rules; a rule's own text is Markdown. */
type Help =
  | { readonly text: string; readonly commands?: readonly unknown[]; readonly options?: readonly unknown[] }
  | Rule
  | { readonly rules: readonly Rule[] };

export const help = defineCommand({
  name: "help",
  group: "help",
  summary: "Tell what there is, or all about one command",
  details: `"help all" lists every command and option. One word may name a family, as dmb does, or a topic: ${
    TOPIC_NAMES.filter((name) => name !== "all").join(", ")
  }. A
rule of the reference is named by three words, vfio.setirqs.err; the beginning of a name, such as vfio.setirqs or recovery,
lists the rules below it, "reference" all of them. Refusals name their rule.`,
  args: {
    command: optional(text("COMMAND", "topic"), "the command, the topic, or the rule"),
    subcommand: optional(text("SUBCOMMAND", "subcommand"), "its second word"),
  },
  options: {},
  access: "none",
  examples: [
    "help",
    "help all",
    "help stb",
    "help exit-codes",
    "help --json",
    "help vfio.write.boundary",
    "help vfio.setirqs",
  ],
  async run({ terminal, commands, json }, { command, subcommand }): Promise<Help> {
    if (
      command !== undefined && command !== "ism" && subcommand === undefined &&
      !isCommandWord(command, commands)
    ) {
      const rules = await loadRules(command);
      if (rules.length > 0) return rules.length === 1 ? { ...rules[0]! } : { rules };
    }
    const name = subcommand === undefined ? command : `${command} ${subcommand}`;
    const text = await helpText(name, terminal, commands);
    if (!json) return { text };
    const all = [...(await commands.all()).values()];
    const named = all.filter((each) => each.name === name || each.name.startsWith(`${name} `));
    const shown = name === undefined || name === "ism" || name === "all" ? all : named;
    return { text, commands: shown.map(describeCommand), options: describeGlobals() };
  },
  text(result: Help, { terminal }) {
    if ("rules" in result) return renderRules(result.rules, terminal);
    return "rule" in result ? renderRule(result, terminal) : result.text;
  },
});
