/** The first page of help: it fits a screen, and loads no command. */
import { type CommandFacts, type Group, GROUPS } from "../language/command.ts";
import type { Terminal } from "../language/terminal.ts";
import { TOPIC_NAMES } from "../language/topics.ts";
import { definitions, WIDEST, wrap } from "../output/wrap.ts";

/** What the program is, and what it does. */
export const PROGRAM = {
  what: "a mainframe in a terminal for people who write user-space drivers",
  does: "It simulates an s390 host with Internal Shared Memory (ISM) functions behind VFIO (ism_vfio_pci).",
} as const;

/** What one begins with, in a few words each. */
const FIRST: readonly (readonly [name: string, what: string])[] = [
  ["list", "the functions of the host"],
  ["info", "regions, interrupts, limits"],
  ["status", "what is open and registered"],
  ["peek", "read bytes of a region"],
  ["stb", "store a block: one PCISTB"],
  ["send", "a file to the other guest"],
  ["exec", "run your own driver"],
  ["run", "run a script"],
  ["shell", "lines one at a time"],
  ["explain", "what a command would do"],
];
/** The widest of two columns of {@linkcode FIRST}. */
const HALF = 38;

/** Groups in a word or two. */
const SHORT_TITLES: Readonly<Record<Group, string>> = {
  look: "look",
  access: "access",
  ism: "ISM",
  exec: "driver",
  host: "host",
  sys: "calls",
  script: "scripts",
  help: "help",
};

/** What the program is, and how its command lines begin. */
export function introduction(columns: number): string {
  const about = wrap(`ism: ${PROGRAM.what}. ${PROGRAM.does}`, Math.min(columns, WIDEST));
  return `${about.join("\n")}\n\nUsage: ism [OPTIONS] COMMAND [ARGS]\n`;
}

function firstCommands(columns: number): string {
  if (columns < 2 * HALF) return definitions(FIRST, columns);
  const width = Math.max(...FIRST.map(([name]) => name.length));
  const cells = FIRST.map(([name, what]) => `  ${name.padEnd(width)}  ${what}`);
  const half = cells.length / 2;
  return cells.slice(0, half).map((cell, i) => `${cell.padEnd(HALF)}${cells[half + i]}\n`).join("");
}

/** First words of commands, by group: families once. */
function groupRows(facts: readonly CommandFacts[]): (readonly [title: string, words: string])[] {
  const seen = new Set<string>();
  return GROUPS.map((group) => {
    const words: string[] = [];
    for (const { name, group: own } of facts) {
      const word = name.split(" ")[0]!;
      if (own !== group || seen.has(word)) continue;
      seen.add(word);
      words.push(word);
    }
    return [SHORT_TITLES[group], words.join(" ")] as const;
  }).filter(([, words]) => words !== "");
}

/** The first page. @param facts all commands, in the order of help */
export function overview({ style, columns }: Terminal, facts: readonly CommandFacts[]): string {
  const about = wrap(`ism: ${PROGRAM.what}`, Math.min(columns, WIDEST)).join("\n");
  const more = "More: ism help COMMAND, ism help TOPIC, ism help all, ism help reference";
  const topics = `Topics: ${TOPIC_NAMES.filter((name) => name !== "all").join(" ")}`;
  return `${about}\nUsage: ism [OPTIONS] COMMAND [ARGS]\n\n${style.bold("Begin with")}\n${
    firstCommands(columns)
  }\n` +
    `${style.bold("All commands")}\n${definitions(groupRows(facts), columns)}\n` +
    [topics, more].flatMap((line) => wrap(line, Math.min(columns, WIDEST))).join("\n") + "\n";
}
