import { RELEASES } from "../../lib/vfio/release.ts";
import { buildInfo } from "../build_info.ts";
import { argument, defineCommand, optional } from "../language/command.ts";
import { completionScript, SHELLS } from "../completion/scripts.ts";
import { familyNames, helpText, isCommandWord, VERSION } from "../help/help.ts";
import { choice, text } from "../language/kinds.ts";
import { manualPage } from "../help/manual.ts";
import { showManual } from "../output/pager.ts";
import { manualPager } from "../run/environment.ts";
import { loadRules } from "../reference/load.ts";
import type { Rule } from "../reference/parse.ts";
import { renderRule, renderRules } from "../reference/render.ts";

/** Help on commands, a rule, or rules; a rule's own text is Markdown. */
type Help = { readonly text: string } | Rule | { readonly rules: readonly Rule[] };

export const help = defineCommand({
  name: "help",
  group: "help",
  summary: "Tell what there is, or all about one command",
  details:
    `One word may name a family, as dmb does, or what words of a kind look like: numbers, times, data, region. A
rule of the reference is named by three words, vfio.setirqs.err; the beginning of a name, such as vfio.setirqs or recovery,
lists the rules below it, "reference" all of them. Refusals name their rule with -v.`,
  args: {
    command: optional(text("COMMAND", "topic"), "the command, or the rule"),
    subcommand: optional(text("SUBCOMMAND", "subcommand"), "its second word"),
  },
  options: {},
  access: "none",
  examples: ["help", "help stb", "help vfio.write.boundary", "help vfio.setirqs"],
  async run({ terminal }, { command, subcommand }): Promise<Help> {
    if (command !== undefined && command !== "ism" && subcommand === undefined && !isCommandWord(command)) {
      const rules = await loadRules(command);
      if (rules.length > 0) return rules.length === 1 ? { ...rules[0]! } : { rules };
    }
    const name = subcommand === undefined ? command : `${command} ${subcommand}`;
    return { text: helpText(name, terminal) };
  },
  text(result: Help, { terminal }) {
    if ("rules" in result) return renderRules(result.rules, terminal);
    return "rule" in result ? renderRule(result, terminal) : result.text;
  },
});

export const completions = defineCommand({
  name: "completions",
  group: "help",
  summary: "Print the script that completes command lines of ism in bash, zsh or fish",
  details: `The script is read by the shell: source <(ism completions bash) in bash,
source <(ism completions zsh) behind compinit in zsh, ism completions fish | source in fish. At each TAB it asks the
program what can stand there.`,
  args: { shell: argument(choice("SHELL", SHELLS), "bash, zsh or fish") },
  options: {},
  access: "none",
  examples: ["completions bash", "completions fish"],
  run: (_, { shell }) => ({ shell, text: completionScript(shell) }),
  text: ({ text }) => text,
});

export const man = defineCommand({
  name: "man",
  group: "help",
  summary: "Show the manual page",
  details:
    `On a terminal man(1) shows it, or MANPAGER, PAGER, less or more where there is no man. Elsewhere it comes in
roff; to install it: ism man >~/.local/share/man/man1/ism.1`,
  args: {},
  options: {},
  access: "none",
  examples: ["man"],
  async run({ terminal, json }) {
    const text = manualPage();
    const plain = () =>
      [helpText(undefined, terminal), ...familyNames().map((name) => helpText(name, terminal))].join("\n");
    const paged = terminal.outIsTerminal && !json && await showManual(text, plain, manualPager());
    // What was shown needs no printing.
    return { text: paged ? "" : text };
  },
  text: ({ text }) => text,
});

export const version = defineCommand({
  name: "version",
  group: "help",
  summary: "Print the version, what it was made from, and what it runs on",
  args: {},
  options: {},
  access: "none",
  examples: ["version"],
  run: () => ({
    version: VERSION,
    ...buildInfo(),
    target: Deno.build.target,
    deno: Deno.version.deno,
    v8: Deno.version.v8,
    typescript: Deno.version.typescript,
    kernel_releases: RELEASES,
  }),
  text: ({ version, form, commit, target, deno }) =>
    `ism ${version} (${form}${
      commit === null ? "" : `, commit ${commit.slice(0, 12)}`
    }, ${target}, Deno ${deno})`,
});
