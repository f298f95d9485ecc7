/** The receiving half of a send, as a process of its own. */
import { DriverError } from "../../lib/ism/driver/errors.ts";
import { StreamReader } from "../../lib/ism/driver/stream.ts";
import { type Context, defaulted, defineCommand, optional } from "../language/command.ts";
import { DURATION, OUTPUT } from "../language/kinds.ts";
import { fitted } from "../output/wrap.ts";
import { loadCrc32, newSha256 } from "../run/transfer/sha256.ts";
import { Sink } from "../run/transfer/sink.ts";
import { UsageError } from "../language/usage_error.ts";
import { DMB_SIZE, releaseDmb, secondsSince, takenBack } from "../run/transfer/transfer.ts";
import { Progress } from "../output/progress.ts";
import { roundSize } from "../output/units.ts";
import { waitFor } from "../run/waiting/waiting.ts";

/** So many bytes are read faster than another transaction for them begins. */
const SHORT = 64 * 1024;
/** Then Ctrl-C is looked for. */
const MOST_ROUNDS = 8;

/** Offers the function to a writer; what an earlier recv left behind that was killed is cleared away. */
function offer(context: Context, size: number): void {
  context.transact(({ driver, zdev }, { rendezvous }) => {
    driver.start();
    const { fid } = zdev.facts;
    const left = rendezvous.of(fid)?.accepted ?? undefined;
    if (left !== undefined) releaseDmb(driver, left.token);
    rendezvous.set({ reader: fid, size, request: null, accepted: null, result: null });
  });
}

/** Answers the writer that has come, if one has. */
function accept(context: Context): StreamReader | undefined {
  return context.transact(({ driver, zdev }, { rendezvous }) => {
    const meeting = rendezvous.of(zdev.facts.fid);
    if (meeting === undefined) throw new DriverError("Another process has taken this offer away");
    if (meeting.request === null) return undefined;
    const dmb = driver.registerDmb({ size: meeting.size, rgid: BigInt(meeting.request.gid) });
    rendezvous.set({ ...meeting, accepted: { token: dmb.token } });
    return new StreamReader(dmb, meeting.request.token);
  });
}

export const recv = defineCommand({
  name: "recv",
  group: "ism",
  summary: 'Receive a file that "ism send" sends in another process on the same host file',
  details:
    `Registers a DMB for the sender that comes, and reads its ring whenever an interrupt arrives. The two
processes find each other through the host file; the data goes through DMBs, signals and interrupts.`,
  args: {},
  options: {
    out: optional(OUTPUT, "where to write what arrived; - for standard output", "o"),
    dmb: defaulted(DMB_SIZE, 1024 * 1024, "size of the DMB, 4k to 1M"),
    timeout: optional(DURATION, "give up when nothing happens for so long"),
  },
  access: "wait",
  examples: ["expect DRIVER recv -d 1 --timeout 1"],
  async run(context, { out, dmb, timeout }) {
    if (context.json && out === "-") throw new UsageError("-o - and --json exclude each other");
    if (context.dryRun) {
      throw new UsageError("recv cannot be tried with --dry-run: no sender finds an offer that is not made");
    }
    const patienceMs = timeout === undefined ? Infinity : timeout * 1000;
    await loadCrc32();
    using sink = new Sink(context, out, await newSha256());
    sink.open();
    offer(context, dmb);
    let reader: StreamReader | undefined;
    try {
      reader = await waitFor(context, "A sender", patienceMs, () => accept(context));
      const stream = reader;
      const started = performance.now();
      using progress = new Progress(context.terminal, "bytes", undefined);
      const own = new Set([stream.dmb.index]);
      await waitFor(context, "Data", patienceMs, () => {
        for (let round = 1;; round++) {
          const isNow = sink.isSeen || round === MOST_ROUNDS;
          context.transact(({ driver }) => {
            if (driver.handleInterrupt(own).dmbs.length > 0) stream.notice(driver);
            if (isNow || stream.waiting <= SHORT) stream.take(driver, sink.take);
            stream.acknowledge(driver);
          }, { forced: sink.isSeen });
          if (stream.waiting === 0) break;
          // The sender writes on meanwhile.
          context.transact(({ driver }) => stream.take(driver, sink.take), { mode: "read" });
        }
        progress.tell(sink.bytes);
        return stream.complete ? true : undefined;
      });
      // Everything of the transfer is on the disk before what arrived gets its name, and that before the sender is told.
      context.transact(({ driver }) => driver.unregisterDmb(stream.dmb.token));
      sink.finish();
      const result = { bytes: sink.bytes, sha256: sink.digest() };
      const to = context.transact(({ zdev }, { rendezvous }) => {
        const meeting = rendezvous.of(zdev.facts.fid);
        if (meeting !== undefined) rendezvous.set({ ...meeting, result });
        return zdev.name;
      });
      return { to, ...result, seconds: secondsSince(started), out: out ?? null };
    } catch (error) {
      throw takenBack(
        error,
        "the offer is taken back, and nothing is written",
        () => withdraw(context, reader),
      );
    }
  },
  text({ to, bytes, sha256, seconds, out }, { terminal }) {
    if (out === "-") return "";
    const rate = seconds > 0 ? `, ${roundSize(bytes / seconds)}/s` : "";
    return fitted(`${to}: ${bytes} bytes in ${seconds} s${rate}\nsha256 ${sha256}`, terminal);
  },
});

/** Takes everything back after a failure. */
function withdraw(context: Context, reader: StreamReader | undefined): void {
  context.transact(({ driver, zdev }, { rendezvous }) => {
    rendezvous.remove(zdev.facts.fid);
    if (reader !== undefined) releaseDmb(driver, reader.dmb.token);
  });
}
