/**
 * A program's calls under exec. One floor is a loop that takes the same calls and answers 0 without simulating, another
 * one that also copies the bytes; rounds of all alternate, so that a busy machine is as unfair to one as to the other.
 */
import { bundle } from "../../build/bundle.ts";
import { atLeast, atMost, type Effort, type Figure, median, readable, scaled } from "../figure.ts";
import { asForm, command, placed, Scratch, startToEnd } from "../program.ts";
import { paired } from "./start.ts";

const COUNT = 100_000;
const MESSAGES = 50_000;
const NATIVE_COUNT = 1_000_000;
const UNDER = new URL("../exec/under.ts", import.meta.url).pathname;

/** Microseconds per call that a run prints. @throws {Error} if it does not end well */
async function perCall(process: Deno.Command): Promise<number> {
  const { success, stdout } = await process.output();
  if (!success) throw new Error("calls.c failed");
  return Number(new TextDecoder().decode(stdout));
}

/**
 * Two programs: each waits for the signal of the other, and answers with one of its own. Floor: two processes that wake
 * each other up by eventfds and do nothing else. A processor that sleeps takes long to wake up, so that both are
 * measured on one processor, too.
 *
 * @param calls calls.c
 */
async function messages(effort: Effort, scratch: Scratch, calls: string): Promise<Figure[]> {
  const program = `${scratch.path}/pair`;
  const source = new URL("../../tests/exec/pair.c", import.meta.url).pathname;
  const gcc = await new Deno.Command("gcc", { args: ["-O2", "-o", program, source], stderr: "inherit" })
    .output();
  if (!gcc.success) throw new Error("gcc failed");
  const count = String(scaled(MESSAGES, effort, 100));
  const rate = async (onOne: boolean) => {
    const folder = Deno.makeTempDirSync({ dir: scratch.path });
    const words = (side: number) => [
      program,
      `000${side + 1}:00:00.0`,
      String(side),
      folder,
      "messages",
      count,
    ];
    const { success, stderr } = await command(
      ["--host", ":memory:", "exec", "--", ...words(0), ":", "-d", "1", ...words(1)],
      { onOne, stdout: "null", stderr: "piped" },
    ).output();
    if (!success) throw new Error("pair.c failed");
    return Number(/^(\d+) messages a second$/m.exec(new TextDecoder().decode(stderr))![1]);
  };
  const native = async (onOne: boolean) => {
    const [path, args] = placed(calls, ["eventfds", count], onOne);
    return 1e6 / await perCall(new Deno.Command(path, { args }));
  };
  const rounds: { readonly rates: number[]; readonly floors: number[] }[] = [];
  for (let i = 0; i < effort.runs; i++) {
    rounds.push({
      floors: [await native(false), await native(true)],
      rates: [await rate(false), await rate(true)],
    });
  }
  return [false, true].map((onOne) => {
    const value = median(rounds.map(({ rates }) => rates[Number(onOne)]!));
    const floor = median(rounds.map(({ floors }) => floors[Number(onOne)]!));
    return {
      name: onOne
        ? "exec: the same, everything on one processor"
        : "exec: messages of two programs, there and back, with signals",
      shown: `${readable(value)} /s`,
      floor: `${readable(floor)} /s of eventfds alone`,
      value,
      goal: atLeast(20_000, " /s"),
    };
  });
}

/** Calls under exec, a call that is not simulated, and the start. */
export async function execFigures(effort: Effort): Promise<Figure[]> {
  using scratch = new Scratch();
  const program = `${scratch.path}/calls`;
  const source = new URL("../exec/calls.c", import.meta.url).pathname;
  const gcc = await new Deno.Command("gcc", { args: ["-O2", "-o", program, source], stderr: "inherit" })
    .output();
  if (!gcc.success) throw new Error("gcc failed");
  const under = (kind: string, count: number, ...more: readonly string[]) =>
    perCall(command([program, kind, String(count), ...more], { module: UNDER, stdout: "piped" }));

  const figures: Figure[] = [];
  const compare = async (name: string, kind: string, dmb: string, limit: number) => {
    const times: { readonly real: number; readonly floor: number; readonly copies: number }[] = [];
    for (let i = 0; i < effort.runs; i++) {
      const count = scaled(COUNT, effort, 100);
      times.push({
        floor: await under(kind, count, "floor", dmb),
        copies: await under(kind, count, "copies", dmb),
        real: await under(kind, count, "exec", dmb),
      });
    }
    const real = median(times.map((time) => time.real));
    figures.push({
      name: `exec: ${name}`,
      shown: `${readable(real)} us`,
      floor: `${readable(median(times.map(({ floor }) => floor)))} us answering 0`,
      value: real / median(times.map(({ floor }) => floor)),
      goal: atMost(limit),
    });
    // One process_vm_readv or process_vm_writev alone is more than the limit above leaves.
    figures.push({
      name: "exec: the same",
      shown: `${readable(real)} us`,
      floor: `${readable(median(times.map(({ copies }) => copies)))} us copying the bytes`,
      value: real / median(times.map(({ copies }) => copies)),
      goal: atMost(1.2),
    });
    return real;
  };
  const pread = await compare("pread of 8 bytes of BAR 2", "pread8", "own", 1.3);
  figures.push({
    name: "exec: the same as a rate",
    shown: `${readable(1e6 / pread)} /s`,
    floor: "",
    value: 1e6 / pread,
    goal: atLeast(90_000, " /s"),
  });
  await compare("pwrite of 4 KiB to a simulated guest", "pwrite4k", "peer", 1.3);
  // The bytes go from the program's memory to ism and back to the program's memory.
  await compare("pwrite of 4 KiB to the program itself", "pwrite4k", "own", 1.6);

  figures.push(...await messages(effort, scratch, program));

  const count = scaled(NATIVE_COUNT, effort, 100);
  const others: { readonly native: number; readonly filtered: number }[] = [];
  for (let i = 0; i < effort.runs; i++) {
    const native = new Deno.Command(program, { args: ["devnull", String(count)] });
    others.push({ native: await perCall(native), filtered: await under("devnull", count, "exec", "own") });
  }
  figures.push({
    name: "exec: a call that is not simulated, more than native",
    shown: `${readable(median(others.map(({ filtered }) => filtered)))} us`,
    floor: `${readable(median(others.map(({ native }) => native)))} us native`,
    value: median(others.map(({ native, filtered }) => filtered - native)),
    goal: atMost(0.1, " us"),
  });

  const ism = asForm(await bundle("compiled"), `${scratch.path}/cache`);
  const host = ["--host", `${scratch.path}/host.db`];
  await startToEnd(ism, [...host, "host", "create"]);
  const [time, version] = await paired(
    effort.runs,
    () => startToEnd(ism, [...host, "exec", "--", "/bin/true"]),
    () => startToEnd(ism, ["--version"]),
  );
  figures.push({
    name: "exec: start of a program, more than --version",
    shown: `${readable(time)} ms`,
    floor: `${readable(version)} ms for --version`,
    value: time - version,
    goal: atMost(60, " ms"),
  });
  return figures;
}
