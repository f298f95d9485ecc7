/** Many lines: scripts, repeats, dialogues, on hosts of different sizes. */
import { DatabaseSync } from "node:sqlite";
import { atLeast, atMost, type Effort, type Figure, median, readable, scaled, timed } from "../figure.ts";
import { Dialogue, peakMemory, run, Scratch } from "../program.ts";

const ECHO = new URL("echo.ts", import.meta.url).pathname;
const SPLIT = new URL("split.ts", import.meta.url).pathname;
const MIB = 2 ** 20;
/** Turns in which a figure and its floor are measured. */
const TURNS = 10;

/** A script that registers a DMB and stores into it `count` times. */
function storing(count: number): string {
  const set = "let gid gid\nlet tok dmb register --size 64k --rgid $gid -d 1\n";
  return set + `stb bar0 $tok seq:0*64\n`.repeat(count);
}

/** The same with another block of data in each line, so that no line can be compiled for another one. */
function storingDifferent(count: number): string {
  let text = storing(0);
  for (let i = 0; i < count; i++) text += `stb bar0 $tok hex:${i.toString(16).padStart(16, "0")}\n`;
  return text;
}

/** Scripts of many lines and a command that is repeated. */
export async function scriptFigures(effort: Effort): Promise<Figure[]> {
  using scratch = new Scratch();
  const runs = Math.min(effort.runs, 5);
  const count = scaled(100_000, effort, 10);
  const script = scratch.file("stores.ism", storing(count));
  const nothing = scratch.file("nothing.ism", storing(0));
  const repeats = scaled(1_000_000, effort, 10);
  const repeat = scratch.file(
    "repeat.ism",
    storing(0) + `repeat ${repeats} stb bar0 $tok seq:0*64\n`,
  );
  const split = median(await several(runs, () => timed(() => run([script], SPLIT))));
  const figures: Figure[] = [];
  const add = async (name: string, lines: number, least: number, args: readonly string[]) => {
    const base = median(await several(runs, () => timed(() => run([...args.slice(0, -1), nothing]))));
    const time = median(await several(runs, () => timed(() => run(args)))) - base;
    const value = lines / time * 1000;
    const floor = `${readable(count / split * 1000)}/s read and split`;
    figures.push({ name, shown: `${readable(value)}/s`, floor, value, goal: atLeast(least, "/s") });
  };
  const memory = ["--host", ":memory:"];
  await add(`run: ${count} stb lines`, count, 200_000, [...memory, "run", script]);
  await add(`run --json: ${count} stb lines`, count, 120_000, [...memory, "--json", "run", script]);
  const different = scratch.file("different.ism", storingDifferent(count));
  await add(`run: ${count} different stb lines`, count, 200_000, [...memory, "run", different]);
  await add(`repeat ${repeats} stb`, repeats, 1_500_000, [...memory, "run", repeat]);
  const expecting = scratch.file(
    "expecting.ism",
    "expect ok stb bar2 8 fill:0*8 # holds\n".repeat(scaled(10_000, effort, 10)),
  );
  const plain: number[] = [];
  const told: number[] = [];
  // In turn, because machines have moods.
  for (let i = 0; i < runs; i++) {
    plain.push(await timed(() => run([...memory, "run", "-q", expecting])));
    told.push(
      await timed(() => run([...memory, "run", "-q", expecting, "--junit", `${scratch.path}/x.xml`])),
    );
  }
  figures.push({
    name: "run --junit: 10000 expectations",
    shown: `${readable(median(told))} ms`,
    floor: `${readable(median(plain))} ms without`,
    value: median(told) / median(plain),
    goal: atMost(1.3),
  });
  const base = await peakMemory([...memory, "run", nothing]);
  for (const [what, path] of [["lines", script], ["different lines", different]] as const) {
    const most = await peakMemory([...memory, "run", path]);
    figures.push({
      name: `run: memory for ${count} ${what} above an empty script`,
      shown: `${readable((most - base) / MIB)} MiB`,
      floor: `${readable(base / MIB)} MiB`,
      value: (most - base) / MIB,
      goal: atMost(120, " MiB"),
    });
  }
  return figures;
}

async function several(runs: number, work: () => Promise<number>): Promise<number[]> {
  const times: number[] = [];
  for (let i = 0; i < runs; i++) times.push(await work());
  return times;
}

/** Lines per second of a dialogue, one after the other. */
function rate(dialogue: Dialogue, line: string, count: number): number {
  const started = performance.now();
  for (let i = 0; i < count; i++) dialogue.ask(line);
  return count / (performance.now() - started) * 1000;
}

/** Opens the functions, and registers `dmbs` DMBs with the second one. @returns a store into the last one */
function prepare(shell: Dialogue, dmbs: number): string {
  const { gid } = shell.result("gid");
  let token: unknown;
  for (let i = 0; i < dmbs; i++) {
    ({ token } = shell.result(`dmb register --size 4k --rgid ${gid} -d 1`));
  }
  return `stb bar0 ${token} seq:0*64`;
}

/** Rates of a dialogue with one DMB, with many, and of the floor: by turns, because machines have moods. */
async function ratesInMemory(many: number, lines: number): Promise<Record<"few" | "full" | "echo", number>> {
  const inMemory = ["--host", ":memory:", "--json", "shell"];
  await using few = new Dialogue(inMemory);
  await using full = new Dialogue(inMemory);
  await using echo = new Dialogue([], ECHO);
  const fewLine = prepare(few, 1);
  const asked = { few: [few, fewLine], full: [full, prepare(full, many)], echo: [echo, fewLine] } as const;
  const rates: Record<keyof typeof asked, number[]> = { few: [], full: [], echo: [] };
  // The first turn warms up.
  for (let turn = 0; turn <= TURNS; turn++) {
    for (const name of ["few", "full", "echo"] as const) {
      const each = rate(...asked[name], Math.ceil(lines / TURNS));
      if (turn > 0) rates[name].push(each);
    }
  }
  return { few: median(rates.few), full: median(rates.full), echo: median(rates.echo) };
}

/** A dialogue with the shell, in memory and on a host file, and DMBs registered one by one. */
export async function dialogueFigures(effort: Effort): Promise<Figure[]> {
  using scratch = new Scratch();
  const many = scaled(1800, effort, 4);
  const { few, full, echo } = await ratesInMemory(many, scaled(20_000, effort, 10));
  const figures: Figure[] = [{
    name: "shell: a line in memory",
    shown: `${readable(few)}/s`,
    floor: `${readable(echo)}/s echoed`,
    value: few,
    goal: atLeast(12_000, "/s"),
  }, {
    name: `shell: the same with ${many} DMBs, against one`,
    shown: `${readable(full)}/s`,
    floor: `${readable(few)}/s`,
    value: full / few,
    goal: atLeast(0.9),
  }];

  const registering = async (dmbs: number) => {
    await using shell = new Dialogue(["--host", ":memory:", "--json", "shell"]);
    const { gid } = shell.result("gid");
    return await timed(() => {
      for (let i = 0; i < dmbs; i++) shell.result(`dmb register --size 4k --rgid ${gid} -d 1`);
    });
  };
  const half = await registering(many >> 1);
  const whole = await registering(many);
  figures.push({
    name: `shell: ${many} DMBs registered`,
    shown: `${readable(whole)} ms`,
    floor: `${readable(many / echo * 1000)} ms echoed`,
    value: whole,
    goal: atMost(400, " ms"),
  }, {
    name: "shell: the same, against half as many",
    shown: `${readable(whole)} ms`,
    floor: `${readable(half)} ms`,
    value: whole / half,
    goal: atMost(2.4),
  });

  figures.push(...await durableFigures(scratch, effort, many));
  return figures;
}

/** Fewer commits than SQLite's log takes before it is begun anew, so that all of them are of one kind. */
const DURABLE = 900;
/** More than it takes: the log has its full size, and does not grow any more. */
const FULL_LOG = 1100;

/** A line whose change is on the disk when its answer comes, beside a commit of one row. */
async function durableFigures(scratch: Scratch, effort: Effort, many: number): Promise<Figure[]> {
  const figures: Figure[] = [];
  const lines = scaled(DURABLE, effort, 5);
  for (const [name, dmbs] of [["one DMB", 1], [`${many} DMBs`, many]] as const) {
    const host = `${scratch.path}/${dmbs}.db`;
    await run(["--host", host, "host", "create"]);
    await using shell = new Dialogue(["--host", host, "--json", "shell"]);
    const line = prepare(shell, dmbs);
    // Other bytes each time: the same ones again would be no change of memory.
    const asked = [line, line.replace("seq:0", "seq:1")] as const;
    using young = new OneRow(`${scratch.path}/${dmbs}-young.db`);
    using grown = new OneRow(`${scratch.path}/${dmbs}-grown.db`);
    grown.commits(scaled(FULL_LOG, effort));
    const [times, floors, leasts]: [number[], number[], number[]] = [[], [], []];
    // In turn, because disks have moods.
    for (let i = 0; i < lines; i++) {
      const started = performance.now();
      shell.ask(asked[i % 2]!);
      times.push(performance.now() - started);
      floors.push(young.commits(1));
      leasts.push(grown.commits(1));
    }
    const add = (what: string, base: number, of: string) =>
      figures.push({
        name: what,
        shown: `${readable(median(times))} ms`,
        floor: `${readable(base)} ms for a commit of one row${of}`,
        value: median(times) / base,
        goal: atMost(1.5),
      });
    add(`shell: a durable line on a host file, ${name}`, median(floors), "");
    add("shell: the same", median(leasts), " into a log that does not grow");
  }
  return figures;
}

/** The floor of a durable line: one row of one table, committed as the host file is. */
class OneRow implements Disposable {
  readonly #db: DatabaseSync;

  constructor(path: string) {
    this.#db = new DatabaseSync(path);
    this.#db.exec("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL");
    this.#db.exec("CREATE TABLE row (key INTEGER PRIMARY KEY, value TEXT)");
  }

  /** @returns milliseconds of a commit, of several in a row */
  commits(count: number): number {
    const put = this.#db.prepare("INSERT OR REPLACE INTO row VALUES (1, ?)");
    const started = performance.now();
    for (let i = 0; i < count; i++) {
      this.#db.exec("BEGIN IMMEDIATE");
      put.run(String(i));
      this.#db.exec("COMMIT");
    }
    return (performance.now() - started) / count;
  }

  [Symbol.dispose](): void {
    this.#db.close();
  }
}
