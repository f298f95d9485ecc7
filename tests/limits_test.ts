/**
 * Both sides of each limit of docs/limits.md: one sentence and the exit code, and nothing changed. What takes long is
 * for `deno task soak`.
 */
import { assert, assertEquals, assertMatch } from "@std/assert";
import * as LIMITS from "../cmd/language/limits.ts";
import { MAX_EXPORT_PAGES } from "../lib/host/file/export.ts";
import { HostStore } from "../lib/host/file/store.ts";
import { assertNoStack, documentsOf, inParallel, type Outcome, Program } from "./support/program.ts";

const IOVA = "0x100000000";
const LONG = { ignore: (Deno.env.get("ISM_SOAK") ?? "") === "" };

function assertLimit(outcome: Outcome, code: number, message: RegExp): void {
  assertEquals(outcome.code, code, outcome.stderr.slice(0, 300));
  assertNoStack(outcome);
  assertMatch(outcome.stderr, message);
  assert(outcome.stderr.length < 1000);
}

Deno.test("docs/limits.md tells every limit of the program", () => {
  const text = Deno.readTextFileSync(new URL("../docs/limits.md", import.meta.url));
  for (const [name, value] of Object.entries(LIMITS)) {
    if (typeof value !== "number") continue;
    const shown = value % 2 ** 20 === 0 ? `${value / 2 ** 20} MiB` : value.toLocaleString("en");
    assert(text.includes(shown) || text.includes(String(value)), `${name}: ${shown}`);
  }
  assert(text.includes(`${MAX_EXPORT_PAGES * 4096 / 2 ** 20} MiB`));
});

Deno.test("a script of many commands runs, one of more is refused before anything runs", LONG, async () => {
  using program = new Program();
  const most = LIMITS.MAX_SCRIPT_LINES;
  const lines = (count: number) => "vlan list\n".repeat(count - 1) + "vlan add 5\n";
  program.write("most.ism", `${"\n".repeat(1000)}# comment\n${lines(most)}`);
  program.write("more.ism", lines(most + 1));
  assertLimit(
    await program.run(["run", "more.ism"]),
    2,
    /^more\.ism:200001:1: the script has more than 200000 commands; split it\n/,
  );
  assertEquals(await program.result("vlan", "list"), { ids: [] });
  assertEquals((await program.run(["run", "most.ism", "-q"])).code, 0);
  assertEquals(await program.result("vlan", "list"), { ids: [5] });
});

Deno.test("a script of blank lines or of words without end is refused at its limit", LONG, async () => {
  using program = new Program();
  program.write("lines.ism", "\n".repeat(LIMITS.MAX_TEXT_LINES));
  program.write("more-lines.ism", "\n".repeat(LIMITS.MAX_TEXT_LINES + 1));
  const line = `ioctl device 0x3b6a${" 1".repeat(499_997)}\n`;
  program.write("words.ism", line.repeat(4));
  program.write("more-words.ism", line.repeat(4) + "gid\n");
  assertEquals((await program.run(["run", "lines.ism"])).code, 0);
  assertLimit(
    await program.run(["run", "more-lines.ism"]),
    2,
    /more-lines\.ism:1000001:1: the script has more than 1000000 lines/,
  );
  assertLimit(
    await program.run(["run", "words.ism"]),
    2,
    /words\.ism:1:21: This ioctl takes a number or DATA/,
  );
  assertLimit(
    await program.run(["run", "more-words.ism"]),
    2,
    /more-words\.ism:5:1: the script has more than 2000000 words/,
  );
});

Deno.test("input without end is refused when its limit is reached", async () => {
  using program = new Program();
  const lines: readonly (readonly [line: string, message: RegExp])[] = [
    ["ism run /dev/zero", /"\/dev\/zero" has more than 64 MiB\n$/],
    ["ism run - </dev/zero", /Standard input has more than 64 MiB\n$/],
    ["yes gid | ism run -", /Standard input has more than 64 MiB\n$/],
    ["ism stb bar2 8 file:/dev/zero", /"\/dev\/zero" has more than 256 MiB\n$/],
    ["yes | ism stb bar2 8 -", /Standard input has more than 256 MiB\n$/],
    ["ism host create --force --from /dev/zero", /"\/dev\/zero" has more than 384 MiB\n$/],
    ["ism host import --force /dev/zero", /"\/dev\/zero" has more than 384 MiB\n$/],
    ["truncate -s 257M sparse; ism stb bar2 8 file:sparse", /"sparse" has more than 256 MiB\n$/],
    ["truncate -s 65M large; ism run large", /"large" has more than 64 MiB\n$/],
    ["mkfifo pipe; (yes gid >pipe &) ; ism run pipe", /"pipe" has more than 64 MiB\n$/],
  ];
  await program.result("gid");
  const before = program.state();
  for (const [line, message] of lines) {
    assertLimit(await program.shell(`${line} 2>&1 >out | tail -n 1 >&2; exit 4`), 4, message);
  }
  assertEquals(program.state(), before);
  const { code, stdout } = await program.shell(
    "ism stb bar2 8 file:/dev/zero@100+8; ism --raw peek bar2 8 | wc -c",
  );
  assertEquals([code, stdout.trim()], [0, "8"], "a part of an endless file");
});

Deno.test("repetitions multiply, and more than the limit are refused before the first one", async () => {
  using program = new Program();
  const rows: readonly (readonly [line: string, message: RegExp | undefined])[] = [
    ["repeat 3 repeat 4 gid", undefined],
    ["repeat 1000000 expect ok repeat 1 let x repeat 0 gid", /"0" is too small/],
    ["repeat 1000001 gid", /"1000001" is too large; the most is 1000000/],
    ["repeat 1000 repeat 1001 gid", /1000 times 1001 runs are too many; the most is 1000000/],
    ["repeat 1000 expect ok repeat 1000 repeat 2 gid", /1000000 times 2 runs are too many/],
    [`${"expect ok ".repeat(15)}repeat 2 gid`, undefined],
    [`${"expect ok ".repeat(16)}repeat 2 gid`, /More than 16 commands stand before another one/],
    [`${"repeat 2 ".repeat(5000)}gid`, /More than 16 commands stand before another one/],
  ];
  for (const [line, message] of rows) {
    for (const args of [line.split(" "), ["-c", line]]) {
      const outcome = await program.run(args);
      if (message === undefined) assertEquals(outcome.code, 0, outcome.stderr);
      else assertLimit({ ...outcome, stdout: "" }, 2, message);
    }
  }
});

Deno.test("bytes are shown up to the limit in text, JSON and raw; more are refused", async () => {
  using program = new Program();
  program.write(
    "t.json",
    JSON.stringify({
      ism: { bar0Loads: "zeros", bar2Size: 2 ** 31 },
      guests: [{ name: "a", functions: [{ fid: 1, uid: 1 }] }],
    }),
  );
  await program.result("host", "create", "--from", "t.json");
  await program.script(["dma map --size 1G", `dma write ${IOVA} rand:1*5M`]);
  const most = String(LIMITS.MAX_SHOWN_BYTES);
  const more = String(LIMITS.MAX_SHOWN_BYTES + 1);
  const raw = await program.run(["--raw", "dma", "read", IOVA, most]);
  assertEquals([raw.code, raw.bytes.length], [0, LIMITS.MAX_SHOWN_BYTES]);
  const [document] = documentsOf(await program.run(["--json", "dma", "read", IOVA, most]));
  assertEquals(document!.result.data, raw.bytes.toHex());
  const text = await program.run(["dma", "read", IOVA, most]);
  assertEquals([text.code, text.stdout.split("\n").length], [0, LIMITS.MAX_SHOWN_BYTES / 16 + 2]);
  assertEquals((await program.run(["peek", "bar0", "0", most])).code, 0);
  const refused = [
    ["dma", "read", IOVA, more],
    ["--raw", "dma", "read", IOVA, "1G"],
    ["peek", "bar0", "0", "2G"],
    ["--json", "peek", "bar2", "0", more],
    ["pread", "0", "0x7ffff000"],
    ["expect", "EFAULT", "peek", "bar0", "0", "1G"],
    ["feature", "3", "--payload", `fill:0*${more}`],
    ["ioctl", "device", "0x3b6a", `fill:0*${more}`],
  ];
  await inParallel(refused, async (args) => {
    assertLimit(
      { ...await program.run(args), stdout: "" },
      2,
      /bytes are too many; at most 4 MiB are shown at once/,
    );
  });
  // A count that the kernel refuses or cuts short is the kernel's matter, whatever its size.
  assertEquals(
    (await program.run(["expect", "EINVAL", "pread", "0x2000000000000", "0xffffffffffffffff"])).code,
    0,
  );
  assertEquals(
    (await program.run(["expect", "EFAULT", "peek", "bar0", "0", "1G", "--accessible", "64"])).code,
    0,
  );
  assertEquals((await program.run(["expect", "EFAULT", "peek", "config", "0", "1G"])).code, 0);
});

Deno.test("DATA has the same limit in all its forms", async () => {
  using program = new Program();
  const rows = ["fill:0*256M", "seq:0*256M", "rand:1*256M"];
  await inParallel(rows, async (data) => {
    assertLimit(await program.run(["stb", "bar2", "0", data]), 1, /over the store-block limit/);
    assertLimit(
      await program.run(["stb", "bar2", "0", data.replace("256M", "268435457")]),
      2,
      /is over the limit of 256 MiB/,
    );
  });
  assertLimit(
    await program.run(["expect", "rand:1*256M", "peek", "bar2", "0"]),
    3,
    /\(268435456 bytes\) from "peek", got hex:0000000000000000\n$/,
  );
});

Deno.test("a script's results are held back until its commit, however long they are", async () => {
  using program = new Program();
  const lines = [`dma map --size 8M`, `repeat 80 dma read ${IOVA} 4M --raw`];
  const kept = await program.run(["-c", lines.join("\n")]);
  assertEquals([kept.code, kept.stderr, kept.bytes.length], [0, "", 80 * 4 * 2 ** 20 + `${IOVA}\n`.length]);
  const undone = await program.run(["-c", ["vlan add 9", ...lines, "send missing"].join("\n")]);
  assertEquals([undone.code, undone.stdout, (await program.result("vlan", "list")).ids], [4, "", []]);
});

Deno.test("a trace ends at its limit and counts the rest", LONG, async () => {
  using program = new Program();
  const trace = await program.run(["-c", "repeat 60000 gid", "-q", "--trace-file", "trace.json"]);
  assertEquals([trace.code, trace.stderr], [0, ""]);
  const fewer = JSON.parse(Deno.readTextFileSync(program.path("trace.json")));
  assertEquals([fewer.otherData, fewer.traceEvents.length < LIMITS.MAX_TRACE_EVENTS], [undefined, true]);
  const lines = Array.from({ length: 4 }, () => "repeat 60000 gid").join("\n");
  await program.run(["-c", lines, "-q", "--trace-file", "trace.json"]);
  const { traceEvents, otherData } = JSON.parse(Deno.readTextFileSync(program.path("trace.json")));
  assertEquals(traceEvents.length, LIMITS.MAX_TRACE_EVENTS);
  assert(otherData.dropped > 0);
});

Deno.test("a host has as many faults as the limit says", async () => {
  using program = new Program();
  await program.result("repeat", String(LIMITS.MAX_FAULTS), "fault", "add", "cc3", "--at", "1000000");
  assertLimit(
    await program.run(["fault", "add", "cc3"]),
    2,
    /The host has 1000 faults, which is the most; "fault clear"/,
  );
  assertEquals((await program.result("fault", "list")).faults.length, LIMITS.MAX_FAULTS);
});

Deno.test("a container takes as many mappings as the topology says, and no more", async () => {
  using program = new Program();
  program.write(
    "t.json",
    JSON.stringify({
      kernel: { dmaEntryLimit: 500 },
      guests: [{ name: "a", functions: [{ fid: 1, uid: 1 }] }],
    }),
  );
  await program.result("host", "create", "--from", "t.json");
  const { count } = await program.result("repeat", "500", "dma", "map", "--size", "4k");
  assertEquals(count, 500);
  assertLimit(await program.run(["dma", "map", "--size", "4k"]), 1, /\(ENOSPC\)\n {2}rule: /);
  assertLimit(await program.run(["dma", "map", "--size", "5G"]), 1, /\(ENOMEM\)\n {2}rule: /);
  assertEquals((await program.result("dma", "list")).mappings.length, 500);
});

Deno.test(
  "a host is exported and imported up to the limit of its memory, however much is mapped",
  LONG,
  async () => {
    using program = new Program();
    await program.script(["dma map --size 3G", `dma write ${IOVA} rand:1*127M`]);
    const started = performance.now();
    await program.result("host", "export", "most.json");
    await program.result("--host", "copy.db", "host", "import", "most.json");
    assert(performance.now() - started < 60_000);
    const pages = (path: string) => {
      using store = HostStore.open(path);
      store.begin("read");
      const found = store.pagePlaces().length;
      assertEquals(store.damages(), []);
      store.rollback();
      return found;
    };
    assert(pages(program.path("copy.db")) >= 127 * 256);
    Deno.removeSync(program.path("most.json"));
    await program.result("dma", "write", "0x110000000", "rand:1*2M");
    assertLimit(
      await program.run(["host", "export", "more.json"]),
      4,
      /more than 128 MiB of its memory are not zero.*copy the host file instead\n$/,
    );
    assert(![...Deno.readDirSync(program.dir)].some(({ name }) => name === "more.json"));
  },
);
