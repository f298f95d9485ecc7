/** Starts a program behind a filter, answers its calls until the last process has ended, tells how it ended. */
import type { Tracer, TraceSink } from "../base/trace.ts";
import type { Kernel } from "../vfio/kernel.ts";
import { type Architecture, ARCHITECTURES } from "./calls.ts";
import { buildFilter, type DescriptorRange, descriptorRange, MAX_FD } from "./filter.ts";
import { Loop } from "./loop.ts";
import { launch, type LaunchReport } from "./launch.ts";
import { errno, libc, pinned } from "./libc.ts";
import { Listener } from "./listener.ts";
import type { Observer } from "./observer.ts";
import { awaitChild, childHas, childIsOver } from "./orphans.ts";
import { SignalWatch } from "./signals.ts";
import { Supervisor } from "./supervisor.ts";
import { hindranceOf } from "./system.ts";
import { thisSystem } from "./this_system.ts";
import { tryCopyFrom, tryCopyTo } from "./user_copy.ts";

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

/** What to start. */
export interface LaunchOptions {
  readonly argv: readonly string[];
  /** Every number may mean a simulated file. */
  readonly anyDescriptor: boolean;
  /** Standard input holds something else: the program reads /dev/null. */
  readonly withoutInput: boolean;
}

/** For whom the calls of a program are answered. */
export interface Surroundings {
  readonly kernel: Kernel;
  readonly tracer: Tracer;
  /** What is traced of the program; undefined for nothing. */
  readonly sink: TraceSink | undefined;
  /** What is mapped for DMA counts against a process's RLIMIT_MEMLOCK. */
  readonly countsLocked: boolean;
  readonly remark: (text: string) => void;
  /** Looks at the program's calls. */
  readonly observer?: Observer | undefined;
  /** Ends every process of the program. */
  readonly abort?: AbortSignal | undefined;
}

const RLIMIT_NOFILE = 7;
const SIGKILL = 9;

/** The architecture of this machine. @throws {ExecError} if programs cannot be run on it */
function requireSystem(): Architecture {
  const architecture = ARCHITECTURES[Deno.build.arch];
  if (architecture === undefined) throw new ExecError(`exec does not know the calls of ${Deno.build.arch}`);
  const hindrance = hindranceOf(thisSystem());
  if (hindrance !== undefined) throw new ExecError(hindrance);
  return architecture;
}

/** Tries on this process what will be done to the program's. @throws {ExecError} if the system does not allow it */
function requireCalls({ pidfdOpen }: Architecture): void {
  const tries = [
    ["process_vm_readv", tryCopyFrom],
    ["process_vm_writev", tryCopyTo],
    ["pidfd_open", () => {
      const pidfd = libc.syscall3(BigInt(pidfdOpen), BigInt(libc.getpid()), 0n, 0n);
      return pidfd >= 0 && libc.close(pidfd) === 0;
    }],
  ] as const;
  for (const [call, succeeds] of tries) {
    if (succeeds()) continue;
    const number = errno();
    throw new ExecError(
      `exec cannot answer a program: ${call} failed with error number ${number}` +
        (number === EPERM ? " (a container or a security module does not allow it)" : ""),
    );
  }
}

const EBUSY = 16;
const EACCES = 13;
const EINVAL = 22;
const ENOSYS = 38;
const EPERM = 1;

function refusal(call: string, errno: number): ExecError {
  if (errno === EBUSY) {
    return new ExecError(
      "exec cannot run inside another exec, nor where a container's runtime answers calls in its way: a process has one supervisor",
    );
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

/** A program that was started; its calls wait to be answered. */
export interface Launched {
  /** Our descriptor of its listener. */
  readonly fd: number;
  readonly range: DescriptorRange;
  /** Its number, as soon as it has one; undefined if it could not be started. */
  readonly pid: Promise<number | undefined>;
  /** Why it could not be started, or its status as waitpid(2) has it. */
  readonly ended: Promise<{ readonly notStarted: number | undefined; readonly status: number }>;
}

/** Starts a program. @throws {ExecError} */
export async function launchProgram(options: LaunchOptions): Promise<Launched> {
  const architecture = requireSystem();
  requireCalls(architecture);
  const range = descriptorRange(descriptorLimit(), options.anyDescriptor);
  const listening = Promise.withResolvers<number>();
  const spawned = Promise.withResolvers<Extract<LaunchReport, { kind: "spawned" }>>();
  // What is told before somebody waits for it is not lost, and a refusal is told once.
  spawned.promise.catch(() => {});
  awaitChild();
  launch(
    {
      argv: options.argv,
      filter: buildFilter(architecture, range),
      seccomp: architecture.seccomp,
      withoutInput: options.withoutInput,
    },
    (report) => {
      if (report.kind === "listener") listening.resolve(report.fd);
      else if (report.kind === "spawned") {
        childHas(report.errno === 0 ? report.pid : undefined);
        spawned.resolve(report);
      } else {
        childHas(undefined);
        listening.reject(refusal(report.call, report.errno));
      }
    },
  );
  const fd = await listening.promise;
  const ended = spawned.promise.then(async ({ pid, errno }) => {
    if (errno !== 0) return { notStarted: errno, status: 0 };
    const status = pinned(4);
    await libc.waitpidAside(pid, status, 0);
    childIsOver(pid);
    return { notStarted: undefined, status: new DataView(status.buffer).getInt32(0, true) };
  });
  return { fd, range, pid: spawned.promise.then(({ pid, errno }) => errno === 0 ? pid : undefined), ended };
}

/** Who answers the calls that come to a listener. `held` is where each call lies, if others are to know. */
export function supervise(
  { fd, range, held }: Pick<Launched, "fd" | "range"> & { readonly held?: Uint8Array<ArrayBuffer> },
  surroundings: Surroundings,
): Supervisor {
  return new Supervisor({
    listener: new Listener(fd, held),
    architecture: requireSystem(),
    range,
    ...surroundings,
  });
}

/** Passes signals on to a program while it runs. @returns how it ended, as soon as it has */
export async function watch({ pid, ended }: Launched, signals: SignalWatch): Promise<Omit<Ending, "calls">> {
  const number = await pid;
  if (number !== undefined) signals.running(number);
  const { notStarted, status } = await ended;
  if (number !== undefined) signals.over(number);
  const signal = status & 0x7f;
  return {
    notStarted,
    code: signal === 0 ? status >> 8 & 0xff : undefined,
    signal: signal === 0 ? undefined : signal,
  };
}

/**
 * Runs programs to their end, and all processes that they leave behind, beside what runs in the loop already.
 *
 * @param surroundings those of each program
 * @param ended is told when all of them have ended, although others in the loop may not
 * @returns how each of them ended @throws {ExecError}
 */
export async function runPrograms(
  programs: readonly LaunchOptions[],
  surroundings: readonly Surroundings[],
  loop: Loop,
  ended: () => void = () => {},
): Promise<Ending[]> {
  using signals = new SignalWatch();
  const running: Promise<Ending>[] = [];
  try {
    for (const [i, program] of programs.entries()) {
      const launched = await launchProgram(program);
      const supervisor = supervise(launched, surroundings[i]!);
      const { abort } = surroundings[i]!;
      // Starting takes its time; it may be too late by now.
      if (abort?.aborted) supervisor.kill(SIGKILL);
      else abort?.addEventListener("abort", () => supervisor.kill(SIGKILL));
      const over = loop.add(supervisor);
      const ending = watch(launched, signals);
      running.push(over.then(async () => ({ ...await ending, calls: supervisor.calls })));
    }
  } finally {
    // Where one cannot be watched those before it still run to their end.
    const all = Promise.all(running).then(() => {
      signals[Symbol.dispose]();
      ended();
    });
    await loop.run();
    await all;
  }
  return await Promise.all(running);
}
