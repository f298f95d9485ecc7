/**
 * How much a user may ask for at once. What is larger ends in a sentence and not in a process without memory;
 * docs/limits.md lists these with the limits of the simulated machine.
 */
import { UsageError } from "./usage_error.ts";

const MIB = 1024 ** 2;

/** Bytes that one DATA word may stand for. */
export const MAX_DATA_BYTES = 256 * MIB;
/** Bytes that one command shows: in text and in JSON they take several times that. */
export const MAX_SHOWN_BYTES = 4 * MIB;
/** Characters of a line, continuations included; UTF-16 units. */
export const MAX_LINE_LENGTH = MIB;
/** Bytes of a script. */
export const MAX_SCRIPT_BYTES = 64 * MIB;
/** Lines of a script, blank ones included. */
export const MAX_TEXT_LINES = 1_000_000;
/** Command lines of a script. */
export const MAX_SCRIPT_LINES = 200_000;
/** Words of a script, all lines together. */
export const MAX_SCRIPT_WORDS = 2_000_000;
/** Files that `source` takes in within each other, the first one included. */
export const MAX_SOURCES = 16;
/** Scripts that run at a time. */
export const MAX_JOBS = 64;
/** Mistakes of a script that are told. */
export const MAX_MISTAKES = 100;
/** Commands that stand before another one on its line: `expect`, `let`, `repeat`, `explain`. */
export const MAX_PREFIXES = 16;
/** Runs of a command behind `repeat`, all that stand before it multiplied. */
export const MAX_REPEATS = 1_000_000;
/** Events of one trace. */
export const MAX_TRACE_EVENTS = 1_000_000;
/** Faults of a host. */
export const MAX_FAULTS = 1000;
/** Bytes of a JSON document that is read: topology or exported host. */
export const MAX_DOCUMENT_BYTES = 384 * MIB;

/** A size in words: `16 MiB`. */
export function mebibytes(bytes: number): string {
  return `${bytes / MIB} MiB`;
}

/** Checks bytes that a command is going to show. @throws {UsageError} over {@linkcode MAX_SHOWN_BYTES} */
export function checkShown(length: number | bigint, what: string): void {
  if (length <= MAX_SHOWN_BYTES) return;
  throw new UsageError(
    `${what}: ${length} bytes are too many; at most ${mebibytes(MAX_SHOWN_BYTES)} are shown at once`,
    { hint: "read a part at a time" },
  );
}
