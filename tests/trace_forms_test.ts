/** Forms of a trace: `--trace-file` by its ending, and `view`, which makes any of them later. */
import { assert, assertEquals, assertMatch } from "@std/assert";
import type { EventRecord, TraceRecord } from "../cmd/output/trace/record.ts";
import { causesOf, eventsOf, spansOf } from "../cmd/output/trace/timeline.ts";
import { assertNoStack, exists, inParallel, Program } from "./support/program.ts";

/** Guest 0 stores into a DMB of guest 1 and interrupts it; the last line is refused. */
const LINES = [
  "let g0 gid",
  "let t dmb register --size 8k --rgid $g0 -d 1",
  "move $t 4090 text:hello<world> --signal",
  "irq -d 1",
  "stb bar0 0xff8 seq:0*9",
];
const FORMS = ["json", "jsonl", "svg", "html", "txt"] as const;

const textOf = (program: Program, name: string) => new TextDecoder().decode(program.read(name));

async function traced(program: Program, name: string): Promise<string> {
  const options = ["--keep-going", "--host", ":memory:", "--trace-file", name];
  assertEquals((await program.script(LINES, ...options)).code, 1);
  return textOf(program, name);
}

async function recordsOf(program: Program): Promise<TraceRecord[]> {
  const lines = (await traced(program, "trace.jsonl")).trimEnd().split("\n");
  return lines.map((line) => JSON.parse(line));
}

/** A field of a Chrome trace event. */
interface ChromeEvent {
  readonly name: string;
  readonly cat?: string;
  readonly ph: string;
  readonly ts?: number;
  readonly dur?: number;
  readonly pid: number;
  readonly tid?: number;
  readonly id?: number;
  readonly bp?: string;
  readonly args?: Readonly<Record<string, unknown>>;
}

Deno.test("Chrome Trace Event JSON keeps the rules of the format: metadata, nested slices, flows that end in slices", async () => {
  using program = new Program();
  const { traceEvents } = JSON.parse(await traced(program, "trace.json")) as {
    readonly traceEvents: readonly ChromeEvent[];
  };
  const named = (name: string) =>
    traceEvents.filter((event) => event.ph === "M" && event.name === name)
      .map(({ pid, tid, args }) => [pid, tid, args!["name"]]);
  assertEquals(named("process_name"), [[1, undefined, "guest0"], [2, undefined, "guest1"]]);
  const threads = ["driver", "kernel", "machine", "adapter"];
  assertEquals(named("thread_name"), [1, 2].flatMap((pid) => threads.map((name, i) => [pid, i + 1, name])));
  const slices = traceEvents.filter(({ ph }) => ph === "X");
  for (const { ts, dur, pid, tid, name } of slices) {
    assert(ts! >= 0 && dur! > 0 && [1, 2].includes(pid) && tid! >= 1 && tid! <= 4, name);
  }
  // Slices of one thread lie within each other or apart, as complete events must.
  for (const pid of [1, 2]) {
    for (const tid of [1, 2, 3, 4]) {
      const ends: number[] = [];
      const own = slices.filter((slice) => slice.pid === pid && slice.tid === tid)
        .toSorted((a, b) => a.ts! - b.ts! || b.dur! - a.dur!);
      for (const { ts, dur, name } of own) {
        while (ends.length > 0 && ends.at(-1)! <= ts! + 1e-9) ends.pop();
        assert(ends.length === 0 || ts! + dur! <= ends.at(-1)! + 0.0011, `${name} at ${ts} of ${pid}/${tid}`);
        ends.push(ts! + dur!);
      }
    }
  }
  // An arrow begins in the store of one guest and ends in the interrupt of the other.
  const flows = traceEvents.filter(({ ph }) => ph === "s" || ph === "f");
  assertEquals(flows.map(({ ph, id, bp }) => [ph, id, bp]), [["s", 1, undefined], ["f", 1, "e"]]);
  const around = ({ ts, pid, tid }: ChromeEvent) =>
    slices.filter((slice) =>
      slice.pid === pid && slice.tid === tid && slice.ts! <= ts! && ts! <= slice.ts! + slice.dur!
    )
      .map(({ name }) => name);
  assertEquals([flows[0]!.pid, around(flows[0]!)], [1, ["PCISTB"]]);
  assertEquals([flows[1]!.pid, around(flows[1]!)], [2, ["MSI"]]);
  assert(flows[0]!.ts! <= flows[1]!.ts!, "time goes forward");
  const lines = slices.filter(({ cat }) => cat === "line").map(({ name }) => name);
  assertEquals(new Set(lines), new Set(LINES));
});

Deno.test("time is the simulated clock, told apart within a microsecond by the order", async () => {
  using program = new Program();
  const events = eventsOf(await recordsOf(program));
  const spans = spansOf(events);
  for (const [i, { time, end, parent, seq }] of events.entries()) {
    const { start, end: until } = spans[i]!;
    assertEquals(Math.floor(start), time - events[0]!.time, `${seq}`);
    assert(start < until && Math.floor(until) >= end - events[0]!.time, `${seq}`);
    if (i > 0) assert(start > spans[i - 1]!.start, `${seq} begins behind the one before it`);
    if (parent === undefined) continue;
    const outer = spans[events.findIndex((event) => event.seq === parent)]!;
    assert(outer.start < start && until < outer.end, `${seq} lies within ${parent}`);
  }
  const [cause, ...more] = causesOf(events);
  const [from, to] = [events[cause!.from]!, events[cause!.to]!];
  assertEquals([from.op, from.guest, to.op, to.guest, more.length], ["PCISTB", "guest0", "MSI", "guest1", 0]);
});

Deno.test("view makes of the lines what --trace-file makes at once", async () => {
  using program = new Program();
  await traced(program, "trace.jsonl");
  await inParallel([...FORMS], async (form) => {
    const expected = await traced(program, `once.${form}`);
    const { code, stdout, stderr } = await program.run(["view", "trace.jsonl", "-o", `later.${form}`]);
    assertEquals([code, stdout, stderr], [0, "", ""], form);
    assertEquals(textOf(program, `later.${form}`), expected, form);
    const piped = await program.run(["view", "-", "--format", form], {
      stdin: textOf(program, "trace.jsonl"),
    });
    assertEquals([piped.code, piped.stdout], [0, expected], form);
  });
  const shown = await program.script(LINES, "--keep-going", "--host", ":memory:", "--trace");
  const opened = /\(opens the function/;
  assert(opened.test(shown.stderr) && !opened.test(textOf(program, "once.txt")), "a file has all events");
  assertEquals((await program.run(["view", "trace.jsonl"])).stdout, textOf(program, "once.txt"));
});

Deno.test("a sequence diagram has a lifeline for each layer, an arrow for each event and one for the interrupt", async () => {
  using program = new Program();
  const records = await recordsOf(program);
  const events = eventsOf(records);
  const svg = await traced(program, "trace.svg");
  assertEquals(svg.match(/class="life"/g)?.length, 8);
  assertEquals(svg.match(/class="arrow"/g)?.length, events.length);
  assertEquals(svg.match(/class="cause"/g)?.length, 1);
  assertEquals(
    svg.match(/<g class="\w+ refused">/g)?.length,
    events.filter(({ error }) => error !== undefined).length,
  );
  assertMatch(svg, /hello&lt;world&gt;/);
  // Every element that begins ends, in its order.
  const open: string[] = [];
  for (const [, end, name, empty] of svg.matchAll(/<(\/?)([a-z]+)(?:\s[^<>]*?)?(\/?)>/g)) {
    if (end === "/") assertEquals(open.pop(), name);
    else if (empty !== "/") open.push(name!);
  }
  assertEquals(open, []);
  const many = Array.from({ length: 2001 }, (_, i): EventRecord => {
    return { seq: i + 1, time: i, end: i, layer: "syscall", op: "close", guest: "g" };
  });
  program.write("many.jsonl", many.map((record) => `${JSON.stringify(record)}\n`).join(""));
  const { stdout } = await program.run(["view", "many.jsonl", "--format=svg"]);
  assertEquals(stdout.match(/class="arrow"/g)?.length, 2000);
  assertMatch(stdout, />1 more events are not drawn; choose fewer/);
});

Deno.test("view says which line is no event of a trace, and leaves what was there", async () => {
  using program = new Program();
  const good = { seq: 1, time: 5, end: 6, layer: "insn", op: "PCILG", guest: "guest0" };
  const broken: readonly (readonly [string, RegExp])[] = [
    ["", /holds no trace: it is empty/],
    ["text", /line 1: it is cut off, or no JSON/],
    [`${JSON.stringify(good)}\n{"seq":2,`, /line 2: it is cut off, or no JSON/],
    ["{}\n[1]\n", /line 1: "layer" is not one of syscall, insn, device, irq, trace/],
    ["[]", /line 1: it is no object/],
    ["null", /line 1: it is no object/],
    ...([
      [{ seq: -1 }, /"seq" is no number/],
      [{ op: "" }, /"op" is missing/],
      [{ guest: 7 }, /"guest" is missing/],
      [{ end: 4 }, /"time" and "end" are no times/],
      [{ time: "now" }, /"time" and "end" are no times/],
      [{ parent: 1 }, /"parent" is no event before it/],
      [{ text: {} }, /"text" is no text/],
      [{ function: -1 }, /"function" is no whole number/],
    ] as const).map(([change, message]) => [JSON.stringify({ ...good, ...change }), message] as const),
    [`${JSON.stringify(good)}\n${JSON.stringify(good)}`, /line 2: "seq" does not rise/],
  ];
  program.write("out.svg", "old");
  for (const [text, message] of broken) {
    program.write("broken.jsonl", text);
    const outcome = await program.run(["view", "broken.jsonl", "-o", "out.svg"]);
    assertEquals([outcome.code, message.test(outcome.stderr)], [4, true], `${text}: ${outcome.stderr}`);
    assertNoStack(outcome);
    assertEquals(textOf(program, "out.svg"), "old");
  }
  program.write("good.jsonl", JSON.stringify(good));
  const wrong: readonly (readonly [string[], number, RegExp])[] = [
    [["missing.jsonl", "-o", "out.svg"], 4, /"missing.jsonl" does not exist/],
    [["good.jsonl", "-o", "good.jsonl"], 4, /is the trace itself/],
    [["good.jsonl", "-o", "host.db"], 2, /does not tell the form/],
    [["good.jsonl", "-o", "host.db", "--format=svg"], 4, /is the host file; name another file/],
    [["good.jsonl", "-o", "missing/out.svg"], 4, /the directory "missing" does not exist/],
    [["good.jsonl", "-o", "out.png"], 2, /let it end in .json, .jsonl, .svg, .html, .txt/],
    [["good.jsonl", "--format=png"], 2, /is not one of json, jsonl, svg, html, txt/],
    [["good.jsonl", "--json"], 2, /--json and a trace on standard output exclude each other/],
  ];
  await program.result("host", "show");
  const host = program.read("host.db");
  for (const [args, code, message] of wrong) {
    const outcome = await program.run(["view", ...args]);
    assertEquals([outcome.code, message.test(outcome.stderr)], [code, true], `${args}: ${outcome.stderr}`);
  }
  assertEquals(program.read("host.db"), host);
  assertEquals(textOf(program, "out.svg"), "old");
  const dry = await program.run(["view", "good.jsonl", "-o", "new.svg", "--dry-run"]);
  assertEquals([dry.code, exists(program.path("new.svg"))], [0, false]);
  assertEquals(await program.result("view", "good.jsonl", "-o", "new.svg"), {
    ...{ file: "new.svg", format: "svg", events: 1, done: true },
  });
});

Deno.test("a trace file gets its name when it is whole, whatever the line came to", async () => {
  using program = new Program();
  program.write("trace.html", "old");
  const { code } = await program.run(["stb", "bar0", "0xff8", "seq:0*9", "--trace-file", "trace.html"]);
  assertEquals(code, 1);
  assertMatch(textOf(program, "trace.html"), /^<!DOCTYPE html>[^]*pwrite64[^]*<\/html>\n$/);
  const names = [...Deno.readDirSync(program.path("."))].map(({ name }) => name).filter((name) =>
    /part/.test(name)
  );
  assertEquals(names, []);
  const control = {
    seq: 1,
    time: 0,
    end: 0,
    layer: "syscall",
    op: "close",
    guest: "g\u001b[31m",
    text: "\u0007",
  };
  program.write("control.jsonl", JSON.stringify(control));
  assert(
    !/\p{Cc}/u.test((await program.run(["view", "control.jsonl"])).stdout.replaceAll("\n", "")),
    "controls are made visible",
  );
});
