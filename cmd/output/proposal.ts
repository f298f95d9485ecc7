/**
 * Commands that messages propose. A message says `"ism bind"`, wherever it comes from; what is shown is the command that
 * works for this user: on the host and the function that the command line named.
 */
import type { Failure } from "./failure.ts";
import { escapeText } from "../language/quote.ts";

/** What a command line named. */
export interface Named {
  readonly host: string | undefined;
  readonly device: string | undefined;
}

/** Commands that use no host. */
const HOSTLESS: ReadonlySet<string> = new Set(["help", "version", "man", "completions"]);
/** Commands that act on no function, or on all. */
const DEVICELESS: ReadonlySet<string> = new Set([...HOSTLESS, "list", "host", "run", "shell"]);
/** A command in a sentence: what follows the program's name, up to the quote. */
const COMMAND = /"ism ([a-z]+)([^"\n]*)"/g;

/** A text with every command in it as this user has to type it. */
export function propose(text: string, { host, device }: Named): string {
  return text.replaceAll(COMMAND, (whole: string, name: string, rest: string) => {
    const options = [
      ...(host === undefined || HOSTLESS.has(name) ? [] : [`--host ${shellWord(host)}`]),
      ...(device === undefined || DEVICELESS.has(name) || / -d /.test(rest)
        ? []
        : [`-d ${shellWord(device)}`]),
    ];
    return options.length === 0 ? whole : `"ism ${options.join(" ")} ${name}${rest}"`;
  });
}

/** The failure with its proposals as this user has to type them. */
export function proposeIn(failure: Failure, named: Named): Failure {
  const { message, hint } = failure;
  return {
    ...failure,
    message: propose(message, named),
    hint: hint === undefined ? undefined : propose(hint, named),
  };
}

/** A word as a shell takes it for this one, whatever is in it. */
export function shellWord(text: string): string {
  if (/^[\w./:=@%+,-]+$/.test(text)) return text;
  if (escapeText(text) === text) return `'${text.replaceAll("'", "'\\''")}'`;
  // What could not be shown on a terminal as it is.
  const characters = [...text].map((character) => {
    if (character === "'" || character === "\\") return `\\${character}`;
    if (escapeText(character) === character) return character;
    const code = character.codePointAt(0)!;
    if (code < 0x80) return `\\x${code.toString(16).padStart(2, "0")}`;
    return code > 0xffff
      ? `\\U${code.toString(16).padStart(8, "0")}`
      : `\\u${code.toString(16).padStart(4, "0")}`;
  });
  return `$'${characters.join("")}'`;
}
