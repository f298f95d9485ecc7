/**
 * Runs calls.c on a host in memory: `under.ts PROGRAM KIND COUNT (exec|floor) (own|peer)`. What it prints is the program's:
 * microseconds per call. "floor" answers 0 without simulating; "peer" gives the program a DMB of another guest, whose
 * driver is one of ism's own.
 */
import { serve, start } from "../../lib/exec/run.ts";
import { Host } from "../../lib/host/host.ts";
import { defaultTopology } from "../../lib/host/topology.ts";

/** Calls with which the program sets itself up; the floor begins behind them. */
const SETUP_CALLS = 40;

const [program = "", kind = "", count = "", mode, dmb] = Deno.args;
const host = Host.create(defaultTopology());
const [own, other] = host.functions;
const { token } = other!.driver.registerDmb({ size: 65536, rgid: own!.adapter.gid });
const { supervisor, ended } = await start({
  argv: [program, kind, count, ...(dmb === "peer" ? [String(token)] : [])],
  kernel: own!.guest.kernel,
  tracer: host.tracer,
  anyDescriptor: false,
  withoutInput: false,
  remark: (text) => console.error(text),
});
const { listener, architecture } = supervisor;
const measured = new Set(
  architecture.calls.filter(({ name }) => name === "pread64" || name === "pwrite64").map((call) =>
    call.number
  ),
);
let seen = 0;
await serve(supervisor, () => {
  if (mode === "floor" && measured.has(listener.call) && ++seen > SETUP_CALLS) listener.answer(0);
  else supervisor.answer();
});
const { status } = await ended;
supervisor.end();
Deno.exit(status === 0 ? 0 : 1);
