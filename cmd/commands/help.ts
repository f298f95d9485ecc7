import { defineCommand, optional } from "../command.ts";
import { helpText, VERSION } from "../help.ts";
import { text } from "../kinds.ts";

export const help = defineCommand({
  name: "help",
  group: "help",
  summary: "Tell what there is, or all about one command",
  args: {
    command: optional(text("COMMAND", "command"), "the command"),
    subcommand: optional(text("SUBCOMMAND", "subcommand"), "its second word"),
  },
  options: {},
  access: "none",
  examples: ["help", "help stb"],
  run({ terminal }, { command, subcommand }) {
    const name = subcommand === undefined ? command : `${command} ${subcommand}`;
    return { text: helpText(name, terminal) };
  },
  text: ({ text }) => text,
});

export const version = defineCommand({
  name: "version",
  group: "help",
  summary: "Print the version",
  args: {},
  options: {},
  access: "none",
  examples: ["version"],
  run: () => ({
    version: VERSION,
    deno: Deno.version.deno,
    v8: Deno.version.v8,
    typescript: Deno.version.typescript,
  }),
  text: ({ version, deno }) => `ism ${version} (Deno ${deno})`,
});
