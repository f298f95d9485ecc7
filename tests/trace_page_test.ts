/** The page of `--trace-file FILE.html`, in a real headless Chromium. */
import { assert, assertEquals, assertMatch } from "@std/assert";
import { renderPage } from "../cmd/output/trace/html/page.ts";
import type { EventRecord, TraceRecord } from "../cmd/output/trace/record.ts";
import { type BrowserStep, HAS_BROWSER, inBrowser } from "./support/browser.ts";
import { Program } from "./support/program.ts";

function browserTest(name: string, work: () => Promise<void>): void {
  const reason = HAS_BROWSER ? "" : " (needs Debian's chromium)";
  Deno.test({ name: name + reason, ignore: !HAS_BROWSER, fn: work });
}

const EIGHT_MIB = 8 * 1024 ** 2;
const DESKTOP = { width: 1280, height: 800 };
const PHONE = { width: 390, height: 844 };

const open = (url: string, size = DESKTOP, scheme: "light" | "dark" = "light"): BrowserStep => {
  return { do: "open", url, ...size, scheme };
};
const evaluate = (expression: string): BrowserStep => ({ do: "evaluate", expression });
const keys = (...pressed: string[]): BrowserStep[] => pressed.map((key) => ({ do: "key", key }));

/** Two guests, a store with a signal, and a refusal as the last event. */
const LINES = [
  "let g0 gid",
  "let t dmb register --size 8k --rgid $g0 -d 1",
  "move $t 4090 text:hello-<b>world --signal",
  "irq -d 1",
  "stb bar0 0xff8 seq:0*9",
];

async function smallPage(program: Program): Promise<string> {
  await program.script(LINES, "--keep-going", "--trace-file", "trace.html");
  return `file://${program.path("trace.html")}`;
}

/**
 * What overlaps or leaves the window: the parts of the page, and the controls of its header. Boxes that touch are no overlap.
 */
const OVERLAPS = `(() => {
  const visible = (selector) => [...document.querySelectorAll(selector)].filter((each) => each.checkVisibility());
  const wrong = [];
  const check = (elements) => {
    const boxes = elements.map((each) => [each.id || each.tagName, each.getBoundingClientRect()]);
    for (const [name, box] of boxes) {
      if (box.width === 0 || box.height === 0) wrong.push(name + " is empty");
      if (box.left < -0.5 || box.right > innerWidth + 0.5 || box.bottom > innerHeight + 0.5) wrong.push(name + " leaves the window");
    }
    for (const [i, [name, a]] of boxes.entries()) for (const [other, b] of boxes.slice(i + 1)) {
      const wide = Math.min(a.right, b.right) - Math.max(a.left, b.left);
      const high = Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top);
      if (wide > 0.5 && high > 0.5) wrong.push(name + " overlaps " + other);
    }
  };
  check(visible("header, main, #list, aside"));
  check(visible("header h1, header button, header select, header input"));
  check(visible("#list .row:nth-child(3) > span"));
  for (const span of visible("header button, header h1")) {
    if (span.scrollWidth > span.clientWidth + 1) wrong.push(span.id + " is cut");
  }
  if (document.documentElement.scrollWidth > innerWidth) wrong.push("the page is wider than the window");
  return wrong;
})()`;

browserTest("the page of a send of 8 MiB opens in under 2 s with all events there", async () => {
  using program = new Program();
  program.write("file", new Uint8Array(EIGHT_MIB).map((_, i) => i * 31 >> 3));
  const { code, stderr } = await program.run(["send", "file", "-o", "copy", "--trace-file", "trace.jsonl"]);
  assertEquals([code, stderr], [0, ""]);
  assertEquals((await program.run(["view", "trace.jsonl", "-o", "trace.html"])).code, 0);
  const records: TraceRecord[] = new TextDecoder().decode(program.read("trace.jsonl")).trimEnd().split("\n")
    .map((line) => JSON.parse(line));
  const events = records.filter((record): record is EventRecord => record.layer !== "trace");
  const stores = events.filter(({ op }) => op === "dmb-store").length;
  assert(stores >= EIGHT_MIB / 4096, `${stores} stores`);
  const url = `file://${program.path("trace.html")}`;
  const [, milliseconds, count, texts, shown, arrows, requests] = await inBrowser([
    // Starting the browser is no part of opening a page.
    open("data:text/html,<html data-ready=yes>"),
    open(url),
    evaluate("trace.model.count"),
    evaluate("trace.model.rows.reduce((sum, row) => sum + row[9].length, 0)"),
    evaluate("document.querySelector('#count').textContent"),
    evaluate("trace.model.causes.length"),
    evaluate("performance.getEntriesByType('resource').length"),
  ]);
  assertEquals([count, shown], [events.length, `${events.length} events`]);
  assertEquals(texts, events.reduce((sum, { text }) => sum + text!.length, 0));
  const interrupts = events.filter(({ op, parent }) => op === "MSI" && parent !== undefined).length;
  assertEquals([arrows, requests], [interrupts, 0]);
  assert(Number(milliseconds) < 2000, `the page took ${milliseconds} ms`);
});

browserTest(
  "nothing overlaps or is cut at 1280 x 800 and at 390 x 844, with and without a selection",
  async () => {
    using program = new Program();
    const url = await smallPage(program);
    for (const size of [DESKTOP, PHONE]) {
      const results = await inBrowser([
        open(url, size),
        evaluate(OVERLAPS),
        ...keys("n"),
        evaluate("new Promise((resolve) => setTimeout(resolve, 100))"),
        evaluate(OVERLAPS),
        // The selected row is in sight, also where the details have taken room.
        evaluate(`(() => {
        const row = document.querySelector(".row.selected").getBoundingClientRect();
        const box = document.querySelector("#list").getBoundingClientRect();
        return row.top >= box.top - 1 && row.bottom <= box.bottom + 1;
      })()`),
      ]);
      assertEquals([results[1], results[4], results[5]], [[], [], true], `${size.width} x ${size.height}`);
    }
  },
);

browserTest(
  "keys walk, follow arrows, filter and search; details show fields, bytes and who refused",
  async () => {
    using program = new Program();
    const url = await smallPage(program);
    const details = evaluate("document.querySelector('#details').innerText");
    const selected = evaluate("trace.timeline.selected");
    const results = await inBrowser([
      open(url),
      evaluate("trace.model.count"),
      ...keys("n"),
      selected,
      details,
      evaluate("getComputedStyle(document.querySelector('.refusal')).borderColor"),
      ...keys("Home", "j", "j", "k"),
      selected,
      ...keys("Escape", "c"),
      details,
      ...keys("c"),
      details,
      ...keys("p"),
      selected,
      ...keys("/", "w", "o", "r", "l", "d", "Enter"),
      evaluate("document.querySelector('#count').textContent"),
      // The list is drawn with the next picture.
      evaluate(`new Promise((resolve) => requestAnimationFrame(() => requestAnimationFrame(() =>
        resolve(document.querySelector("#list").innerText))))`),
      ...keys("Escape", "1", "2", "3"),
      evaluate("[...trace.model.shown].map((i) => trace.model.layers[trace.model.layer[i]]).join()"),
      ...keys("1", "2", "3", "r"),
      evaluate("trace.model.shown.length"),
      ...keys("r", "+", "ArrowRight"),
      evaluate("trace.timeline.view.to - trace.timeline.view.from < trace.model.duration"),
      ...keys("0", "?"),
      evaluate("document.querySelector('#keys').open"),
    ]);
    const answers = results.filter((result) => result !== null).slice(1);
    const [
      count,
      refused,
      refusal,
      red,
      second,
      store,
      msi,
      parent,
      found,
      listed,
      irqs,
      refusals,
      zoomed,
      dialog,
    ] = answers;
    assertEquals(refused, Number(count) - 1, "the refused call is the last event");
    for (
      const text of [
        /Length 9 at 0xff8 crosses a 4096-byte boundary \(EINVAL\)/,
        /refused by\s+variant/,
        /source\s+drivers\/vfio\/pci\/ism\/main\.c: ism_vfio_pci_do_io_w/,
        /rule\s+vfio\.write\.boundary: 4 KiB boundary/,
        /hint\s+split at 0x1000, or align the block/,
        /who\s+guest0 #0, 0001:00:00\.0/,
        /line\s+stdin:5: stb bar0 0xff8 seq:0\*9/,
        /position\s+0xff8/,
        /0000 {2}00 01 02 03 04 05 06 07 {2}\|\.{8}\|\n0008 {2}08 +\|\.\|/,
      ]
    ) assertMatch(String(refusal), text);
    assertEquals([red, second], ["rgb(204, 43, 43)", 1]);
    assertMatch(String(store), /^insn PCISTB\n.*raised\s+\d+ guest1 #1 MSI/s);
    // Text of a trace is text in the page, whatever it holds.
    assertMatch(String(store), /\|-?<b>worl/);
    assertMatch(String(msi), /^irq MSI\n.*raised by\s+\d+ guest0 #0 PCISTB/s);
    assertEquals(parent, Number(/raised by\s+(\d+)/.exec(String(msi))![1]) - 1);
    assertMatch(String(found), /^\d+ of \d+ events$/);
    assert(String(listed).split("\n").every((line) => !/pread64/.test(line)) && /world/.test(String(listed)));
    assertEquals([irqs, refusals], ["irq,irq,irq", 1]);
    assertEquals([zoomed, dialog], [true, true]);
  },
);

browserTest("a click on an event selects it; dark and light follow what the reader prefers", async () => {
  using program = new Program();
  const url = await smallPage(program);
  const ground = evaluate("getComputedStyle(document.querySelector('main')).backgroundColor");
  const pixel = evaluate(`(() => {
    trace.timeline.paint();
    const { canvas, scale } = trace.timeline;
    const { middle } = trace.timeline.laneBox(1);
    const x = trace.timeline.x((trace.model.start[0] + trace.model.end[0]) / 2);
    return [...canvas.getContext("2d").getImageData(x * scale, middle * scale, 1, 1).data].slice(0, 3).join();
  })()`);
  const clicked = evaluate(`(() => {
    const { timeline, model } = trace;
    const i = model.causes[0][1];
    timeline.reveal(i, true);
    const { left, top } = timeline.canvas.getBoundingClientRect();
    const { middle } = timeline.laneBox(model.lane[i]);
    const at = { clientX: left + timeline.x((model.start[i] + model.end[i]) / 2), clientY: top + middle, pointerId: 1 };
    timeline.canvas.setPointerCapture = () => {};
    for (const type of ["pointerdown", "pointerup"]) timeline.canvas.dispatchEvent(new PointerEvent(type, at));
    return [i, timeline.selected];
  })()`);
  const results = await inBrowser([
    open(url),
    ground,
    pixel,
    clicked,
    open(url, DESKTOP, "dark"),
    ground,
    pixel,
  ]);
  const [, light, lightEvent, [wanted, got], , dark, darkEvent] = results as [...unknown[]] as [
    ...[unknown, string, string, readonly number[], unknown, string, string],
  ];
  assertEquals([light, dark], ["rgb(255, 255, 255)", "rgb(21, 28, 38)"]);
  assert(lightEvent !== darkEvent && lightEvent !== "255,255,255", `${lightEvent} and ${darkEvent}`);
  assertEquals(got, wanted);
});

browserTest("100,000 events stay fluid: no row and no pixel more than the window shows", async () => {
  const COUNT = 100_000;
  const records: EventRecord[] = Array.from({ length: COUNT }, (_, i) => {
    const [seq, isCall, time] = [i + 1, i % 2 === 0, Math.floor(i / 2)];
    return {
      ...{ seq, time, end: time + 1, layer: isCall ? "syscall" : "insn", op: isCall ? "pwrite64" : "PCISTB" },
      ...{
        guest: i % 4 < 2 ? "guest0" : "guest1",
        function: i % 4 < 2 ? 0 : 1,
        text: `event ${seq} of many`,
      },
      ...(isCall ? {} : { parent: seq - 1 }),
    };
  });
  const path = Deno.makeTempFileSync({ suffix: ".html" });
  try {
    Deno.writeTextFileSync(path, [...renderPage(records)].join(""));
    const timed = (act: string) =>
      evaluate(`(() => {
      const times = Array.from({ length: 11 }, (_, i) => {
        const begin = performance.now();
        ${act};
        return performance.now() - begin;
      });
      return times.sort((a, b) => a - b)[5];
    })()`);
    const [, count, rows, paint, scroll, search, last] = await inBrowser([
      open(`file://${path}`),
      evaluate("trace.model.count"),
      evaluate("document.querySelectorAll('.row').length"),
      timed("trace.timeline.fit(); trace.timeline.paint()"),
      timed("trace.list.box.scrollTop = i * 100000; trace.list.render()"),
      timed("trace.filter.search = 'many ' + i; trace.refilter()"),
      evaluate(
        "trace.filter.search = '', trace.refilter(), trace.select(trace.model.count - 1), trace.list.render()," +
          "document.querySelector('.row.selected .text').textContent",
      ),
    ]);
    assertEquals([count, last], [COUNT, `event ${COUNT} of many`]);
    assert(Number(rows) < 60, `${rows} rows`);
    // Half of what a frame may take at 30 Hz, on any machine that CI has; a browser that draws all takes seconds.
    for (
      const [name, time, most] of [["paint", paint, 50], ["scroll", scroll, 50], [
        "search",
        search,
        200,
      ]] as const
    ) {
      assert(Number(time) < most, `${name} takes ${time} ms`);
    }
  } finally {
    Deno.removeSync(path);
  }
});

Deno.test("the page needs no other file and no network, and its data cannot end its script", () => {
  const record: EventRecord = {
    ...{ seq: 1, time: 0, end: 0, layer: "syscall", op: "openat", guest: "g</script><script>alert(1)" },
    text: 'openat("</script><img src=x>")',
  };
  const page = [...renderPage([record])].join("");
  assertEquals(page.match(/<\/script>/g)?.length, 2);
  assertEquals(page.match(/<script/g)?.length, 2);
  assert(
    !/https?:|src=|href=|@import|url\(/.test(
      page.replace(JSON.stringify(record.text).slice(1, -1).replaceAll("<", "\\u003c"), ""),
    ),
  );
  assertMatch(page, /default-src 'none'/);
  assert(!/^\s*(import|export) /m.test(page.slice(page.indexOf('<script type="module">'))));
});
