/** Answers to the completion scripts of bash, zsh and fish. */
import { HostStore } from "../../lib/host/file/store.ts";
import type { AnyCommand } from "../language/command.ts";
import { escapeText } from "../language/quote.ts";
import { type Candidate, completeLine } from "./engine.ts";
import { deviceWords, filesIn } from "./world.ts";

/** Surroundings of a call that a script makes. */
export interface ExternalWorld {
  /** The host file that is used where the line names none. */
  readonly hostPath: string;
  /** What \`~\` stands for. */
  readonly home: string | undefined;
}

/**
 * Answers a call of a script.
 *
 * @param line the command line up to the cursor, the program's own name first
 * @returns one candidate a line: for fish the word, a tab and what it is; for the others the word with the shell's
 * quotes, a tab, `whole` or `open`, a tab, and what it is
 */
export function externalCompletions(
  shell: string,
  line: string,
  table: ReadonlyMap<string, AnyCommand>,
  { hostPath, home }: ExternalWorld,
): string {
  const rules = { table, inScript: false, skip: 1 };
  const { candidates } = completeLine(line, rules, {
    // A dollar sign is a variable of that shell.
    variables: () => [],
    devices: (host) => devicesOf(host ?? hostPath),
    files: (directory) =>
      filesIn(home !== undefined && directory.startsWith("~/") ? home + directory.slice(1) : directory),
  });
  return candidates.map((each) => (shell === "fish" ? fishLine : quotedLine)(each) + "\n").join("");
}

function fishLine({ word, help }: Candidate): string {
  return `${word}\t${escapeText(help)}`;
}

function quotedLine({ word, help, whole }: Candidate): string {
  const quoted = word.replaceAll(/[^\p{L}\p{N}_@%+=:,./~-]/gu, "\\$&");
  return `${quoted}\t${whole ? "whole" : "open"}\t${escapeText(help)}`;
}

/** Nothing is created by looking for words, and whatever is wrong with the file, the command itself will tell. */
function devicesOf(path: string): ReturnType<typeof deviceWords> {
  try {
    if (!Deno.statSync(path).isFile) return [];
    using store = HostStore.open(path);
    const words = deviceWords(store.begin("read"));
    store.rollback();
    return words;
  } catch {
    return [];
  }
}
