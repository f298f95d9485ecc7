/** Runs a real program on the simulated machine. What it takes is loaded by this command alone. */
import { VERSION } from "../build_info.ts";
import { argument, defineCommand, flag, optional, rest } from "../language/command.ts";
import { CANNOT_RUN, NotStartedError } from "../output/failure.ts";
import { OUTPUT, text } from "../language/kinds.ts";
import type { AuditedEnding, ProgramLine } from "../run/exec/programs.ts";
import { UsageError } from "../language/usage_error.ts";

/** Exit code of a shell for a program that is not there, and what it adds to a signal. */
export const NOT_FOUND = 127;
const SIGNALLED = 128;
/** Exit code of `--strict` where there are findings. */
const FOUND = 1;

/** Why posix_spawn(3) failed, in the words of the C library. */
const REASONS: Readonly<Record<number, string>> = {
  2: "No such file or directory",
  7: "Argument list too long",
  8: "Exec format error",
  11: "Resource temporarily unavailable",
  12: "Cannot allocate memory",
  13: "Permission denied",
  20: "Not a directory",
  40: "Too many levels of symbolic links",
};
const ENOENT = 2;
/** What stands between programs, as with mpirun. */
const BETWEEN = ":";

const isPermitted = () => Deno.permissions.querySync({ name: "ffi" }).state === "granted";
const isSupported = () => Deno.build.os === "linux" && ["x86_64", "aarch64"].includes(Deno.build.arch);

/** What can be known before the C library is loaded, which does not have all functions everywhere. @throws {NotStartedError} */
export function requireSystem(): void {
  const { os, arch } = Deno.build;
  if (!isSupported()) {
    throw new NotStartedError(
      `exec runs programs on Linux on x86-64 and arm64, and this is ${os} on ${arch}`,
      CANNOT_RUN,
    );
  }
  if (isPermitted()) return;
  throw new NotStartedError(
    "exec calls the C library, which was not allowed: run ism with --allow-ffi, as `deno task ism` and the binary do",
    CANNOT_RUN,
  );
}

/** What a program came to. */
interface Outcome {
  readonly program: string;
  readonly exit: number;
  readonly signal: number | null;
  readonly calls: number;
}

/** Splits `A ARGS : -d 1 B ARGS` into programs. @throws {UsageError} */
function programsOf(
  words: readonly string[],
  first: Omit<ProgramLine, "argv">,
): ProgramLine[] {
  const programs: ProgramLine[] = [];
  let rest = [...words];
  for (;;) {
    const end = rest.indexOf(BETWEEN);
    const own = end < 0 ? rest : rest.slice(0, end);
    programs.push(programs.length === 0 ? { ...first, argv: own } : laterProgram(own, first));
    if (end < 0) return programs;
    rest = rest.slice(end + 1);
  }
}

/** A program behind a colon, which may begin with options of its own. @throws {UsageError} */
function laterProgram(
  words: readonly string[],
  { device: ofFirst, countsLocked, audit }: Omit<ProgramLine, "argv">,
): ProgramLine {
  let device = ofFirst;
  let anyDescriptor = false;
  let at = 0;
  for (; words[at]?.startsWith("-") === true; at++) {
    const word = words[at]!;
    if (word === "--") {
      at++;
      break;
    }
    if (word === "--any-descriptor") anyDescriptor = true;
    else if (word.startsWith("--device=")) device = word.slice("--device=".length);
    else if (/^-d./.test(word)) device = word.slice(2);
    else if ((word === "-d" || word === "--device") && words[at + 1] !== undefined) device = words[++at]!;
    else {
      throw new UsageError(
        `${word} is no option of a program behind ":"; these are -d WHICH and --any-descriptor`,
        {
          token: word,
        },
      );
    }
  }
  const argv = words.slice(at);
  if (argv.length === 0) throw new UsageError('A program is missing behind ":"', { token: BETWEEN });
  return { argv, device, anyDescriptor, countsLocked, withoutInput: true, audit };
}

/** How a program ended. @throws {NotStartedError} */
function outcomeOf(
  { argv: [program = ""] }: ProgramLine,
  { code, signal, notStarted, calls }: AuditedEnding,
): Outcome {
  if (notStarted !== undefined) {
    const reason = REASONS[notStarted] ?? `error number ${notStarted}`;
    throw new NotStartedError(`${program}: ${reason}`, notStarted === ENOENT ? NOT_FOUND : CANNOT_RUN);
  }
  return { program, exit: code ?? SIGNALLED + signal!, signal: signal ?? null, calls };
}

export const exec = defineCommand({
  name: "exec",
  group: "exec",
  summary: "Run a program on the simulated machine: its calls on VFIO nodes are answered by the guest",
  details:
    `The program is any Linux program, unmodified. /dev/vfio, /dev/iommu, /sys/bus/pci, /sys/kernel/iommu_groups and
the modules of VFIO are those of the guest of the function; everything else is the real machine's. What its
processes left open is closed when they end. Exit code, signals, terminal and input are the program's; 126 and
127 mean that it could not be run, as in a shell. Linux 5.19 or newer on x86-64 and arm64; docs/exec.md tells more.`,
  args: {
    program: argument(text("PROGRAM"), "the program, searched for in PATH as a shell does"),
    args: rest(text("ARGS"), "its arguments; nothing behind the program is an option of ism", {
      optional: true,
    }),
  },
  options: {
    anyDescriptor: flag(
      "let every descriptor mean a simulated file, for programs that move descriptors about",
    ),
    audit: optional(
      OUTPUT,
      "tell what the program did that only luck makes work: in words, or as SARIF (.json: a plain list) in a file",
    ),
    strict: flag("with --audit: exit code 1 if there are findings and the program itself ended with 0"),
    noMemlock: flag("let programs map as much for DMA as they like, whatever their RLIMIT_MEMLOCK says"),
  },
  access: "wait",
  verbatim: true,
  examples: ["exec -- /bin/ls /dev/vfio", "exec -d 1 -- /bin/cat /sys/bus/pci/devices/0002:00:00.0/vendor"],
  async run(context, { program, args, anyDescriptor, noMemlock, audit, strict }) {
    const { dryRun, stdinIsLines, deviceWord, hostPath, terminal } = context;
    if (dryRun) throw new UsageError("A program cannot be run dry: what it does outside of the host stays");
    if (strict && audit === undefined) throw new UsageError("--strict needs --audit", { token: "--strict" });
    const programs = programsOf([program, ...args], {
      device: deviceWord,
      anyDescriptor,
      countsLocked: !noMemlock,
      withoutInput: stdinIsLines && !Deno.stdin.isTerminal(),
      audit: audit !== undefined,
    });
    requireSystem();
    const report = audit === undefined
      ? undefined
      : new (await import("../run/exec/audit.ts")).AuditReport(audit, hostPath, VERSION);
    const { ExecError } = await import("../../lib/exec/run.ts");
    const { runOnHost } = await import("../run/exec/programs.ts");
    try {
      const endings = await runOnHost(context, programs);
      const outcomes = programs.map((line, i) => outcomeOf(line, endings[i]!));
      const { exit, signal } = outcomes.find(({ exit }) => exit !== 0) ?? outcomes[0]!;
      const calls = outcomes.reduce((sum, { calls }) => sum + calls, 0);
      const result = { exit, signal, calls, ...(outcomes.length === 1 ? {} : { programs: outcomes }) };
      if (report === undefined) return result;
      const findings = endings.flatMap(({ findings }) => findings ?? []);
      report.write(findings, terminal);
      return { ...result, exit: strict && findings.length > 0 && exit === 0 ? FOUND : exit, findings };
    } catch (error) {
      if (error instanceof ExecError) throw new NotStartedError(error.message, CANNOT_RUN);
      throw error;
    }
  },
  async beforehand() {
    if (!isSupported() || !isPermitted()) return;
    (await import("../../lib/exec/launch.ts")).prepareLaunch();
    await import("../run/exec/programs.ts");
  },
  exitCode: ({ exit }) => exit,
  value: ({ exit }) => String(exit),
  // Whoever waits for ism sees what it would see of the program.
  async afterwards({ signal }) {
    if (signal !== null) (await import("../../lib/exec/signals.ts")).dieBy(signal);
  },
});
