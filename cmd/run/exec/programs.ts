/**
 * Programs on a host: alone with it in one transaction, as the process that has the host file for itself, or beside one
 * that has it.
 */
import type { Tracer, TraceSink } from "../../../lib/base/trace.ts";
import { isOwned, ownerNote } from "../../../lib/host/file/owner.ts";
import type { Host } from "../../../lib/host/host.ts";
import { abandoned } from "../../../lib/exec/abandoned.ts";
import { allow, fetchDescriptors, kill, ownId } from "../../../lib/exec/foreign_program.ts";
import { mapHeldCall, newHeldCall, readHeldCall } from "../../../lib/exec/held_call.ts";
import { Loop } from "../../../lib/exec/loop.ts";
import {
  type Ending,
  type Launched,
  type LaunchOptions,
  launchProgram,
  runPrograms,
  supervise,
  type Surroundings,
  watch,
} from "../../../lib/exec/run.ts";
import { SignalWatch } from "../../../lib/exec/signals.ts";
import type { Finding } from "../../../lib/exec/audit/findings_of.ts";
import type { Audit } from "./audit.ts";
import type { Context } from "../../language/command.ts";
import { CANNOT_RUN, DescribedError, NotStartedError } from "../../output/failure.ts";
import { TraceCollector } from "../../output/trace/collector.ts";
import { TraceText } from "../../output/trace/text.ts";
import { findDevice, functionNamed } from "../driver/device.ts";
import { ask, OwnerGoneError } from "../owner/client.ts";
import type { ProgramQuestion } from "../owner/messages.ts";
import { OwnerServer } from "../owner/server.ts";
import { plural } from "../../output/units.ts";

export type { Ending } from "../../../lib/exec/run.ts";

/** A program of a command line. */
export interface ProgramLine extends LaunchOptions {
  /** The word that names the function whose guest it sees. */
  readonly device: string;
  /** What it maps for DMA counts against its RLIMIT_MEMLOCK. */
  readonly countsLocked: boolean;
  /** It is asked what the program did that only luck makes work. */
  readonly audit: boolean;
}

/** How a program ended, and what an audit found. */
export interface AuditedEnding extends Ending {
  readonly findings?: readonly Finding[] | undefined;
}

/** An audit of a program, where one is asked for. */
async function auditOf(audit: boolean): Promise<Audit | undefined> {
  return audit ? new (await import("./audit.ts")).Audit() : undefined;
}

/** Endings with what the audits found. */
function audited(endings: readonly Ending[], audits: readonly (Audit | undefined)[]): AuditedEnding[] {
  return endings.map((ending, i) => ({ ...ending, findings: audits[i]?.findings }));
}

/** Runs programs to their end. @returns how each ended @throws {ExecError} @throws {HostFileError} */
export async function runOnHost(
  context: Context,
  programs: readonly ProgramLine[],
): Promise<AuditedEnding[]> {
  const audits = await Promise.all(programs.map(({ audit }) => auditOf(audit)));
  if (!context.shared) {
    return await context.transactLong(async (_, host) => {
      const loop = new Loop();
      try {
        const { sink } = host.tracer;
        const endings = await runPrograms(
          programs,
          programs.map((line, i) => surroundings(context, host, line, sink, audits[i])),
          loop,
        );
        return audited(endings, audits);
      } finally {
        loop.close();
      }
    });
  }
  // Whoever ends between the two looks leaves the host to the next one.
  for (;;) {
    if (isOwned(context.store.path)) return await join(context, programs);
    const folder = context.store.own(String(ownId()));
    if (folder !== undefined) return audited(await own(context, programs, folder, audits), audits);
  }
}

function surroundings(
  { terminal }: Context,
  host: Host,
  { device, countsLocked }: ProgramLine,
  sink: TraceSink | undefined,
  audit: Audit | undefined,
): Surroundings {
  return {
    kernel: findDevice(host, device).guest.kernel,
    tracer: host.tracer,
    sink,
    countsLocked,
    remark: (text) => terminal.err(`ism: exec: ${text}\n`),
    observer: audit?.observer,
  };
}

/** Has the host for this process until its own programs, and those that others have brought, have ended. */
async function own(
  context: Context,
  programs: readonly ProgramLine[],
  folder: string,
  audits: readonly (Audit | undefined)[],
): Promise<Ending[]> {
  const { store, terminal, trace, commands } = context;
  const host = store.begin("write");
  const loop = new Loop(() => store.touched());
  try {
    const parts = programs.map((line, i) => surroundings(context, host, line, trace?.on(host), audits[i]));
    let isOver = false;
    const adopt = (question: ProgramQuestion, tell: (text: string) => void) =>
      adoptProgram(context, host, loop, question, tell);
    const endings = runPrograms(programs, parts, loop, () => {
      if (isOver) return;
      isOver = true;
      store.commit(host);
      if (loop.size === 0) return;
      terminal.err(
        `ism: exec: the program has ended; others on this host go on, and this process stays until they end (${
          plural(loop.size, "program")
        })\n`,
      );
    });
    // The program comes up meanwhile.
    using server = new OwnerServer(store, folder, adopt, commands);
    try {
      return await endings;
    } finally {
      // What was asked at the last moment is answered, and programs that came then run.
      do await Promise.all([loop.run(), server.drain()]); while (loop.size > 0);
    }
  } finally {
    loop.close();
    try {
      store.commit(host);
    } finally {
      store.disown();
    }
  }
}

/** Answers a program that another process has started. */
async function adoptProgram(
  { store }: Context,
  host: Host,
  loop: Loop,
  { pid, listener, held, device, range, countsLocked, globals, audit: isAudited }: ProgramQuestion,
  tell: (text: string) => void,
) {
  const { kernel } = findDevice(host, device).guest;
  const fetched = fetchDescriptors(pid, [listener, held]);
  if (typeof fetched === "string") {
    throw new NotStartedError(
      `the program cannot join the exec that has the host: ${fetched}; start both by one command, as in exec A : B`,
      CANNOT_RUN,
    );
  }
  const keepsEvents = globals.json;
  const trace = globals.trace === undefined ? undefined : new TraceCollector({
    filter: globals.trace,
    find: functionNamed,
    layout: new TraceText(true),
    flush: keepsEvents ? undefined : tell,
  });
  const tracer: Tracer = host.tracer;
  const remark = (text: string) => tell(`ism: exec: ${text}\n`);
  const audit = await auditOf(isAudited);
  const observer = audit?.observer;
  const [fd, memory] = fetched as [number, number];
  const supervisor = supervise(
    { fd, range, held: mapHeldCall(memory) },
    { kernel, tracer, sink: trace?.on(host), countsLocked, remark, observer },
  );
  await loop.add(supervisor);
  store.commit(host);
  return {
    result: { calls: supervisor.calls, findings: audit?.findings },
    trace: keepsEvents ? trace?.collected : undefined,
  };
}

/** Starts programs whose calls the process answers that has the host. */
async function join(context: Context, programs: readonly ProgramLine[]): Promise<AuditedEnding[]> {
  const { path } = context.store;
  allow(Number(ownerNote(path) ?? 0));
  using signals = new SignalWatch();
  const endings: Promise<AuditedEnding>[] = [];
  for (const line of programs) {
    const launched = await launchProgram(line);
    endings.push(joinOne(context, line, launched, signals));
  }
  return await Promise.all(endings);
}

async function joinOne(
  { store: { path }, terminal, trace, globals }: Context,
  { device, countsLocked, audit }: ProgramLine,
  launched: Launched,
  signals: SignalWatch,
): Promise<AuditedEnding> {
  const { fd, range } = launched;
  const ending = watch(launched, signals);
  const held = newHeldCall();
  let calls = 0;
  let findings: readonly Finding[] | undefined = undefined;
  try {
    const question = {
      kind: "program",
      pid: ownId(),
      listener: fd,
      held,
      device,
      countsLocked,
      range,
      globals,
      audit,
    } as const;
    const answer = await ask(path, question, (bytes) => terminal.errBytes(bytes));
    if (answer.failure !== undefined) throw new DescribedError(answer.failure);
    if (answer.trace !== undefined) trace?.adopt(answer.trace);
    calls = Number(answer.outcome!.result["calls"]);
    findings = answer.outcome!.result["findings"] as readonly Finding[] | undefined;
  } catch (error) {
    const loop = new Loop();
    void loop.add(abandoned(fd, range, readHeldCall(held)));
    if (error instanceof OwnerGoneError) {
      terminal.err("ism: exec: the ism exec that had the host has ended: its devices are gone (ENODEV)\n");
    } else void launched.pid.then((pid) => pid === undefined || kill(pid));
    await loop.run();
    loop.close();
    if (!(error instanceof OwnerGoneError)) throw error;
  }
  return { ...await ending, calls, findings };
}
