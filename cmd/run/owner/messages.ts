/**
 * What processes say to the one that has a host file for itself, and its answers: files in its folder, each of which
 * gets its name when it is whole. Sockets would need the permission for the network, or foreign functions, which
 * commands do without.
 */
import type { Stream } from "../../output/held.ts";
import type { Failure } from "../../output/failure.ts";
import type { Collected } from "../../output/trace/collector.ts";
import { WORD } from "../../language/assign.ts";
import type { KnownCommands } from "../../language/command.ts";
import { parseArithmetic } from "../../language/arithmetic.ts";
import { type GivenWords, type Globals, Invocation } from "../../language/invocation.ts";
import type { Word } from "../../language/words.ts";
import type { Outcome } from "../lines/outcome.ts";

/** A line as plain data. */
export interface PackedLine {
  readonly command: string;
  readonly words: ReadonlyMap<string, readonly Word[]>;
  readonly globals: ReadonlyMap<string, readonly Word[]>;
  readonly inner: PackedLine | undefined;
}

/** A line to run on the host. */
export interface LineQuestion {
  readonly kind: "line";
  /** It waits for what may never come. */
  readonly waits: boolean;
  readonly line: PackedLine;
  readonly globals: Globals;
  readonly device: string | undefined;
  readonly variables: ReadonlyMap<string, string>;
  /** What the line reads from standard input; undefined if it reads nothing. */
  readonly stdin: Uint8Array | undefined;
}

/** A program whose calls are to be answered until its last process has ended. */
export interface ProgramQuestion {
  readonly kind: "program";
  /** The process that has started it, and its descriptor of the listener. */
  readonly pid: number;
  readonly listener: number;
  /** Its descriptor of the memory where the call lies that was taken last. */
  readonly held: number;
  /** The function whose guest it sees. */
  readonly device: string;
  readonly countsLocked: boolean;
  /** First and last number, exclusive, that mean simulated files. */
  readonly range: { readonly first: number; readonly end: number };
  /** It is asked what the program did that only luck makes work. */
  readonly audit: boolean;
  readonly globals: Globals;
}

/** Anything that is asked. */
export type Question = LineQuestion | ProgramQuestion;

/** A piece of output. */
export type Piece = readonly [stream: Stream, bytes: Uint8Array];

/** The answer. */
export interface Answer {
  /** What it came to; undefined if it failed. */
  readonly outcome: Outcome | undefined;
  readonly failure: Failure | undefined;
  readonly pieces: readonly Piece[];
  readonly variables: ReadonlyMap<string, string>;
  readonly trace: Collected | undefined;
}

/** Endings of names: a question, the wish that it be given up, its answer, and what is told meanwhile. */
export const ENDINGS = {
  question: ".question",
  end: ".end",
  answer: ".answer",
  told: ".told",
} as const;

/** A line whose words can be told. */
export interface Line extends Pick<Invocation, "command" | "words" | "globals"> {
  readonly inner: Line | undefined;
}

/** Packs a line. */
export function pack({ command, words, globals, inner }: Line): PackedLine {
  return {
    command: command!.name,
    words: mapped(words, withoutCode),
    globals: mapped(globals, withoutCode),
    inner: inner === undefined ? undefined : pack(inner),
  };
}

function mapped(words: GivenWords, change: (word: Word) => Word): GivenWords {
  return new Map([...words].map(([key, list]) => [key, list.map(change)]));
}

/** A word as plain data: what `$((…))` was compiled to is left behind. */
function withoutCode(word: Word): Word {
  const parts = word.parts.map((part) =>
    part.kind === "arithmetic"
      ? { kind: "variable", name: part.value.text, isArithmetic: true } as const
      : part
  );
  return { ...word, parts };
}

function withCode(word: Word): Word {
  const parts = word.parts.map((part) =>
    part.kind === "variable" && "isArithmetic" in part
      ? { kind: "arithmetic", value: parseArithmetic(part.name) } as const
      : part
  );
  return { ...word, parts };
}

/** Unpacks it. */
export function unpack(line: PackedLine, table: KnownCommands): Invocation {
  const { command, words, globals, inner } = line;
  // What stands behind "let NAME =" has a name that is another one's.
  const known = command === WORD.name && inner === undefined ? WORD : table.get(command);
  return Invocation.of(known, mapped(words, withCode), mapped(globals, withCode), {
    inner: inner === undefined ? undefined : unpack(inner, table),
  });
}

/** How messages become bytes and come back; a part of Node that a start which asks nobody does without. */
export type Codec = Pick<typeof import("node:v8"), "serialize" | "deserialize">;

/** Loads it. */
export function loadCodec(): Promise<Codec> {
  return import("node:v8");
}

/** Writes a file that appears whole. */
export function writeMessage(path: string, message: Question | Answer, { serialize }: Codec): void {
  const aside = `${path}.part`;
  Deno.writeFileSync(aside, serialize(message), { mode: 0o600 });
  Deno.renameSync(aside, path);
}

/** Reads such a file and removes it; undefined if there is none. */
export function takeMessage(path: string, { deserialize }: Codec): unknown {
  let bytes: Uint8Array;
  try {
    bytes = Deno.readFileSync(path);
    Deno.removeSync(path);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw error;
  }
  return deserialize(bytes);
}
