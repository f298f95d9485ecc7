/** A whole file from one guest to another, through DMBs, signals and interrupts. */
import { STDERR } from "../language/streams.ts";
import type { Host, HostFunction } from "../../lib/host/host.ts";
import { connect, type Stream } from "../../lib/ism/driver/stream.ts";
import { findDevice } from "../run/driver/device.ts";
import { argument, type Context, defaulted, defineCommand, optional } from "../language/command.ts";
import { refuseStdin } from "../run/files.ts";
import { isSameFile } from "../output/file_names.ts";
import { Yielding } from "../run/waiting/interrupt.ts";
import { DEVICE, DURATION, FILE, OUTPUT } from "../language/kinds.ts";
import { sendToPeer } from "../run/transfer/peer_transfer.ts";
import { fitted } from "../output/wrap.ts";
import { newSha256 } from "../run/transfer/sha256.ts";
import { Sink } from "../run/transfer/sink.ts";
import { quoteText } from "../language/quote.ts";
import { FileError, UsageError } from "../language/usage_error.ts";
import { DMB_SIZE, releaseDmb, secondsSince, Source } from "../run/transfer/transfer.ts";
import { Progress } from "../output/progress.ts";
import { plural, roundSize } from "../output/units.ts";

/** What a send came to. */
type SendResult = {
  readonly from: string;
  readonly to: string;
  readonly bytes: number;
  readonly sha256: string;
  readonly stores: number;
  readonly signals: number;
  readonly seconds: number;
  readonly out: string | null;
  readonly back?: ReturnType<typeof report>;
};

/** What goes where, before anything is registered. */
interface Route {
  readonly from: HostFunction;
  readonly to: HostFunction;
  readonly source: Source;
  readonly sink: Sink;
}

/** One direction of a send. */
interface Direction extends Route {
  readonly stream: Stream;
}

/** Carries all directions to their end, driven by the interrupts of both drivers. @throws {InterruptedError} */
async function carry(
  directions: readonly Direction[],
  done: () => number,
  progress: Progress,
  interrupted: AbortSignal | undefined,
): Promise<void> {
  const functions = new Set(directions.flatMap(({ from, to }) => [from, to]));
  const indices = new Map([...functions].map((fn) => {
    const own = directions.flatMap(({ from, to, stream: { writer, reader } }) => [
      ...(from === fn ? [writer.dmb.index] : []),
      ...(to === fn ? [reader.dmb.index] : []),
    ]);
    return [fn, new Set(own)] as const;
  }));
  using yielding = new Yielding(interrupted);
  for (const { from, source, stream } of directions) source.push(from.driver, stream.writer);
  while (directions.some(({ stream }) => !stream.reader.complete)) {
    for (const fn of functions) {
      const { dmbs } = fn.driver.handleInterrupt(indices.get(fn)!);
      for (const { index } of dmbs) for (const direction of directions) handle(direction, fn, index);
    }
    if (yielding.isDue()) {
      await yielding.now(() => ` after ${plural(done(), "byte")}; nothing of the transfer is left`);
    }
    progress.tell(done());
  }
}

/** A signal on a DMB: data for the reader, or room for the writer. */
function handle({ from, to, source, sink, stream }: Direction, fn: HostFunction, index: number): void {
  const { writer, reader } = stream;
  if (to === fn && reader.dmb.index === index) reader.read(to.driver, sink.take);
  else if (from === fn && writer.dmb.index === index) {
    writer.acknowledge(from.driver);
    if (!reader.complete) source.push(from.driver, writer);
  }
}

/** The other function that a send goes to by default: the next one on the same channel. */
function defaultPeer(host: Host, from: HostFunction): HostFunction {
  const peers = host.functions.filter((fn) => fn.adapter.fabric === from.adapter.fabric && fn !== from);
  const peer = peers.find((fn) => fn.index > from.index) ?? peers[0];
  if (peer === undefined) {
    throw new UsageError(`Function ${from.index} is alone on its channel; name another with --to`);
  }
  return peer;
}

/** Who sends to whom. @throws {UsageError} */
function parties(host: Host, target: HostFunction, from: string | undefined, to: string | undefined) {
  const sender = from === undefined ? target : findDevice(host, from);
  return { sender, receiver: to === undefined ? defaultPeer(host, sender) : findDevice(host, to) };
}

/** Refuses to write over what is read, over the host, or twice over one file. */
function checkFiles(inputs: readonly string[], outputs: readonly string[], hostPath: string): void {
  const streams = (paths: readonly string[]) => paths.filter((path) => path === "-").length;
  if (streams(inputs) > 1) throw new UsageError("Standard input can be sent one way only");
  if (streams(outputs) > 1) throw new UsageError("Only one file can go to standard output");
  const files = outputs.filter((path) => path !== "-" && path !== STDERR);
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
  const sha256 = sink.digest();
  if (source.digest() !== sha256) throw new Error("What arrived is not what was sent");
  return {
    from: from.zdev.name,
    to: to.zdev.name,
    bytes: sink.bytes,
    sha256,
    stores: stream.writer.stores,
    signals: stream.writer.signals,
  };
}

/** Registers DMBs on both sides, carries everything, and unregisters them again, whatever it ends with. */
async function exchange(context: Context, routes: readonly Route[], dmb: number) {
  const directions: Direction[] = [];
  try {
    for (const route of routes) {
      directions.push({ ...route, stream: connect(route.from.driver, route.to.driver, dmb) });
    }
    const sizes = directions.map(({ source }) => source.size);
    const total = sizes.reduce(
      (sum, size) => sum === undefined || size === undefined ? undefined : sum + size,
      0,
    );
    const done = () => directions.reduce((sum, { sink }) => sum + sink.bytes, 0);
    {
      using progress = new Progress(context.terminal, "bytes", total);
      await carry(directions, done, progress, context.interrupted);
    }
    const reports = directions.map(report);
    for (const { to, from, stream } of directions) {
      to.driver.unregisterDmb(stream.reader.dmb.token);
      from.driver.unregisterDmb(stream.writer.dmb.token);
    }
    return reports;
  } catch (error) {
    for (const { to, from, stream } of directions) {
      releaseDmb(to.driver, stream.reader.dmb.token);
      releaseDmb(from.driver, stream.writer.dmb.token);
    }
    throw error;
  }
}

export const send = defineCommand({
  name: "send",
  group: "ism",
  summary: "Send a file from one guest to another through DMBs, signals and interrupts",
  details:
    `The receiver registers a DMB for the sender: a 32-byte control message with cursors, and a ring of data
behind it, as SMC-D does. The SHA-256 of what arrived is compared with that of what was sent.
--back sends a second file the other way at the same time.
If "ism recv" waits on the receiving function in another process, it receives; --wait waits until it does.`,
  args: { file: argument(FILE, "the file; - for standard input") },
  options: {
    from: optional(DEVICE, "sending function; the one that --device names by default"),
    to: optional(DEVICE, "receiving function; the next one on the same channel by default"),
    dmb: defaulted(DMB_SIZE, 64 * 1024, "size of the DMB, 4k to 1M"),
    out: optional(OUTPUT, "where to write what arrived; - for standard output", "o"),
    back: optional(FILE, "file to send the other way at the same time"),
    backOut: optional(OUTPUT, "where to write what arrived of --back"),
    wait: optional(DURATION, "let ism recv in another process receive; wait for it"),
  },
  access: "wait",
  examples: ["send README.md", "send README.md --dmb 4k --from 1 --to 0"],
  async run(context, { file, from, to, dmb, out, back, backOut, wait }): Promise<SendResult> {
    if (context.json && (out === "-" || backOut === "-")) {
      throw new UsageError("-o - and --json exclude each other");
    }
    if (back === undefined && backOut !== undefined) {
      throw new UsageError("--back-out needs --back, the file to send the other way");
    }
    if (context.stdinIsLines && (file === "-" || back === "-")) refuseStdin();
    const given = (paths: readonly (string | undefined)[]) => paths.filter((path) => path !== undefined);
    checkFiles(given([file, back]), given([out, backOut]), context.hostPath);
    const started = performance.now();
    const waitMs = wait === undefined ? undefined : wait * 1000;
    const remote = context.transact((target, host) => {
      const { sender, receiver } = parties(host, target, from, to);
      const isOffered = host.rendezvous.of(receiver.zdev.facts.fid) !== undefined;
      return isOffered || waitMs !== undefined
        ? { sender: sender.index, receiver: receiver.index }
        : undefined;
    });
    if (remote !== undefined) {
      const unused = { "-o": out, "--back": back, "--back-out": backOut };
      const [surplus] = Object.entries(unused).filter(([, value]) => value !== undefined);
      if (surplus !== undefined) {
        throw new UsageError(`${surplus[0]} is for a send that also receives; here ism recv does`, {
          token: surplus[0],
        });
      }
      if (context.dryRun) {
        throw new UsageError(
          "A send to another process cannot be tried with --dry-run: ism recv does not see what is not done",
        );
      }
      const result = await sendToPeer(context, remote, file, waitMs);
      return { ...result, seconds: secondsSince(started), out: null };
    }
    const routes = [{ path: file, out }, ...(back === undefined ? [] : [{ path: back, out: backOut }])];
    const sinks = await Promise.all(
      routes.map(async ({ out }) => new Sink(context, out, await newSha256())),
    );
    const sources: Source[] = [];
    try {
      for (const { path } of routes) sources.push(new Source(path, await newSha256()));
      for (const sink of sinks) sink.open();
      const [there, otherWay] = await context.transactLong((target, host) => {
        const { sender, receiver } = parties(host, target, from, to);
        const ways = [{ from: sender, to: receiver }, { from: receiver, to: sender }];
        return exchange(context, sources.map((source, i) => ({ ...ways[i]!, source, sink: sinks[i]! })), dmb);
      });
      for (const sink of sinks) sink.finish();
      return {
        ...there!,
        seconds: secondsSince(started),
        ...(otherWay === undefined ? {} : { back: otherWay }),
        out: out ?? null,
      };
    } finally {
      for (const source of sources) source.close();
      for (const sink of sinks) sink[Symbol.dispose]();
    }
  },
  text({ from, to, bytes, sha256, stores, signals, seconds, out, back }, { terminal }) {
    if (out === "-") return "";
    const rate = seconds > 0 ? `, ${roundSize(bytes / seconds)}/s` : "";
    const line =
      `${from} -> ${to}: ${bytes} bytes in ${seconds} s${rate}; ${plural(stores, "store block")}, ${
        plural(signals, "signal")
      }\n` +
      `sha256 ${sha256}`;
    const wayBack = back === undefined
      ? ""
      : `\n${back.from} -> ${back.to}: ${back.bytes} bytes\nsha256 ${back.sha256}`;
    return fitted(line + wayBack, terminal);
  },
});
