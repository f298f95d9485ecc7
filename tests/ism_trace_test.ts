/** `--trace`, `--trace-file`, `--dry-run` and `--raw`. */
import { assert, assertEquals, assertGreater, assertMatch } from "@std/assert";
import { assertNoStack, type Document, documentsOf, exists, inParallel, Program } from "./support/program.ts";

/** Lines that together touch every layer. */
const LINES = [
  "let g0 gid",
  "let g1 gid -d 1",
  "let t dmb register --size 8k --rgid $g0 -d 1",
  "move $t 4090 text:hello-world --signal",
  "irq -d 1",
  "signal $g1 --code 5 --info 0xffffffffffffffff",
  "peek bar2 3 16",
  "peek config 0 64",
  "poke config 4 6 --width 2",
  "stb bar0 0xff8 seq:0*9",
  "stb bar0 0 hex:00",
  "let i dma map --size 64k",
  "dma unmap $i",
  "reset",
  "close",
];
const LAYERS = ["syscall", "insn", "device", "irq"];
const ACCESSES = /^PCI(LG|STG|STB)I?$/;

function assertEvent(event: Readonly<Record<string, unknown>>): void {
  const { layer, op, fh, space, length, offset, cc, status, exception, result } = event;
  const text = JSON.stringify(event);
  assert(LAYERS.includes(String(layer)) && typeof op === "string", text);
  if (layer === "syscall") {
    assert("result" in event && (result === -1) === (typeof event["error"] === "string"), text);
  }
  for (const [name, value] of Object.entries(event)) {
    if (/^(offset|position|iova|vaddr|token|gid|rgid|fh|fid)$/.test(name)) {
      assertMatch(String(value), /^0x[0-9a-f]+$/, text);
    }
    if (/^(count|length|cc|status|space|fd)$/.test(name)) assertEquals(typeof value, "number", text);
  }
  assertMatch(String(event["guest"]), /^guest[01]$/, text);
  assert(Number(event["end"]) >= Number(event["time"]), text);
  if (event["function"] !== undefined) {
    const index = Number(event["function"]);
    assertEquals([event["pci"], event["fid"]], [`000${index + 1}:00:00.0`, `0x1${index}`], text);
    assertEquals(event["guest"], `guest${index}`, text);
  }
  assertEquals("process" in event, layer === "syscall" || "process" in event, text);
  if (layer !== "insn") return;
  if (fh !== undefined) assertMatch(String(fh), /^0x[0-9a-f]{8}$/, text);
  // An operation of MPCIFC, a command of CLP or a mode of SIC is no address space.
  assertEquals([space !== undefined, offset !== undefined], Array(2).fill(ACCESSES.test(String(op))), text);
  if (space !== undefined) {
    assertMatch(String(offset), /^0x[0-9a-f]+$/, text);
    for (const value of [space, length]) assertEquals(typeof value, "number", text);
  }
  if (exception === undefined) assertEquals([typeof cc, typeof status], ["number", "number"], text);
  else assertEquals([typeof exception, cc], ["string", undefined], text);
}

Deno.test("ism --json --trace shows what happened in all layers, in order, with the promised fields", async () => {
  using program = new Program();
  const documents = await program.documents(LINES, "--trace");
  for (const { trace, command } of documents) {
    for (const event of trace!) assertEvent(event);
    const numbers = trace!.map(({ seq }) => Number(seq));
    assert(numbers.every((seq, i) => i === 0 || seq > numbers[i - 1]!), `${command}: seq is increasing`);
  }
  const events = documents.flatMap(({ trace }) => trace!);
  assertEquals(new Set(events.map(({ layer }) => layer)), new Set(LAYERS));
  const ops = new Set(events.filter(({ layer }) => layer === "insn").map(({ op }) => op));
  for (const op of ["PCILG", "PCISTG", "PCISTB"]) assert(ops.has(op), op);
  const mapped = events.filter(({ op }) => op === "mmap");
  assert(mapped.length > 0 && mapped.every(({ result }) => /^0x/.test(String(result))), "an address is text");
  const move = documents[3]!.trace!.filter(({ op }) => op === "PCISTB");
  assertEquals(move.map(({ length }) => length), [6, 5], "a move is split at the 4 KiB line");
  assertEquals(documents[3]!.trace!.filter(({ layer }) => layer === "irq").map(({ op }) => op)[0], "MSI");
});

Deno.test("ism --trace=LEVELS shows these layers only, as text on standard error or in the document", async () => {
  using program = new Program();
  await program.result("open");
  for (const layers of ["insn", "syscall", "device,insn", "irq"]) {
    const [document] = documentsOf(await program.run(["gid", "--json", `--trace=${layers}`]));
    const seen = [...new Set(document!.trace!.map(({ layer }) => String(layer)))].toSorted();
    assertEquals(seen, layers === "irq" ? [] : layers.split(","));
  }
  const text = await program.run(["gid", "--trace=insn"]);
  assertMatch(text.stdout, /^0x[0-9a-f]+\n$/);
  const lines = text.stderr.trimEnd().split("\n");
  assertEquals(lines.shift(), "      (#0 is 0001:00:00.0 of guest0, function id 0x10)");
  assertEquals(lines.map((line) => /guest0 #0 PC\w+/.exec(line)?.[0]?.slice(10)), [
    "PCISTB",
    "PCILG",
    "PCILG",
  ]);
  const untraced = documentsOf(await program.run(["gid", "--json"]));
  assertEquals(untraced[0]!.trace, undefined);
});

Deno.test("ism --trace names a program exception in place of a condition code", async () => {
  using program = new Program();
  const guests = [{ name: "g", functions: [{ fid: 1, uid: 1 }] }];
  program.write("strict.json", JSON.stringify({ machine: { storeBlock: "strict8" }, guests }));
  await program.result("host", "create", "--from", "strict.json");
  const [, document] = await program.documents(["open", "stb bar2 8 seq:0*9 --trace=insn"]);
  assertEquals(document!.error?.code, "ENXIO");
  const [event, ...more] = document!.trace!;
  assertEquals([event!["op"], event!["exception"], "cc" in event!, more], [
    "PCISTB",
    "specification",
    false,
    [],
  ]);
});

Deno.test("ism --trace shows response codes of CLP and SCLP as such, and status only where there is one", async () => {
  using program = new Program();
  const lines = ["zpci clp function --fh 1", "zpci deconfigure", "zpci configure", "zpci controls"];
  const documents = await program.documents(lines, "--trace=insn");
  const shown = documents.map(({ trace }) => {
    return trace!.map(({ op, response, cc, status }) =>
      `${op} ${response ?? "none"} cc ${cc} status ${status}`
    );
  });
  assertEquals(shown[0], ["CLP 0x0101 cc 0 status 0"]);
  assertEquals(shown[1]!.filter((line) => line.startsWith("SCLP")), ["SCLP 0x0020 cc 0 status 0"]);
  assertEquals(shown[2]![0], "SCLP 0x0020 cc 0 status 0");
  assertEquals(shown[3], ["STPCIFC none cc 0 status 0"]);
  const text = await program.run(["zpci", "clp", "function", "--fh", "1", "--trace=insn"]);
  assertMatch(text.stderr, /CLP .* -> cc 0, response 0x0101\n/);
});

Deno.test("ism --trace-file holds the events of all lines as Chrome Trace Event JSON", async () => {
  using program = new Program();
  const { code } = await program.script(LINES.slice(0, 6), "--trace-file", "trace.json");
  assertEquals(code, 0);
  const { traceEvents } = JSON.parse(new TextDecoder().decode(program.read("trace.json")));
  const names = traceEvents.map(({ name }: { name: string }) => name);
  for (const name of ["openat", "ioctl", "PCISTB", "MSI"]) assert(names.includes(name), name);
  assertGreater(
    names.filter((name: string) => name === "openat").length,
    2,
    "lines 1 and 2 open a function each",
  );
  let latest = 0;
  for (const { ph, ts, dur, name, cat } of traceEvents) {
    if (!LAYERS.includes(cat)) continue;
    assertEquals([ph, typeof name], ["X", "string"]);
    assert(ts >= latest && dur > 0, `${name}: ${ts} after ${latest}`);
    latest = ts;
  }
});

Deno.test("ism --dry-run shows the instructions and changes nothing", async () => {
  using program = new Program();
  program.write("file", "some bytes");
  await program.result("open");
  const before = program.state();
  const [stb] = documentsOf(await program.run(["-n", "--json", "stb", "bar2", "8", "seq:0*9"]));
  assertEquals([stb!.ok, stb!.dry_run], [true, true]);
  assertEquals(
    stb!.trace!.filter(({ op }) => op === "PCISTB").map(({ offset, length }) => [offset, length]),
    [["0x8", 9]],
  );
  const refused = await program.run(["-n", "stb", "bar0", "0xff8", "seq:0*9"]);
  assertEquals([refused.code, refused.stderr.includes("PCISTB")], [1, false]);
  const whole = await program.script(
    [...LINES, "vlan add 7", "write bar2 0 seq:0*99"],
    "-n",
    "--json",
    "--keep-going",
  );
  assert(documentsOf(whole).every((document: Document) => document.dry_run === true));
  const lines = [
    "send file -o copy",
    "host reset",
    "host delete",
    "host create --force --seed 9",
    "irq wait --timeout 0",
    "config set COMMAND=6",
    "-c open -c reset",
  ];
  await inParallel(lines, (line) => program.run(["-n", ...line.split(" ").map((word) => word)]));
  assertEquals(program.state(), before);
  assert(!exists(program.path("copy")));
});

Deno.test("ism --raw gives bytes and nothing else", async () => {
  using program = new Program();
  const bytes = async (line: string) => {
    const { code, bytes, stderr } = await program.run(["--raw", ...line.split(" ")]);
    assertEquals([code, stderr], [0, ""], line);
    return bytes;
  };
  const config = await bytes("config dump");
  assertEquals(config.length, 256);
  assertEquals(config.slice(0, 4), Uint8Array.of(0x14, 0x10, 0xed, 0x04));
  assertEquals(await bytes("peek config 0 4"), config.slice(0, 4));
  assertEquals(await bytes("pread 0x7000000000000 4"), config.slice(0, 4));
  assertEquals(await bytes("peek bar2 0 0"), new Uint8Array());
  const answer = await bytes("cmd READ_GID");
  assertEquals([answer.length, answer.slice(0, 8).toHex()], [16, "0000000300000010"]);
  const script = await program.script(["peek config 0 2", "peek config 2 2"], "--raw");
  assertEquals(script.bytes, config.slice(0, 4));
});

Deno.test("ism traces and dry-runs any kind of command, those without a transaction included", async () => {
  using program = new Program();
  program.write("file", "some bytes");
  const lines = [
    ...["version", "help stb", "list", "gid", "send file", "host reset", "host create --force", "host show"],
    ...["irq wait --timeout 1", "expect ok send file", "repeat 2 gid", "explain gid"],
  ];
  for (const line of lines) {
    for (const option of ["--trace", "-n"]) {
      const outcome = await program.run([...line.split(" "), option]);
      assertNoStack(outcome);
      assert(outcome.code <= 1, `${line} ${option}: ${outcome.stderr}`);
    }
  }
});
