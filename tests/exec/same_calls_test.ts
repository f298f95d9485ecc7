/**
 * The same calls, by the simulated process of ism's own commands and by a C program under exec: the same results, error
 * numbers and bytes.
 */
import { recordOf } from "../../cmd/output/trace/record.ts";
import type { TraceEvent } from "../../lib/base/trace.ts";
import { assertEquals } from "@std/assert";
import { Host } from "../../lib/host/host.ts";
import { defaultTopology } from "../../lib/host/topology.ts";
import { carryOut } from "../support/call_lines.ts";
import { CallGenerator } from "../support/call_generator.ts";
import { CProgram } from "../support/c_program.ts";
import { Program } from "../support/program.ts";

const LONG = Deno.env.get("ISM_SOAK") !== undefined;
const SEEDS = LONG ? 100 : 6;
const CALLS = 1000;

/** What the C program prints under exec on a fresh host; exec itself must be silent. */
async function underExec(
  program: Program,
  interpreter: CProgram,
  lines: readonly string[],
): Promise<string[]> {
  const created = await program.run(["host", "create", "--force"]);
  assertEquals([created.code, created.stderr], [0, ""]);
  const { code, stdout, stderr } = await program.run(["exec", "--", interpreter.path], {
    stdin: `${lines.join("\n")}\n`,
  });
  assertEquals([code, stderr], [0, ""]);
  return stdout.split("\n").slice(0, -1);
}

function inProcess(lines: readonly string[]): string[] {
  return carryOut(Host.create(defaultTopology()).functions[0]!.guest.kernel.process, lines);
}

/** Compares line by line, so that a difference shows the call. */
function compare(lines: readonly string[], real: readonly string[], simulated: readonly string[]): void {
  for (const [i, line] of lines.entries()) {
    assertEquals(`line ${i}: ${line} -> ${real[i]}`, `line ${i}: ${line} -> ${simulated[i]}`);
  }
  assertEquals(real.length, simulated.length);
}

Deno.test("by hand: each way in, each kind of descriptor, each kind of call", async () => {
  using program = new Program();
  using interpreter = new CProgram("tests/exec/interpreter.c");
  for (const way of ["group", "compat", "cdev"] as const) {
    const lines = new CallGenerator(1, way).tour();
    compare(lines, await underExec(program, interpreter, lines), inProcess(lines));
  }
});

Deno.test(`generated: ${SEEDS} times ${CALLS} calls`, async () => {
  using program = new Program();
  using interpreter = new CProgram("tests/exec/interpreter.c");
  for (let seed = 1; seed <= SEEDS; seed++) {
    const generator = new CallGenerator(seed, (["group", "compat", "cdev"] as const)[seed % 3]!);
    const lines = generator.random(CALLS);
    compare(lines, await underExec(program, interpreter, lines), inProcess(lines));
  }
});

/** What a trace shows of the machine and the adapter, without what differs from host to host. */
interface Shown {
  readonly layer: string;
  readonly op: string;
  readonly space?: number;
  readonly offset?: number | string;
  readonly length?: number;
  readonly cc?: number;
  readonly operation?: number;
  readonly command?: number | string;
  readonly mode?: number;
}

const shown = ({ layer, op, space, offset, length, cc, operation, command, mode }: Shown) =>
  layer === "device"
    ? `device ${op} ${command}`
    : [op, space ?? operation ?? command ?? mode, offset, length, cc].join();

/** The form of the JSON documents. */
function documented(event: TraceEvent): Shown {
  const speaker = { guest: event.guest };
  return recordOf(event, { seq: 0, parent: undefined, time: 0, end: 0, speaker, place: undefined }) as Shown;
}

Deno.test("the same instructions and the same events of devices, in the same order", async () => {
  using program = new Program();
  using interpreter = new CProgram("tests/exec/interpreter.c");
  for (const [seed, way] of [[11, "group"], [12, "compat"], [13, "cdev"]] as const) {
    const lines = new CallGenerator(seed, way).random(300);
    await program.run(["host", "create", "--force"]);
    const { code, stdout } = await program.run([
      "--json",
      "--trace=insn,device",
      "exec",
      "--",
      interpreter.path,
    ], {
      stdin: `${lines.join("\n")}\n`,
    });
    assertEquals(code, 0);
    const real: Shown[] = JSON.parse(stdout.split("\n").at(-2)!).trace;
    const host = Host.create(defaultTopology());
    const events: TraceEvent[] = [];
    host.tracer.sink = {
      enter: (event) => {
        if (event.layer === "insn" || event.layer === "device") events.push(event);
      },
      leave: () => {},
    };
    carryOut(host.functions[0]!.guest.kernel.process, lines);
    // Condition codes are there when the instructions are done.
    const simulated = events.map((event) => shown(documented(event)));
    assertEquals(simulated.length > 300, true);
    // What comes behind is the end of the program, which closes what it has open.
    assertEquals(real.slice(0, simulated.length).map(shown), simulated);
  }
});
