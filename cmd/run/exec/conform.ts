/** `conform`: one program on many machines, each a host of its own that nobody else sees. */
import { CallLog, type LoggedCall } from "../../../lib/exec/call_log.ts";
import { Loop } from "../../../lib/exec/loop.ts";
import { runPrograms } from "../../../lib/exec/run.ts";
import { Host } from "../../../lib/host/host.ts";
import { findDevice } from "../driver/device.ts";
import type { Machine } from "./machines.ts";

/** Exit code by which a program says that a machine is not made for what it does, as tests do elsewhere. */
export const CANNOT_WORK = 77;
/** What is kept of a program's output, for people who ask why it failed. Characters. */
const LAST_WORDS = 2000;
/** The shell puts the program's output into a file, and becomes the program. */
const INTO_FILE = 'exec "$@" >"$0" 2>&1';

/** How a run ended. */
export interface Verdict {
  readonly machine: string;
  readonly ended: "well" | "cannot" | "badly";
  /** `exit 0`, `signal 11`, `timeout`. */
  readonly how: string;
  readonly exit: number | null;
  readonly signal: number | null;
  readonly calls: number;
  readonly milliseconds: number;
  /** The first call that went differently from the reference run, and that call there; null where all went alike. */
  readonly difference: { readonly expected: LoggedCall | null; readonly got: LoggedCall | null } | null;
  /** The end of what the program wrote. */
  readonly output: string;
}

/** What to run. */
export interface ConformOptions {
  readonly argv: readonly string[];
  /** The word that names the function whose guest the program sees. */
  readonly which: string;
  readonly anyDescriptor: boolean;
  /** Milliseconds after which a program is killed. */
  readonly timeout: number;
  readonly remark: (text: string) => void;
}

/** Runs a program on one machine after the other, the reference first. @throws {ExecError} */
export async function* conform(
  machines: readonly Machine[],
  options: ConformOptions,
): AsyncGenerator<Verdict> {
  let reference: readonly LoggedCall[] | undefined;
  for (const machine of machines) {
    const log = new CallLog(reference);
    yield await runOn(machine, log, options);
    reference ??= log.calls;
  }
}

async function runOn({ name, topology }: Machine, log: CallLog, options: ConformOptions): Promise<Verdict> {
  const { argv, which, anyDescriptor, timeout, remark } = options;
  const host = Host.create(topology);
  const { guest } = findDevice(host, which);
  const file = Deno.makeTempFileSync({ prefix: "ism-conform-" });
  const killing = new AbortController();
  const timer = setTimeout(() => killing.abort(), timeout);
  const before = performance.now();
  const loop = new Loop();
  try {
    const program = { argv: ["/bin/sh", "-c", INTO_FILE, file, ...argv], anyDescriptor, withoutInput: true };
    const { kernel } = guest;
    const surroundings = {
      kernel,
      tracer: host.tracer,
      sink: undefined,
      countsLocked: true,
      remark,
      observer: log,
      abort: killing.signal,
    };
    const [ending] = await runPrograms([program], [surroundings], loop);
    const { code, signal, calls } = ending!;
    const milliseconds = performance.now() - before;
    const isLate = killing.signal.aborted;
    const how = isLate ? "timeout" : code === undefined ? `signal ${signal}` : `exit ${code}`;
    const ended = isLate || code === undefined
      ? "badly"
      : code === 0
      ? "well"
      : code === CANNOT_WORK
      ? "cannot"
      : "badly";
    const { difference } = log;
    return {
      machine: name,
      ended,
      how,
      exit: code ?? null,
      signal: signal ?? null,
      calls,
      milliseconds,
      difference: difference === undefined
        ? null
        : { expected: difference.expected ?? null, got: difference.got ?? null },
      output: Deno.readTextFileSync(file).slice(-LAST_WORDS),
    };
  } finally {
    loop.close();
    clearTimeout(timer);
    Deno.removeSync(file);
  }
}
