/** `--watch [SECONDS]`: a command that looks is run again and again. */
import type { Kind, Parameter } from "./command.ts";
import { DURATION } from "./kinds.ts";
import { isDynamic, literalWord, type OptionSpecs } from "./options.ts";
import { UsageError } from "./usage_error.ts";
import type { Word } from "./words.ts";

/** The shortest pause, as watch(1) has it. Seconds. */
const SHORTEST = 0.1;
/** The pause where nobody says one. Seconds. */
const USUAL = "2";

const PAUSE: Kind<number> = {
  placeholder: "SECONDS",
  parse(text, what) {
    const seconds = DURATION.parse(text, what);
    if (seconds >= SHORTEST) return seconds;
    throw new UsageError(`${what}: the shortest pause is ${SHORTEST} seconds`, { token: text });
  },
};

/** The option of commands that can be watched. */
export const WATCH: { readonly watch: Parameter<number | undefined> } = {
  watch: {
    kind: PAUSE,
    help: `again and again, every ${USUAL} seconds by default, until q or Ctrl-C`,
    optional: true,
    value: undefined,
    implied: USUAL,
  },
};

/** Values of a command's options that may be left out, by key. */
export function impliedValues(options: OptionSpecs): Readonly<Record<string, string>> {
  return Object.fromEntries(
    Object.entries(options).flatMap(([key, spec]) =>
      "implied" in spec && spec.implied !== undefined ? [[key, spec.implied]] : []
    ),
  );
}

/** The words of a line in which a number behind `--watch` is its value. */
export function joinWatch(words: readonly Word[], options: OptionSpecs): readonly Word[] {
  if (!("watch" in options)) return words;
  const at = words.findIndex(({ text, quoted }) => !quoted && text === "--watch");
  const next = words[at + 1];
  if (at < 0 || next === undefined || isDynamic(next) || !/^[.0-9]/.test(next.text)) return words;
  return words.toSpliced(at, 2, literalWord(`--watch=${next.text}`, words[at]!.column));
}

/** Refuses to watch where a line is one of several. @throws {UsageError} */
export function refuseWatch(given: ReadonlyMap<string, unknown>, isAlone: boolean): void {
  if (isAlone || !given.has("watch")) return;
  throw new UsageError(
    "--watch is for a command line of its own, and not for a line of a script or the shell, or behind another command",
    { token: "--watch" },
  );
}
