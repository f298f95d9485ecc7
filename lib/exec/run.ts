/** Starts a program behind a filter, answers its calls until the last process has ended, tells how it ended. */
import type { Tracer } from "../base/trace.ts";
import type { Kernel } from "../vfio/kernel.ts";
import { type Architecture, ARCHITECTURES } from "./calls.ts";
import { buildFilter, descriptorRange, MAX_FD } from "./filter.ts";
import { launch, type LaunchReport } from "./launch.ts";
import { libc, pinned, readFile } from "./libc.ts";
import { Listener } from "./listener.ts";
import { isTooOld } from "./proc_text.ts";
import { Supervisor } from "./supervisor.ts";

/** Why a program cannot be run here; one sentence for people. */
export class ExecError extends Error {
  override readonly name = "ExecError";
}

/** How a program ended. */
export interface Ending {
  /** Its exit code; undefined if a signal ended it. */
  readonly code: number | undefined;
  readonly signal: number | undefined;
  /** The program could not be started: error number of posix_spawn. */
  readonly notStarted: number | undefined;
  /** Calls that were answered. */
  readonly calls: number;
}

/** What to run, and for whom. */
export interface RunOptions {
  readonly argv: readonly string[];
  readonly kernel: Kernel;
  readonly tracer: Tracer;
  /** Every number may mean a simulated file. */
  readonly anyDescriptor: boolean;
  /** Standard input holds something else: the program reads /dev/null. */
  readonly withoutInput: boolean;
  readonly remark: (text: string) => void;
}

const RLIMIT_NOFILE = 7;
/** Milliseconds that the loop waits for the next call before it lets other things go on. */
const PATIENCE = 1;
/** Calls after which other things have a turn. */
const TURN = 256;

/** The architecture of this machine. @throws {ExecError} if programs cannot be run on it */
function requireSystem(): Architecture {
  const architecture = ARCHITECTURES[Deno.build.arch];
  if (architecture === undefined) throw new ExecError(`exec does not know the calls of ${Deno.build.arch}`);
  const release = new TextDecoder().decode(readFile("/proc/sys/kernel/osrelease") ?? new Uint8Array()).trim();
  if (isTooOld(release)) {
    throw new ExecError(
      `exec needs Linux 5.19 or newer, and this is ${release}: an older kernel may repeat a call that a signal ` +
        "interrupted after it was carried out",
    );
  }
  return architecture;
}

const EBUSY = 16;
const EACCES = 13;
const EINVAL = 22;
const ENOSYS = 38;
const EPERM = 1;

function refusal(call: string, errno: number): ExecError {
  if (errno === EBUSY) {
    return new ExecError("exec cannot run inside another exec: a process has one supervisor");
  }
  const why: Readonly<Record<number, string>> = {
    [EACCES]: "the system does not allow seccomp filters",
    [EINVAL]: "the kernel has no seccomp user notification",
    [ENOSYS]: "the kernel has no seccomp, or a container hides it",
    [EPERM]: "a container or a security module does not allow it",
  };
  return new ExecError(
    `exec cannot watch a program: ${call} failed with error number ${errno}` +
      (why[errno] === undefined ? "" : ` (${why[errno]})`),
  );
}

function descriptorLimit(): number {
  const limits = pinned(16);
  if (libc.getrlimit(RLIMIT_NOFILE, limits) !== 0) return MAX_FD;
  const soft = new DataView(limits.buffer).getBigUint64(0, true);
  return soft > BigInt(MAX_FD) ? MAX_FD : Number(soft);
}

/** Signals of the terminal reach the program without us; ism waits for what it makes of them. */
const LEFT_TO_PROGRAM = ["SIGINT", "SIGQUIT"] as const;
/** Signals that are sent to ism and meant for the program, with their numbers. */
const PASSED_ON = [["SIGTERM", 15], ["SIGHUP", 1], ["SIGUSR1", 10], ["SIGUSR2", 12]] as const;

/** Handles ism's own signals until the end of a `using` block. */
class SignalWatch implements Disposable {
  readonly #listeners: (readonly [Deno.Signal, () => void])[] = LEFT_TO_PROGRAM.map((
    name,
  ) => [name, () => {}]);

  #pid: number | undefined = undefined;
  /** Signals that came before the program's number was known. */
  readonly #early: number[] = [];

  constructor() {
    for (const [name, number] of PASSED_ON) this.#listeners.push([name, () => this.#passOn(number)]);
    for (const [name, listener] of this.#listeners) Deno.addSignalListener(name, listener);
  }

  #passOn(signal: number): void {
    if (this.#pid === undefined) this.#early.push(signal);
    else libc.kill(this.#pid, signal);
  }

  /** The program has ended, and its number may become another's. */
  over(): void {
    this.#pid = undefined;
  }

  /** The program has a number now. */
  running(pid: number): void {
    this.#pid = pid;
    for (const signal of this.#early) this.#passOn(signal);
  }

  [Symbol.dispose](): void {
    for (const [name, listener] of this.#listeners) Deno.removeSignalListener(name, listener);
  }
}

const RLIMIT_CORE = 4;

/** Ends this process by a signal, as the program was ended, without a core of its own; comes back if it cannot be. */
export function dieBy(signal: number): void {
  libc.setrlimit(RLIMIT_CORE, pinned(16));
  libc.signal(signal, null);
  libc.kill(libc.getpid(), signal);
}

/** Gives the event loop a turn. */
function turn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

/** A program that was started; its calls wait to be answered. */
export interface Started {
  readonly supervisor: Supervisor;
  /** Why it could not be started, or its status as waitpid(2) has it. */
  readonly ended: Promise<{ readonly notStarted: number | undefined; readonly status: number }>;
}

/** Runs a program to its end, and all processes that it leaves behind. @throws {ExecError} */
export async function run(options: RunOptions): Promise<Ending> {
  using signals = new SignalWatch();
  const { supervisor, ended } = await start(options, (pid) => signals.running(pid));
  ended.finally(() => signals.over());
  await serve(supervisor, () => supervisor.answer());
  const { notStarted, status } = await ended;
  supervisor.end();
  const signal = status & 0x7f;
  return {
    notStarted,
    code: signal === 0 ? status >> 8 & 0xff : undefined,
    signal: signal === 0 ? undefined : signal,
    calls: supervisor.calls,
  };
}

/** Starts a program; `running` is told its number. @throws {ExecError} */
export async function start(options: RunOptions, running?: (pid: number) => void): Promise<Started> {
  const architecture = requireSystem();
  const range = descriptorRange(descriptorLimit(), options.anyDescriptor);
  const listening = Promise.withResolvers<number>();
  const spawned = Promise.withResolvers<Extract<LaunchReport, { kind: "spawned" }>>();
  // What is told before somebody waits for it is not lost, and a refusal is told once.
  spawned.promise.catch(() => {});
  launch(
    {
      argv: options.argv,
      filter: buildFilter(architecture, range),
      seccomp: architecture.seccomp,
      withoutInput: options.withoutInput,
    },
    (report) => {
      if (report.kind === "listener") listening.resolve(report.fd);
      else if (report.kind === "spawned") spawned.resolve(report);
      else listening.reject(refusal(report.call, report.errno));
    },
  );
  const fd = await listening.promise;
  const supervisor = new Supervisor({
    listener: new Listener(fd),
    kernel: options.kernel,
    tracer: options.tracer,
    architecture,
    range,
    remark: options.remark,
  });
  const ended = spawned.promise.then(async ({ pid, errno }) => {
    if (errno !== 0) return { notStarted: errno, status: 0 };
    running?.(pid);
    const status = pinned(4);
    await libc.waitpidAside(pid, status, 0);
    return { notStarted: undefined, status: new DataView(status.buffer).getInt32(0, true) };
  });
  return { supervisor, ended };
}

/** Takes calls, each of which `answer` ends, until nobody is left who could make one. */
export async function serve(supervisor: Supervisor, answer: () => void): Promise<void> {
  const { listener } = supervisor;
  while (await listener.waitAside() !== "ended") {
    for (let count = 1;; count++) {
      const found = listener.wait(PATIENCE);
      if (found === "ended") return;
      if (found === "nothing") break;
      if (listener.receive()) answer();
      if (count % TURN === 0) await turn();
    }
    supervisor.look();
  }
}
