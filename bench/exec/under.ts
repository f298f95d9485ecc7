/**
 * Runs calls.c on a host in memory: `under.ts PROGRAM KIND COUNT (exec|floor|copies) (own|peer)`. What it prints is the
 * program's: microseconds per call. "floor" answers 0 without simulating, "copies" only copies between the two processes
 * what exec has to copy; "peer" gives the program a DMB of another guest, whose driver is one of ism's own.
 */
import { Loop } from "../../lib/exec/loop.ts";
import { launchProgram, supervise } from "../../lib/exec/run.ts";
import { copyFrom, copyTo, Scratch } from "../../lib/exec/user_copy.ts";
import { Host } from "../../lib/host/host.ts";
import { defaultTopology } from "../../lib/host/topology.ts";

/** Calls with which the program sets itself up; the floor begins behind them. */
const SETUP_CALLS = 40;

const [program = "", kind = "", count = "", mode, dmb] = Deno.args;
const host = Host.create(defaultTopology());
const [own, other] = host.functions;
const { token } = other!.driver.registerDmb({ size: 65536, rgid: own!.adapter.gid });
const launched = await launchProgram({
  argv: [program, kind, count, ...(dmb === "peer" ? [String(token)] : [])],
  anyDescriptor: false,
  withoutInput: false,
});
const supervisor = supervise(launched, {
  kernel: own!.guest.kernel,
  tracer: host.tracer,
  sink: undefined,
  countsLocked: false,
  remark: (text) => console.error(text),
});
const { listener, architecture } = supervisor;
const numberOf = (wanted: string) => architecture.calls.find(({ name }) => name === wanted)!.number;
const pread = numberOf("pread64");
const pwrite = numberOf("pwrite64");
const scratch = new Scratch(4096);

/** What a read or write has to copy. */
function copy(): number {
  const { thread, call } = listener;
  const address = listener.long(1);
  const length = listener.uint(2);
  if (call === pwrite) copyFrom(thread, address, scratch, 0, length);
  if (call === pread || dmb === "own") copyTo(thread, address, scratch, 0, length);
  return length;
}

let seen = 0;
const loop = new Loop();
loop.add(supervisor, () => {
  const isMeasured = listener.call === pread || listener.call === pwrite;
  if (mode === "exec" || !isMeasured || ++seen <= SETUP_CALLS) supervisor.answer();
  else listener.answer(mode === "floor" ? 0 : copy());
});
await loop.run();
const { status } = await launched.ended;
Deno.exit(status === 0 ? 0 : 1);
