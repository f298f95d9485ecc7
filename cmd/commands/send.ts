/** A whole file from one guest to another, through DMBs, signals and interrupts. */
import { createHash, type Hash } from "node:crypto";
import type { HostFunction } from "../../lib/host/host.ts";
import { DMB } from "../../lib/ism/protocol.ts";
import { Stream } from "../../lib/ism/driver/stream.ts";
import { argument, type Context, defaulted, defineCommand, optional } from "../command.ts";
import { fileError, isSameFile, openInput } from "../files.ts";
import { DEVICE, FILE, number } from "../kinds.ts";
import { quoteText } from "../text/diagnostic.ts";
import { FileError, UsageError } from "../text/usage_error.ts";
import { plural, roundSize } from "../units.ts";

const READ_BYTES = 64 * 1024;
const PROGRESS_MS = 100;

const DMB_SIZE = {
  placeholder: "SIZE",
  parse(text: string, what: string): number {
    const size = number("SIZE").parse(text, what);
    if (size % DMB.UNIT === 0 && size >= DMB.UNIT && size <= DMB.MAX) return size;
    throw new UsageError(
      `${what}: a DMB has a multiple of 4096 bytes, from 4k to 1M, not ${quoteText(text)}`,
      {
        token: text,
      },
    );
  },
};

/** Where bytes come from, one buffer at a time. */
class Source {
  readonly hash: Hash = createHash("sha256");
  readonly #path: string;
  readonly #file: Deno.FsFile | undefined;
  readonly buffer = new Uint8Array(READ_BYTES);
  at = 0;
  end = 0;
  /** Everything was read. */
  dry = false;
  /** Size if known, for the progress bar. */
  readonly size: number | undefined;

  constructor(path: string) {
    this.#path = path;
    this.#file = path === "-" ? undefined : openInput(path);
    const info = this.#file?.statSync();
    this.size = info?.isFile === true ? info.size : undefined;
  }

  /** Fills the buffer if it is used up. @throws {FileError} */
  fill(): void {
    if (this.at < this.end || this.dry) return;
    try {
      const read = (this.#file ?? Deno.stdin).readSync(this.buffer);
      this.at = 0;
      this.end = read ?? 0;
      this.dry = read === null || read === 0;
    } catch (error) {
      throw fileError(this.#path, error);
    }
    this.hash.update(this.buffer.subarray(0, this.end));
  }

  close(): void {
    this.#file?.close();
  }
}

/** Where bytes go: a file, standard output, or nowhere; the hash is taken of what arrived. */
class Sink {
  readonly hash: Hash = createHash("sha256");
  readonly #path: string | undefined;
  readonly #context: Context;
  #file: Deno.FsFile | undefined = undefined;
  bytes = 0;

  constructor(context: Context, path: string | undefined) {
    this.#context = context;
    this.#path = context.dryRun ? undefined : path;
  }

  /** Opens the file. Not before the connection stands: a refused send leaves an old file alone. */
  open(): void {
    if (this.#path === undefined || this.#path === "-") return;
    try {
      this.#file = Deno.openSync(this.#path, { write: true, create: true, truncate: true });
    } catch (error) {
      throw fileError(this.#path, error);
    }
  }

  readonly take = (piece: Uint8Array): void => {
    this.bytes += piece.length;
    this.hash.update(piece);
    if (this.#path === "-") return this.#context.terminal.outBytes(piece);
    try {
      for (let at = 0; this.#file !== undefined && at < piece.length;) {
        at += this.#file.writeSync(piece.subarray(at));
      }
    } catch (error) {
      throw fileError(this.#path!, error);
    }
  };

  close(): void {
    this.#file?.close();
  }
}

/** One direction of a send. */
interface Direction {
  readonly from: HostFunction;
  readonly to: HostFunction;
  readonly source: Source;
  readonly sink: Sink;
  readonly stream: Stream;
}

/** Carries all directions to their end, driven by the interrupts of both drivers. */
function carry(directions: readonly Direction[], progress: () => void): void {
  const functions = new Set(directions.flatMap(({ from, to }) => [from, to]));
  const indices = new Map([...functions].map((fn) => {
    const own = directions.flatMap(({ from, to, stream }) => [
      ...(from === fn ? [stream.indices.from] : []),
      ...(to === fn ? [stream.indices.to] : []),
    ]);
    return [fn, new Set(own)] as const;
  }));
  for (const direction of directions) push(direction);
  while (directions.some(({ stream }) => !stream.complete)) {
    for (const fn of functions) {
      const { dmbs } = fn.driver.handleInterrupt(indices.get(fn)!);
      for (const { index } of dmbs) {
        for (const direction of directions) {
          const { from, to, stream, sink } = direction;
          if (to === fn && stream.indices.to === index) stream.read(sink.take);
          else if (from === fn && stream.indices.from === index) {
            stream.acknowledge();
            if (!stream.complete) push(direction);
          }
        }
      }
    }
    progress();
  }
}

/** Fills the ring as far as it goes, then tells the reader. */
function push({ source, stream }: Direction): void {
  source.fill();
  while (!source.dry && stream.room > 0) {
    source.at += stream.write(source.buffer, source.at, source.end - source.at);
    source.fill();
  }
  stream.publish(source.dry);
}

/** The other function that a send goes to by default: the next one on the same channel. */
function defaultPeer({ host }: Context, from: HostFunction): HostFunction {
  const peers = host.functions.filter((fn) => fn.adapter.fabric === from.adapter.fabric && fn !== from);
  const peer = peers.find((fn) => fn.index > from.index) ?? peers[0];
  if (peer === undefined) {
    throw new UsageError(`Function ${from.index} is alone on its channel; name another with --to`);
  }
  return peer;
}

function connect(
  context: Context,
  from: HostFunction,
  to: HostFunction,
  size: number,
  path: string,
  out?: string,
): Direction {
  const source = new Source(path);
  try {
    const stream = Stream.connect(from.driver, to.driver, size);
    return { from, to, source, sink: new Sink(context, out), stream };
  } catch (error) {
    source.close();
    throw error;
  }
}

/** Refuses to write over what is read, over the host, or twice over one file. */
function checkFiles(inputs: readonly string[], outputs: readonly string[], hostPath: string): void {
  const streams = (paths: readonly string[]) => paths.filter((path) => path === "-").length;
  if (streams(inputs) > 1) throw new UsageError("Standard input can be sent one way only");
  if (streams(outputs) > 1) throw new UsageError("Only one file can go to standard output");
  const files = outputs.filter((path) => path !== "-");
  for (const path of files) {
    const name = quoteText(path, 200);
    if (inputs.some((input) => input !== "-" && isSameFile(input, path))) {
      throw new FileError(path, `${name} is the file that is sent; name another one for what arrives`);
    }
    if (isSameFile(hostPath, path)) throw new FileError(path, `${name} is the host file; name another one`);
  }
  if (files.length > 1 && isSameFile(files[0]!, files[1]!)) {
    throw new FileError(files[1]!, `${quoteText(files[1]!, 200)} cannot take what arrives on both sides`);
  }
}

function report({ from, to, source, sink, stream }: Direction) {
  const sha256 = sink.hash.digest("hex");
  if (source.hash.digest("hex") !== sha256) throw new Error("What arrived is not what was sent");
  return {
    from: from.zdev.name,
    to: to.zdev.name,
    bytes: sink.bytes,
    sha256,
    stores: stream.stores,
    signals: stream.signals,
  };
}

export const send = defineCommand({
  name: "send",
  group: "ism",
  summary: "Send a file from one guest to another through DMBs, signals and interrupts",
  details:
    `The receiver registers a DMB for the sender: a 32-byte control message with cursors, and a ring of data
behind it, as SMC-D does. The SHA-256 of what arrived is compared with that of what was sent.
--back sends a second file the other way at the same time.`,
  args: { file: argument(FILE, "the file; - for standard input") },
  options: {
    from: optional(DEVICE, "sending function; the one that --device names by default"),
    to: optional(DEVICE, "receiving function; the next one on the same channel by default"),
    dmb: defaulted(DMB_SIZE, 64 * 1024, "size of the DMB, 4k to 1M"),
    out: optional(FILE, "where to write what arrived; - for standard output", "o"),
    back: optional(FILE, "file to send the other way at the same time"),
    backOut: optional(FILE, "where to write what arrived of --back"),
  },
  access: "write",
  examples: ["send README.md", "send README.md --dmb 4k --from 1 --to 0"],
  run(context, { file, from, to, dmb, out, back, backOut }) {
    if (context.json && (out === "-" || backOut === "-")) {
      throw new UsageError("-o - and --json exclude each other");
    }
    if (back === undefined && backOut !== undefined) {
      throw new UsageError("--back-out needs --back, the file to send the other way");
    }
    const given = (paths: readonly (string | undefined)[]) => paths.filter((path) => path !== undefined);
    checkFiles(given([file, back]), given([out, backOut]), context.hostPath);
    const sender = from === undefined ? context.target : context.device(from);
    const receiver = to === undefined ? defaultPeer(context, sender) : context.device(to);
    const started = performance.now();
    const directions: Direction[] = [];
    try {
      directions.push(connect(context, sender, receiver, dmb, file, out));
      if (back !== undefined) directions.push(connect(context, receiver, sender, dmb, back, backOut));
      for (const { sink } of directions) sink.open();
      carry(directions, progressBar(context, directions));
    } finally {
      context.terminal.progress("");
      for (const { source, sink, stream } of directions) {
        source.close();
        sink.close();
        stream.disconnect();
      }
    }
    const [there, otherWay] = directions.map(report);
    const seconds = Math.round(performance.now() - started) / 1000;
    return {
      ...there!,
      seconds,
      ...(otherWay === undefined ? {} : { back: otherWay }),
      out: out ?? null,
    };
  },
  text({ from, to, bytes, sha256, stores, signals, seconds, out, back }) {
    if (out === "-") return "";
    const rate = seconds > 0 ? `, ${roundSize(bytes / seconds)}/s` : "";
    const line =
      `${from} -> ${to}: ${bytes} bytes in ${seconds} s${rate}; ${plural(stores, "store block")}, ${
        plural(signals, "signal")
      }\n` +
      `sha256 ${sha256}`;
    return back === undefined
      ? line
      : `${line}\n${back.from} -> ${back.to}: ${back.bytes} bytes\nsha256 ${back.sha256}`;
  },
});

/** A progress bar on a terminal, at most ten times a second. */
function progressBar({ terminal }: Context, directions: readonly Direction[]): () => void {
  if (!terminal.errIsTerminal) return () => {};
  const total = directions.reduce((sum, { source }) => sum + (source.size ?? 0), 0);
  let next = performance.now() + PROGRESS_MS;
  return () => {
    if (performance.now() < next) return;
    next = performance.now() + PROGRESS_MS;
    const done = directions.reduce((sum, { sink }) => sum + sink.bytes, 0);
    const text = `${roundSize(done)}${total === 0 ? "" : ` of ${roundSize(total)}`}`;
    const width = Math.min(40, terminal.columns - text.length - 4);
    if (total === 0 || width < 5) return terminal.progress(text);
    const filled = Math.round(width * Math.min(1, done / total));
    terminal.progress(`[${"#".repeat(filled)}${" ".repeat(width - filled)}] ${text}`);
  };
}
