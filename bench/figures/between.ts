/** Two processes on one host file: a file sent, messages there and back, and what waiting costs. */
import { atLeast, atMost, type Effort, type Figure, median, readable, scaled, timed } from "../figure.ts";
import { command, Dialogue, ofProcess, run, Scratch } from "../program.ts";

const MIB = 2 ** 20;
const WAITING_S = 4;

/** A file through DMBs of two sizes, from `send` to `recv`. */
export async function transferFigures(effort: Effort): Promise<Figure[]> {
  using scratch = new Scratch();
  const host = `${scratch.path}/host.db`;
  await run(["--host", host, "host", "create"]);
  const bytes = scaled(16 * MIB, effort, 1000);
  const file = `${scratch.path}/file`;
  Deno.writeFileSync(file, new Uint8Array(bytes).map((_, i) => i * 7 + (i >> 8)));
  const copy = await timed(() => Deno.writeFileSync(`${file}.copy`, Deno.readFileSync(file)));
  const figures: Figure[] = [];
  for (const [dmb, limit] of [["64k", 60], ["1M", 150]] as const) {
    const times: number[] = [];
    for (let i = 0; i < Math.min(effort.runs, 3); i++) {
      const args = ["--host", host, "--json", "recv", "-d", "1", "--dmb", dmb, "--timeout", "30"];
      const receiving = command(args).output();
      const sender = command(["--host", host, "--json", "send", file, "--wait", "30"], { stdout: "piped" });
      const { stdout, success } = await sender.output();
      if (!success || !(await receiving).success) throw new Error("The file did not arrive");
      const { result } = JSON.parse(new TextDecoder().decode(stdout)) as { result: { seconds: number } };
      times.push(result.seconds);
    }
    const value = bytes / MIB / median(times);
    const floor = `${readable(bytes / MIB / copy * 1000)} MiB/s for a copy of the file`;
    const name = `send to recv, DMB of ${dmb}`;
    figures.push({ name, shown: `${readable(value)} MiB/s`, floor, value, goal: atLeast(limit, " MiB/s") });
  }
  return figures;
}

/** Messages of 8 bytes there and back between two shells, and the CPU time of one that waits. */
export async function messageFigures(effort: Effort): Promise<Figure[]> {
  using scratch = new Scratch();
  const host = `${scratch.path}/host.db`;
  await run(["--host", host, "host", "create"]);
  await using one = new Dialogue(["--host", host, "-d", "0", "--json", "shell"]);
  await using other = new Dialogue(["--host", host, "-d", "1", "--json", "shell"]);
  const gids = [one.result("gid")["gid"], other.result("gid")["gid"]];
  const { token: here } = one.result(`dmb register --size 4k --rgid ${gids[1]}`);
  const { token: there } = other.result(`dmb register --size 4k --rgid ${gids[0]}`);
  const message = (from: Dialogue, to: Dialogue, token: unknown) => {
    to.send("irq wait --timeout 10");
    from.result(`move ${token} 0 seq:0*8 --signal`);
    if (!to.answer().includes('"ok":true')) throw new Error("The message did not arrive");
  };
  const count = scaled(500, effort, 2);
  const time = await timed(() => {
    for (let i = 0; i < count; i++) {
      message(one, other, there);
      message(other, one, here);
    }
  });
  const value = count / time * 1000;
  const floor = 1000 / median(await commits(scratch, scaled(200, effort, 2)));
  return [{
    name: "a message there and back between two shells",
    shown: `${readable(value)}/s`,
    floor: `${readable(floor)}/s writes forced to the disk`,
    value,
    goal: atLeast(500, "/s"),
  }, await idleFigure(one, effort)];
}

/** Milliseconds of a write that is forced to the disk. */
async function commits({ path }: Scratch, count: number): Promise<number[]> {
  using file = await Deno.open(`${path}/sync`, { create: true, write: true });
  const page = new Uint8Array(4096);
  const times: number[] = [];
  for (let i = 0; i < count; i++) {
    times.push(
      await timed(() => {
        file.writeSync(page);
        file.syncDataSync();
      }),
    );
  }
  return times;
}

/** The part of a core that a wait takes for which nothing happens. Linux only. */
async function idleFigure(shell: Dialogue, effort: Effort): Promise<Figure> {
  const seconds = effort.divisor > 1 ? 0.2 : WAITING_S;
  shell.send(`irq wait --timeout ${seconds * 2}`);
  await new Promise((resolve) => setTimeout(resolve, seconds * 500));
  const before = await cpuMilliseconds(shell.pid);
  await new Promise((resolve) => setTimeout(resolve, seconds * 1000));
  const value = (await cpuMilliseconds(shell.pid) - before) / (seconds * 10);
  shell.answer();
  return {
    name: "a wait in which nothing happens",
    shown: `${readable(value)} %`,
    floor: "",
    value,
    goal: atMost(1, " % of a core"),
  };
}

/** CPU time that a process has used; ticks are 10 ms (proc(5)). */
async function cpuMilliseconds(pid: number): Promise<number> {
  const stat = await ofProcess(pid, "stat");
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  return (Number(fields[11]) + Number(fields[12])) * 10;
}
