/** Asks the process that has the host file for itself. */
import { removeIfThere } from "../../../lib/host/file/host_path.ts";
import { isOwned, ownerFolder } from "../../../lib/host/file/owner.ts";
import { HostFileError } from "../../../lib/host/file/store.ts";
import { isFlag } from "../../language/command.ts";
import { literalWord } from "../../language/options.ts";
import { FILE, OUTPUT } from "../../language/kinds.ts";
import type { Globals, Invocation } from "../../language/invocation.ts";
import { inputName, outputName, STDERR } from "../../language/streams.ts";
import { FileError } from "../../language/usage_error.ts";
import { expand, variablesOf, type Word } from "../../language/words.ts";
import { DescribedError } from "../../output/failure.ts";
import type { TraceCollector } from "../../output/trace/collector.ts";
import { PROCESS_FILES, refuseStdin } from "../files.ts";
import { InterruptWatch } from "../waiting/interrupt.ts";
import type { Outcome } from "../lines/outcome.ts";
import type { Session } from "../session.ts";
import {
  type Answer,
  ENDINGS,
  type Line,
  loadCodec,
  pack,
  type Question,
  takeMessage,
  writeMessage,
} from "./messages.ts";

/** A pause between two looks is this part of the time waited so far. */
const PAUSE_SHARE = 1 / 16;
const SHORTEST_PAUSE_MS = 1;
const LONGEST_PAUSE_MS = 50;
/** How long an owner may take to give up what was interrupted. */
const GIVING_UP_MS = 5000;

/** The owner has ended before it answered. */
export class OwnerGoneError extends HostFileError {
  constructor(path: string) {
    super(
      `The ism exec that had ${path} for itself has ended before it answered; the host is as it was committed last: ` +
        "look at it, and give the command again",
    );
  }
}

/**
 * Asks, and waits for the answer.
 *
 * @param listen is told what the owner says meanwhile
 * @throws {OwnerGoneError} @throws {InterruptedError}
 */
export async function ask(
  path: string,
  question: Question,
  listen: (bytes: Uint8Array) => void = () => {},
): Promise<Answer> {
  const codec = await loadCodec();
  const base = `${ownerFolder(path)}/${crypto.randomUUID()}`;
  try {
    writeMessage(base + ENDINGS.question, question, codec);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) throw new OwnerGoneError(path);
    throw error;
  }
  using watch = question.kind === "line" ? new InterruptWatch(undefined) : undefined;
  const began = performance.now();
  let heard = 0;
  let interrupted: { readonly error: unknown; readonly at: number } | undefined;
  for (;;) {
    const answer = takeMessage(base + ENDINGS.answer, codec) as Answer | undefined;
    heard += hear(base, heard, listen);
    if (answer !== undefined) {
      removeIfThere(base + ENDINGS.told);
      if (interrupted !== undefined && answer.failure === undefined) throw interrupted.error;
      return answer;
    }
    // An answer may have come between the two looks.
    if (!isOwned(path)) {
      const last = takeMessage(base + ENDINGS.answer, codec) as Answer | undefined;
      if (last !== undefined) return last;
      throw new OwnerGoneError(path);
    }
    const waited = performance.now() - began;
    if (interrupted !== undefined && performance.now() - interrupted.at > GIVING_UP_MS) {
      throw interrupted.error;
    }
    const pause = Math.min(Math.max(waited * PAUSE_SHARE, SHORTEST_PAUSE_MS), LONGEST_PAUSE_MS);
    if (watch === undefined || interrupted !== undefined) {
      await new Promise((resolve) => setTimeout(resolve, pause));
      continue;
    }
    try {
      await watch.sleep(pause, () => "");
    } catch (error) {
      interrupted = { error, at: performance.now() };
      Deno.writeTextFileSync(base + ENDINGS.end, (error as { signal: string }).signal);
    }
  }
}

/** What the owner has said since. @returns bytes that were heard */
function hear(base: string, from: number, listen: (bytes: Uint8Array) => void): number {
  try {
    using file = Deno.openSync(base + ENDINGS.told);
    const { size } = file.statSync();
    if (size <= from) return 0;
    file.seekSync(from, Deno.SeekMode.Start);
    const bytes = new Uint8Array(size - from);
    const count = file.readSync(bytes) ?? 0;
    listen(bytes.subarray(0, count));
    return count;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return 0;
    throw error;
  }
}

/** Has a line run by the owner, and prints what it printed. @throws what the line failed with */
export async function askOwner(
  session: Session,
  invocation: Invocation,
  globals: Globals,
  device: string | undefined,
  trace: TraceCollector | undefined,
): Promise<Outcome> {
  const { path } = session.place;
  const { access, name } = invocation.innermost.command!;
  if (access === "file") {
    throw new HostFileError(
      `${path} is in use by ism exec; "${name}" needs it for itself: wait until the programs have ended`,
    );
  }
  const { line, readsStdin } = absolute(invocation, session);
  const answer = await ask(path, {
    kind: "line",
    waits: access === "wait",
    line: pack(line),
    globals: { ...globals, host: undefined },
    device,
    variables: session.variables,
    stdin: !readsStdin ? undefined : session.stdinIsLines ? refuseStdin() : PROCESS_FILES.readStdin(),
  });
  if (answer.trace !== undefined) trace?.adopt(answer.trace);
  for (const [stream, bytes] of answer.pieces) {
    if (stream === "out") session.terminal.outBytes(bytes);
    else session.terminal.errBytes(bytes);
  }
  for (const [name, value] of answer.variables) session.variables.set(name, value);
  if (answer.failure !== undefined) throw new DescribedError(answer.failure);
  return answer.outcome!;
}

/** The line with its files by names that mean the same in another folder. @throws {FileError} for standard input */
function absolute(invocation: Invocation, session: Session): { line: Line; readsStdin: boolean } {
  const { command, inner } = invocation;
  const parameters = { ...command!.args, ...command!.options };
  let readsStdin = false;
  const words = new Map([...invocation.words].map(([key, given]) => {
    const parameter = parameters[key];
    const kind = parameter === undefined || isFlag(parameter) ? undefined : parameter.kind;
    return [
      key,
      given.map((word): Word => {
        // What `repeat` sets is known there.
        if (variablesOf(word).some((name) => session.lookup(name) === undefined)) return word;
        const text = expand(word, session.lookup);
        if (kind === FILE && inputName(text) === "-") {
          throw new FileError(
            "-",
            "Standard input cannot be read by the exec that has the host; name a file",
          );
        }
        if (kind === FILE || (kind === OUTPUT && outputName(text) !== "-" && outputName(text) !== STDERR)) {
          return { ...literalWord(absolutePath(text), word.column), quoted: true };
        }
        if (text === "-" || /^file:-(@|$)/.test(text)) readsStdin = true;
        if (!text.startsWith("file:") || text.startsWith("file:-")) return word;
        return {
          ...literalWord(`file:${absolutePath(text.slice("file:".length))}`, word.column),
          quoted: true,
        };
      }),
    ] as const;
  }));
  const behind = inner === undefined ? undefined : absolute(inner, session);
  return {
    line: { command, words, globals: invocation.globals, inner: behind?.line },
    readsStdin: readsStdin || behind?.readsStdin === true,
  };
}

function absolutePath(path: string): string {
  return path.startsWith("/") || path === "" ? path : `${Deno.cwd()}/${path}`;
}
