/**
 * Runs calls.c on a host in memory: `under.ts PROGRAM KIND COUNT (exec|floor) (own|peer)`. What it prints is the program's:
 * microseconds per call. "floor" answers 0 without simulating; "peer" gives the program a DMB of another guest, whose
 * driver is one of ism's own.
 */
import { Loop } from "../../lib/exec/loop.ts";
import { launchProgram, supervise } from "../../lib/exec/run.ts";
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
const measured = new Set(
  architecture.calls.filter(({ name }) => name === "pread64" || name === "pwrite64").map((call) =>
    call.number
  ),
);
let seen = 0;
const loop = new Loop();
loop.add(supervisor, () => {
  if (mode === "floor" && measured.has(listener.call) && ++seen > SETUP_CALLS) listener.answer(0);
  else supervisor.answer();
});
await loop.run();
const { status } = await launched.ended;
Deno.exit(status === 0 ? 0 : 1);
