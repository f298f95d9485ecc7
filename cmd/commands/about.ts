/** What surrounds the program: completions, the manual page, the version. */
import { RELEASES } from "../../lib/vfio/release.ts";
import { buildInfo, VERSION } from "../build_info.ts";
import { completionScript, SHELLS } from "../completion/scripts.ts";
import { manualPage } from "../help/manual.ts";
import { argument, defineCommand } from "../language/command.ts";
import { choice } from "../language/kinds.ts";
import { helpText } from "../help/help.ts";
import { showManual } from "../output/pager.ts";
import { manualPager } from "../run/environment.ts";

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
  async run({ terminal, json, commands }) {
    const text = manualPage((await commands.all()).values());
    const plain = async () => {
      const families = [...new Set(commands.facts.map(({ name }) => name.split(" ")[0]!))];
      const parts = [undefined, ...families].map((name) => helpText(name, terminal, commands));
      return (await Promise.all(parts)).join("\n");
    };
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
