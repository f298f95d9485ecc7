/** What a process costs that waits for somebody: a key, a line, a sender, an interrupt. */
import { assert, assertLess } from "@std/assert";
import { Program } from "./support/program.ts";
import { NO_TERMINAL, PROMPT, TerminalRun } from "./support/terminal.ts";

/** How long is measured. Seconds. */
const MEASURED_S = 6;
/** How long a wait has lasted before: its first looks are close together, for a peer that is at work. Seconds. */
const BEFORE_S = 4;
/** The promise: less than this part of a core. */
const LIMIT = 0.01;

/** Processes of the program in this directory, with the CPU time that each has used, in seconds. */
async function cpuTimes(program: Program): Promise<Map<number, number>> {
  const { stdout } = await program.shell(`
    getconf CLK_TCK
    for process in /proc/[0-9]*; do
      [ "$(readlink $process/cwd)" = '${program.dir}' ] || continue
      case "$(readlink $process/exe)" in */deno | */ism) cat $process/stat;; esac
    done 2>/dev/null`);
  const [ticks, ...lines] = stdout.trimEnd().split("\n");
  return new Map(lines.map((line) => {
    // utime and stime are fields 14 and 15 (proc(5)); the name in field 2 may hold spaces.
    const fields = line.slice(line.lastIndexOf(")") + 2).split(" ");
    return [Number.parseInt(line), (Number(fields[11]) + Number(fields[12])) / Number(ticks)];
  }));
}

/** Waits until somebody offers to receive, and the interrupts of function 0 are on. */
async function untilWaiting(program: Program): Promise<void> {
  for (;;) {
    const { document: { state } } = await program.result("host", "export");
    if (state.rendezvous.length === 1 && state["adapter/16"].ieq !== null) return;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}

Deno.test({
  name: `a shell at its prompt, a shell behind a pipe, recv and irq wait use less than 1 % of a core` +
    (NO_TERMINAL ? " (skipped: no util-linux script here)" : ""),
  ignore: NO_TERMINAL || Deno.build.os !== "linux",
  async fn() {
    using program = new Program();
    await program.result("host", "create");
    await using terminal = new TerminalRun(program, ["shell"]);
    await terminal.until(PROMPT);
    await terminal.line("gid");
    const others = [["shell"], ["recv", "-d", "1"], ["irq", "wait"]].map((args) => program.spawn(args));
    try {
      await untilWaiting(program);
      await new Promise((resolve) => setTimeout(resolve, BEFORE_S * 1000));
      const before = await cpuTimes(program);
      const started = performance.now();
      await new Promise((resolve) => setTimeout(resolve, MEASURED_S * 1000));
      const after = await cpuTimes(program);
      const seconds = (performance.now() - started) / 1000;
      assert(before.size === 4 && after.size === 4, `${before.size} and ${after.size} processes`);
      for (const [pid, time] of after) {
        const share = (time - before.get(pid)!) / seconds;
        assertLess(share, LIMIT, `process ${pid} uses ${(share * 100).toFixed(2)} % of a core`);
      }
    } finally {
      for (const child of others) {
        child.kill("SIGINT");
        await Promise.all([
          child.stdout.cancel(),
          child.stderr.cancel(),
          child.stdin.close().catch(() => {}),
        ]);
        await child.status;
      }
    }
  },
});
