/**
 * Text of others that reaches a terminal: control characters in it are made visible, wherever it comes from, and JSON is
 * JSON for any bytes.
 */
import { assert, assertEquals, assertMatch } from "@std/assert";
import { escapeText, safeJson } from "../cmd/language/quote.ts";
import { ProcessTerminal } from "../cmd/output/terminal.ts";
import { assertNoStack, documentsOf, inParallel, type Outcome, Program } from "./support/program.ts";

/** What a terminal would obey: clearing the screen, a title, a bell, going back, C1, another direction of writing. */
const EVIL = "\x1b[2Jt\x1b]0;x\x07c\rd\u009b5me\u202ef\u2066g\x7fh\u0085i\u200ej";
const SHOWN = escapeText(EVIL);
// deno-lint-ignore no-control-regex -- what may not reach a terminal
const UNSAFE = /[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069\ufeff]/;

function assertSafe({ stdout, stderr }: Pick<Outcome, "stdout" | "stderr">, what: string): void {
  for (const text of [stdout, stderr]) assert(!UNSAFE.test(text), `${what}: ${JSON.stringify(text)}`);
}

Deno.test("escapeText() leaves nothing that a terminal obeys, and everything else", () => {
  assertEquals(
    SHOWN,
    "\\x1b[2Jt\\x1b]0;x\\x07c\\rd\\x9b5me\\u{202e}f\\u{2066}g\\x7fh\\x85i\\u{200e}j".replace("\\r", "\\x0d"),
  );
  for (let code = 0; code < 0x11_0000; code++) {
    const char = String.fromCodePoint(code);
    const isUnsafe = UNSAFE.test(char) || char === "\t" || char === "\n" || (code >= 0xd800 && code < 0xe000);
    assertEquals(escapeText(char) === char, !isUnsafe, code.toString(16));
    if (code === 0x3000) code = 0xd7f0;
    if (code === 0xe010) code = 0xfe00;
    if (code === 0x1_0010) code = 0x10_fff0;
  }
  assertEquals(escapeText("\x1b[1ma\x1b[22m", { keepStyle: true }), "\x1b[1ma\x1b[22m");
  assertEquals(escapeText("\x1b[1;31ma\x1b[2J\x1b[1", { keepStyle: true }), "\\x1b[1;31ma\\x1b[2J\\x1b[1");
});

Deno.test("safeJson() is JSON of the same value, in characters that a terminal shows", () => {
  const values = [EVIL, { [EVIL]: [EVIL] }, "\ud800", "\udc00\ud800", "\u2028", "é\u{1f600}", 1, null];
  for (const value of values) {
    const text = safeJson(value);
    assert(!UNSAFE.test(text) && !/[\n\t]/.test(text));
    assertEquals(JSON.parse(text), value);
  }
});

Deno.test("results and messages are made safe where they are printed", () => {
  const seen: string[] = [];
  class Recorder extends ProcessTerminal {
    override outBytes(bytes: Uint8Array): void {
      seen.push(new TextDecoder().decode(bytes));
    }
  }
  const terminal = new Recorder();
  terminal.setColor("never", true);
  terminal.out(`${EVIL}\t\n\x1b[31mred`);
  terminal.setColor("always", false);
  terminal.out(`${terminal.style.red(EVIL)}\n`);
  assertEquals(seen, [`${SHOWN}\t\n\\x1b[31mred`, `\x1b[31m${SHOWN}\x1b[39m\n`]);
});

/** Command lines with evil text where a word of the user's may stand. */
const WORDS: readonly (readonly string[])[] = [
  [EVIL],
  ["peek", EVIL, "0"],
  ["peek", "bar2", EVIL],
  ["peek", "bar2", "0", `--${EVIL}`],
  ["peek", "bar2", "0", "--width", EVIL],
  ["-d", EVIL, "gid"],
  ["-d", `fid:${EVIL}`, "gid"],
  ["dmb", EVIL],
  ["help", EVIL],
  ["expect", EVIL, "gid"],
  ["expect", `=${EVIL}`, "gid"],
  ["let", EVIL, "gid"],
  ["config", "get", EVIL],
  ["config", "set", `${EVIL}=1`],
  ["stb", "bar2", "0", EVIL],
  ["stb", "bar2", "0", `hex:${EVIL}`],
  ["stb", "bar2", "0", `file:${EVIL}`],
  ["fault", "add", EVIL],
  ["fault", "add", `exception:${EVIL}`],
  ["ioctl", EVIL, "1"],
  ["ioctl", "device", EVIL],
  ["ioctl", "container", "VFIO_IOMMU_MAP_DMA", `${EVIL}=1`],
  ["ioctl", "group", "VFIO_GROUP_GET_DEVICE_FD", EVIL],
  ["ioctl", "group", "VFIO_GROUP_GET_DEVICE_FD", EVIL, "--trace"],
  ["explain", "stb", "bar2", "8", `text:${EVIL}`, "-v"],
  ["run", EVIL],
  ["send", EVIL],
  ["send", "script.ism", "-o", `missing/${EVIL}`],
  ["host", "export", `missing/${EVIL}`],
  ["host", "import", EVIL, "--force"],
  ["host", "create", "--force", "--from", EVIL],
  ["list", "--trace-file", `missing/${EVIL}`],
  ["--trace", EVIL],
  [`--trace=${EVIL}`, "gid"],
  ["--color", EVIL, "gid"],
  ["-c", EVIL],
  ["-c", `peek bar2 '${EVIL}'`],
  ["-c", `let x${EVIL} gid`],
  ["--host", EVIL, "list"],
  ["--host", `${EVIL}/x`, "host", "create"],
];

Deno.test("a word of the command line is shown and not obeyed, in text and in JSON", async () => {
  using program = new Program();
  program.write("script.ism", "gid\n");
  await program.result("gid");
  let shown = 0;
  await inParallel(WORDS, async (args) => {
    const outcome = await program.run(args);
    assertNoStack(outcome);
    assertSafe(outcome, args.join(" "));
    if ((outcome.stdout + outcome.stderr).includes(escapeText("\u009b5me"))) shown++;
    const asJson = await program.run(["--json", ...args]);
    assertEquals(asJson.code, outcome.code);
    assertSafe(asJson, args.join(" "));
    for (const document of documentsOf(asJson)) assertEquals(document.ok, asJson.code === 0);
  });
  assert(shown > 30, `${shown} of ${WORDS.length} messages quote the word`);
});

Deno.test("a script's text is shown and not obeyed, with the caret under the fault", async () => {
  using program = new Program();
  const lines = [
    EVIL.replaceAll("\r", ""),
    `gid '${EVIL.replaceAll("\r", "")}' more`,
    `peek bar2 ${EVIL}`,
    `let ${EVIL} gid`,
  ];
  for (const line of lines) {
    program.write("evil.ism", `${line}\n`);
    for (const args of [["run", "evil.ism"], ["run", "evil.ism", "--json"]]) {
      const outcome = await program.run(args);
      assertEquals(outcome.code, 2);
      assertSafe(outcome, line);
    }
  }
  program.write("caret.ism", "peek bar2 \x1b[1m\x07\u202e\u009b 9z\n");
  const { stderr } = await program.run(["run", "caret.ism"]);
  const [head, source, caret] = stderr.split("\n");
  assertMatch(head!, /^caret\.ism:1:11: offset: "\\x1b\[1m\\x07\\u\{202e\}\\x9b" is not a number/);
  assertEquals(source, "1 | peek bar2 \\x1b[1m\\x07\\u{202e}\\x9b 9z");
  assertEquals(caret, "    " + " ".repeat("peek bar2 ".length) + "^");
  program.write(
    "behind.ism",
    "stb 'bar2\x1b[1m\x07\u202e\u009b' 9z hex:0\n".replace("'bar2\x1b[1m\x07\u202e\u009b'", "bar2") +
      "# \x1b\n",
  );
  assertSafe(await program.run(["run", "behind.ism"]), "a comment behind");
  program.write("late.ism", "peek \x1b[1m\u202e 9z\n");
  const late = (await program.run(["run", "late.ism"])).stderr.split("\n");
  assertEquals([late[1], late[2]], ["1 | peek \\x1b[1m\\u{202e} 9z", `    ${" ".repeat(5)}^`]);
  program.write("shifted.ism", "-d '\u009b\u202e' peek bar2 9z\n");
  const shifted = (await program.run(["run", "shifted.ism"])).stderr.split("\n");
  assertEquals(shifted[1]!.indexOf("9z"), shifted[2]!.indexOf("^"));
});

Deno.test("bytes of memory and of regions are shown as digits and dots", async () => {
  using program = new Program();
  const data = `hex:${new TextEncoder().encode(EVIL).toHex()}`;
  const { gid } = await program.result("gid");
  await program.script(["dma map --size 4k", `dma write 0x100000000 ${data}`, `stb bar2 8 ${data}`]);
  const { token } = await program.result("-d", "1", "dmb", "register", "--size", "4k", "--rgid", gid);
  await program.result("move", token, "0", data);
  const looks = [
    "dma read 0x100000000 64",
    "peek bar2 8 64",
    `dmb read ${token} 0 64 -d 1`,
    "peek bar2 8 64 --width 4",
    "status",
  ];
  for (const line of looks) {
    for (const args of [line.split(" "), ["--json", ...line.split(" ")]]) {
      const outcome = await program.run(args);
      assertEquals(outcome.code, 0, outcome.stderr);
      assertSafe(outcome, line);
    }
  }
  const miss = await program.run(["expect", `text:${EVIL}x`, "peek", "bar2", "8", "64"]);
  assertEquals(miss.code, 3);
  assertSafe(miss, "expect");
});

/** Puts a text in place of every string below a value, but for those of a kind that must stay. */
function poisoned(value: unknown, key = ""): unknown {
  if (typeof value === "string") {
    return ["state", "way", "kind", "driver", "ism"].includes(key) ? value : EVIL;
  }
  if (Array.isArray(value)) return value.map((each) => poisoned(each, key));
  if (value === null || typeof value !== "object") return value;
  return Object.fromEntries(Object.entries(value).map(([name, each]) => [name, poisoned(each, name)]));
}

Deno.test("what a topology or an exported host holds is shown and not obeyed", async () => {
  using program = new Program();
  await program.script([
    "irq",
    "fault add cc3 --at 9",
    "open -d 1 --via cdev",
    "dmb register --size 4k --rgid 1",
  ]);
  const document = JSON.parse((await program.run(["host", "export"])).stdout);
  const documents: Record<string, unknown>[] = [
    { ...document, [EVIL]: 1 },
    { ...document, ism: EVIL },
    { ...document, state: { ...document.state, [EVIL]: 1 } },
    { ...document, state: poisoned(document.state) },
    { ...document, pages: [{ guest: 0, address: EVIL, data: "" }] },
    { ...document, topology: { ...document.topology, [EVIL]: 1 } },
    { ...document, topology: { ...document.topology, clock: EVIL } },
    ...Object.keys(document.state).map((key) => ({
      ...document,
      state: { ...document.state, [key]: poisoned(document.state[key]) },
    })),
  ];
  let taken = 0;
  await inParallel(documents.map((each, i) => ({ each, i })), async ({ each, i }) => {
    program.write(`${i}.json`, JSON.stringify(each));
    const imported = await program.run(["--host", `${i}.db`, "host", "import", `${i}.json`]);
    assertNoStack(imported);
    assertSafe(imported, `document ${i}`);
    assert([0, 4].includes(imported.code), imported.stderr);
    if (imported.code !== 0) return;
    taken++;
    const looks = [
      "list",
      "status",
      "dmb list",
      "dma list",
      "fault list",
      "host show",
      "host export",
      "info",
      "gid",
      "unbind",
    ];
    for (const line of looks) {
      const outcome = await program.run(["--host", `${i}.db`, ...line.split(" ")]);
      assertNoStack(outcome);
      assertSafe(outcome, `document ${i}: ${line}`);
    }
  });
  assert(taken > 0, "some of them are hosts");
});

Deno.test("JSON is JSON whatever bytes a file, its name or a variable holds", async () => {
  using program = new Program();
  await program.result("gid");
  const bytes = (...values: number[]) =>
    String.raw`"$(printf '${values.map((value) => `\\${value.toString(8)}`).join("")}')"`;
  const odd = bytes(0x61, 0xff, 0xed, 0xa0, 0x80, 0x62);
  const rows: readonly (readonly [line: string, code: number])[] = [
    [`ism --json run ${odd}`, 4],
    [`ism --json stb bar2 8 file:${odd}`, 4],
    [`ism --json --host ${odd} list`, 4],
    [`ism --json -c ${odd}`, 2],
    [`ism --json ${odd}`, 2],
    [`ism --json stb bar2 8 text:${odd}`, 0],
    [`printf 'gid \\377\\n' | ism --json run -`, 4],
    [`printf 'stb bar2 8 text:\\355\\240\\200\\n' | ism --json run -`, 4],
    [`printf '\\377\\376g\\0i\\0' | ism --json run -`, 4],
    [`printf '\\357\\273\\277gid\\n' | ism --json run -`, 0],
    [`ISM_HOST=${odd} ism --json list`, 2],
    [`ISM_DEVICE=${odd} ism --json gid`, 2],
    [`NO_COLOR=${odd} ism --json gid`, 2],
  ];
  for (const [line, code] of rows) {
    const outcome = await program.shell(line);
    assertEquals(outcome.code, code, `${line}: ${outcome.stderr}`);
    assertNoStack(outcome);
    assertSafe(outcome, line);
    assertEquals(documentsOf(outcome).map(({ ok }) => ok), [code === 0], line);
  }
});
