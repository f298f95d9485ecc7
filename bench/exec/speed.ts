/**
 * What a trapped call costs: the program calls.c under exec, and under a loop that answers 0 without simulating, which is
 * the floor. Rounds alternate, so that a busy machine is as unfair to one as to the other; medians are shown.
 */
import { ARCHITECTURES } from "../../lib/exec/calls.ts";
import { serve, start } from "../../lib/exec/run.ts";
import { Host } from "../../lib/host/host.ts";
import { defaultTopology } from "../../lib/host/topology.ts";

const COUNT = 100_000;
const ROUNDS = 7;
/** Calls with which the program sets itself up; the floor begins behind them. */
const SETUP_CALLS = 40;

interface Kind {
  readonly name: string;
  readonly kind: string;
  /** The DMB that is stored into belongs to another guest, whose driver is one of ism's own. */
  readonly peer?: boolean;
}

const KINDS: readonly Kind[] = [
  { name: "pread of 8 bytes of BAR 2", kind: "pread8" },
  { name: "pwrite of 4 KiB to a DMB of a simulated guest", kind: "pwrite4k", peer: true },
  { name: "pwrite of 4 KiB to a DMB of the program's own", kind: "pwrite4k" },
];

/** Runs the program once in this process; its output says what a call took. */
async function once(program: string, { kind, peer }: Kind, floor: boolean): Promise<void> {
  const host = Host.create(defaultTopology());
  const [own, other] = host.functions;
  const token = other!.driver.registerDmb({ size: 65536, rgid: own!.adapter.gid }).token;
  const { supervisor, ended } = await start({
    argv: [program, kind, String(COUNT), ...(peer ? [String(token)] : [])],
    kernel: own!.guest.kernel,
    tracer: host.tracer,
    anyDescriptor: false,
    remark: (text) => console.error(text),
  });
  const { listener, architecture } = supervisor;
  const measured = new Set(
    architecture.calls.filter(({ name }) => name === "pread64" || name === "pwrite64").map((call) =>
      call.number
    ),
  );
  let seen = 0;
  const answer = floor
    ? () => {
      if (measured.has(listener.call) && ++seen > SETUP_CALLS) listener.answer(0);
      else supervisor.answer();
    }
    : () => supervisor.answer();
  await serve(supervisor, answer);
  await ended;
  supervisor.end();
}

function build(): string {
  const program = `${Deno.makeTempDirSync()}/calls`;
  const source = new URL("calls.c", import.meta.url).pathname;
  const { code } = new Deno.Command("gcc", { args: ["-O2", "-o", program, source], stderr: "inherit" })
    .outputSync();
  if (code !== 0) Deno.exit(1);
  return program;
}

/** Microseconds per call that a run of the program prints. */
async function measure(args: readonly string[]): Promise<number> {
  const [command, ...rest] = args;
  const { code, stdout } = await new Deno.Command(command!, { args: rest, stderr: "inherit" }).output();
  if (code !== 0) throw new Error(`${args.join(" ")} ended with ${code}`);
  return Number(new TextDecoder().decode(stdout));
}

const median = (values: readonly number[]) => values.toSorted((a, b) => a - b)[values.length >> 1]!;
const show = (value: number) => value.toFixed(2).padStart(7);

async function main(): Promise<void> {
  const program = build();
  const self = [Deno.execPath(), "run", "--quiet", "-A", import.meta.filename!, "once", program];
  console.log("microseconds per call             floor   exec   ratio   calls/s");
  for (const [i, { name }] of KINDS.entries()) {
    const floors: number[] = [];
    const reals: number[] = [];
    for (let round = 0; round < ROUNDS; round++) {
      floors.push(await measure([...self, String(i), "floor"]));
      reals.push(await measure([...self, String(i), "exec"]));
    }
    const [floor, real] = [median(floors), median(reals)];
    console.log(
      `${name}\n${" ".repeat(30)}${show(floor)}${show(real)}${show(real / floor)}  ${Math.round(1e6 / real)}`,
    );
  }
  const native: number[] = [];
  const filtered: number[] = [];
  for (let round = 0; round < ROUNDS; round++) {
    native.push(await measure([program, "devnull", "1000000"]));
    filtered.push(await measure([...self, "devnull", "exec"]));
  }
  console.log(
    `a call that is not ours: native ${show(median(native))}, under the filter ${show(median(filtered))}`,
  );
  Deno.removeSync(program.slice(0, program.lastIndexOf("/")), { recursive: true });
}

if (!(Deno.build.arch in ARCHITECTURES) || Deno.build.os !== "linux") console.log("exec needs Linux");
else if (Deno.args[0] === "once") {
  const [, program, kind, mode] = Deno.args;
  await once(program!, KINDS[Number(kind)] ?? { name: "", kind: kind! }, mode === "floor");
  Deno.exit(0);
} else await main();
