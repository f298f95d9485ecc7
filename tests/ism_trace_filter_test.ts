/** `--trace=FILTER`: whose events, which, and how a reader knows who speaks. */
import { stripAnsiCode } from "@std/fmt/colors";
import { assert, assertEquals, assertMatch } from "@std/assert";
import { type Document, documentsOf, Program } from "./support/program.ts";

/** Guest 0 writes into a DMB of guest 1 and interrupts it. */
const LINES = [
  "let g0 gid",
  "let t dmb register --size 8k --rgid $g0 -d 1",
  "move $t 4090 text:hello-world --signal",
];

const eventsOf = (documents: readonly Document[]) => documents.flatMap(({ trace }) => trace!);

Deno.test("filters pick layers, names of events, guests and functions, or leave them out", async () => {
  using program = new Program();
  await program.result("open");
  await program.result("open", "-d", "1");
  const seen = async (filter: string) => {
    const events = eventsOf(await program.documents([...LINES, "irq -d 1"], `--trace=${filter}`));
    assert(events.length > 0, filter);
    return {
      layers: [...new Set(events.map(({ layer }) => String(layer)))].toSorted().join(),
      ops: [...new Set(events.map(({ op }) => String(op)))].toSorted().join(),
      guests: [...new Set(events.map(({ guest }) => String(guest)))].toSorted().join(),
    };
  };
  const everything = await seen("syscall,insn,device,irq");
  assertEquals([everything.layers, everything.guests], ["device,insn,irq,syscall", "guest0,guest1"]);
  assertEquals((await seen("insn:PCISTB,device:dmb-store")).ops, "PCISTB,dmb-store");
  assertEquals((await seen("insn:pcistb")).ops, "PCISTB");
  assertEquals((await seen("!insn")).layers, "device,irq,syscall");
  // As strace has it, the mark in front of the first name is about all of them.
  assertEquals((await seen("!insn,device")).layers, "irq,syscall");
  assertEquals((await seen("!insn,!device")).layers, "irq,syscall");
  assertEquals((await seen("irq,!irq:eventfd")).ops, "MSI,adapter-interruption");
  for (
    const [guest, filters] of [["guest0", ["guest:0", "!guest:1", "fn:#0"]], ["guest1", [
      "guest:guest1",
    ]]] as const
  ) {
    for (const filter of filters) assertEquals((await seen(filter)).guests, guest, filter);
  }
  for (const filter of ["fn:1", "fn:0002:00:00.0", "fn:fid:0x11", "fn:uid:2", "irq,fn:#1"]) {
    const { guests } = await seen(filter);
    assertEquals(guests, "guest1", filter);
  }
});

Deno.test("a filter that names what is not there is refused, and the sentence names what is", async () => {
  using program = new Program();
  await program.result("open");
  for (
    const [filter, code, message] of [
      ["sys", 2, /"sys" is not one of syscall, insn, device, irq, guest:NAME or fn:WHICH/],
      [",", 2, /"" is not one of/],
      ["insn:PCIST", 2, /no event of insn is called "PCIST"; did you mean "PCISTG"\?/],
      ["syscall:nothing-like-it", 2, /no event of syscall is called/],
      ["guest:", 2, /"guest:" names nobody/],
      ["guest:other", 2, /there is no guest "other" on this host; it has guest0, guest1/],
      ["fn:#7", 2, /There is no function "7"/],
    ] as const
  ) {
    const outcome = await program.run(["gid", `--trace=${filter}`]);
    assertEquals([outcome.code, message.test(outcome.stderr)], [code, true], `${filter}: ${outcome.stderr}`);
  }
});

Deno.test("numbers go on through a script, and each line that causes events heads them", async () => {
  using program = new Program();
  program.write("two guests.ism", `# a comment\n${LINES.join("\n")}\n`);
  const { stderr, code } = await program.run(["run", "two guests.ism", "--trace=insn:PCISTB,irq:MSI"]);
  assertEquals(code, 0);
  const lines = stderr.trimEnd().split("\n");
  const numbers = lines.flatMap((line) => /^ +(\d+) guest/.exec(line)?.[1] ?? []).map(Number);
  assertEquals(numbers, numbers.map((_, i) => i + 1));
  assertEquals(
    lines.filter((line) => line.startsWith("two")),
    LINES.map((line, i) => `two guests.ism:${i + 2}: ${line}`),
  );
  const interrupt = lines.findIndex((line) => line.includes("irq: MSI"));
  assertMatch(lines[interrupt]!, /guest1 #1 +irq: MSI vector=0 delivered=true$/);
  assertMatch(lines[interrupt - 1]!, /guest0 #0 +PCISTB /);
  assertEquals(
    lines.filter((line) => line.includes("#1 is 0002:00:00.0 of guest1, function id 0x11")).length,
    1,
  );
});

Deno.test("each event in JSON has guest, process, function, address and the line that caused it", async () => {
  using program = new Program();
  const documents = await program.documents(LINES, "--trace");
  const events = eventsOf(documents);
  assertEquals(events.map(({ seq }) => seq), events.map((_, i) => i + 1));
  for (const [i, { trace }] of documents.entries()) {
    assert(trace!.every(({ line, file }) => line === i + 1 && typeof file === "string"), `line ${i + 1}`);
  }
  const bySeq = new Map(events.map((event) => [event["seq"], event]));
  const msi = events.find(({ op }) => op === "MSI")!;
  assertEquals([msi["guest"], msi["function"], msi["pci"]], ["guest1", 1, "0002:00:00.0"]);
  // Upwards from the interrupt: the store of the other guest, and the call that it is part of.
  const store = bySeq.get(msi["parent"])!;
  const call = bySeq.get(store["parent"])!;
  assertEquals([store["op"], store["guest"], call["op"], call["process"]], [
    "PCISTB",
    "guest0",
    "pwrite64",
    "ism",
  ]);
  assertEquals(store["data"], new TextEncoder().encode("world").toHex());
});

Deno.test("operations and commands have fields of their own, in text by name", async () => {
  using program = new Program();
  const text = await program.run(["open", "--trace=insn:MPCIFC,insn:CLP,insn:SIC"]);
  assertMatch(text.stderr, /MPCIFC fh=0x[0-9a-f]{8} operation=REGISTER_IOAT length=80 -> cc 0\n/);
  const [document] = documentsOf(await program.run(["zpci", "clp", "list", "--json", "--trace"]));
  const [event] = document!.trace!;
  assertEquals([event!["op"], event!["command"], event!["space"]], ["CLP", 2, undefined]);
  const commands = await program.run(["gid", "--trace=device"]);
  assertMatch(commands.stderr, /device: command READ_GID ret=0\n/);
});

Deno.test("a refused call tells in the trace who refused it, and why", async () => {
  using program = new Program();
  const [document] = documentsOf(
    await program.run(["stb", "bar0", "0xff8", "seq:0*9", "--json", "--trace=syscall"]),
  );
  const refused = document!.trace!.at(-1)!["refused"] as Record<string, string>;
  const { layer, rule, ref, source, message, hint } = document!.error!;
  assertEquals(refused, { layer, ref, rule, source, message, hint } as Record<string, string>);
});

Deno.test("--color colours who speaks and what is refused, and nothing else changes", async () => {
  using program = new Program();
  await program.result("open");
  const line = ["stb", "bar0", "0xff8", "seq:0*9", "--trace=syscall"];
  const plain = await program.run([...line, "--color=never"]);
  const coloured = await program.run([...line, "--color=always"]);
  assertEquals(stripAnsiCode(coloured.stderr), plain.stderr);
  assert(coloured.stderr.includes("\x1b[36mguest0 #0\x1b[39m \x1b[1mpwrite64\x1b[22m("), coloured.stderr);
  assert(coloured.stderr.includes("\x1b[31m = -1 EINVAL"), coloured.stderr);
});
