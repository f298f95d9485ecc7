/** The JSON contract: one document for each command, done or refused, with the promised fields and types. */
import { assert, assertEquals, assertMatch, assertThrows } from "@std/assert";
import { COMMANDS as TABLE } from "../cmd/table.ts";
import { parseScript } from "../cmd/run/lines/compile.ts";
import { UsageError } from "../cmd/language/usage_error.ts";
import { type Document, documentsOf, inParallel, Program } from "./support/program.ts";

const COMMANDS = await TABLE.all();

/** A command's lines, and what its result has at least. */
interface Row {
  /** A line that is done, after {@linkcode SETUP}. */
  readonly done: string;
  /** A line that is refused. */
  readonly refused: string;
  readonly fields: readonly string[];
}

const NOBODY = "-d 99";
/** Variables that the lines use. */
const SETUP = [
  "let g0 gid",
  "let g1 gid -d 1",
  "let t dmb register --size 4k --rgid $g0 -d 1",
  "let gone dmb register --size 4k --rgid $g0 -d 1",
  "let i dma map --size 4k",
  "let j dma map --size 4k",
  "vlan add 7",
  "let d ioctl group VFIO_GROUP_GET_DEVICE_FD 0001:00:00.0",
  "let e fd eventfd",
];

const ROWS: Readonly<Record<string, Row>> = {
  "list": { done: "list", refused: "", fields: ["functions"] },
  "view": {
    done: "view trace.jsonl -o trace.svg",
    refused: "view file -o trace.svg",
    fields: ["file", "format", "events", "done"],
  },
  "info": { done: "info", refused: "info 6", fields: ["flags", "regions", "irqs", "capabilities"] },
  "status": { done: "status", refused: `status ${NOBODY}`, fields: ["dmbs", "mappings", "sba", "ieq"] },
  "sysfs": { done: "sysfs uid", refused: "sysfs nothing", fields: ["path", "entries"] },
  "sysfs write": {
    done: "sysfs write reset 1",
    refused: "sysfs write reset 2",
    fields: ["path", "ret", "waits"],
  },
  "fd list": { done: "fd list", refused: `fd list ${NOBODY}`, fields: ["descriptors"] },
  "fd open": { done: "fd open /dev/iommu", refused: "fd open /dev/null", fields: ["fd"] },
  "fd eventfd": { done: "fd eventfd", refused: `fd eventfd ${NOBODY}`, fields: ["fd"] },
  "fd read": {
    done: "fd read $d 4 --at 0x7000000000000",
    refused: "fd read 99 4",
    fields: ["fd", "ret", "position", "data"],
  },
  "fd write": {
    done: "fd write $d hex:0600 --at 0x7000000000004",
    refused: "fd write 99 hex:",
    fields: ["fd", "ret", "position"],
  },
  "fd lseek": { done: "fd lseek $e 0", refused: "fd lseek $d 0", fields: ["fd", "position"] },
  "fd mmap": { done: "fd mmap anon 4k", refused: "fd mmap $d 4k", fields: ["fd", "address"] },
  "poll": { done: "poll $d $e --timeout 0", refused: `poll 3 --timeout 0 ${NOBODY}`, fields: ["ret", "fds"] },
  "fd flags": { done: "fd flags $d", refused: "fd flags 99", fields: ["fd", "flags"] },
  "fd fsync": { done: "", refused: "fd fsync $d", fields: [] },
  "fd ftruncate": { done: "", refused: "fd ftruncate $d 0", fields: [] },
  "fabric": { done: "fabric", refused: `fabric ${NOBODY}`, fields: ["channels"] },
  "fd close": { done: "fd close $e", refused: "fd close 99", fields: ["fd"] },
  "config": { done: "config", refused: `config ${NOBODY}`, fields: ["registers"] },
  "config get": { done: "config get COMMAND", refused: "config get X", fields: ["registers"] },
  "config set": { done: "config set COMMAND=6", refused: "config set X=6", fields: [] },
  "config dump": { done: "config dump", refused: `config dump ${NOBODY}`, fields: ["length", "data"] },
  "peek": { done: "peek bar2 0", refused: "peek bar0 0", fields: ["region", "offset", "data"] },
  "poke": { done: "poke bar2 8 1 --width 8", refused: "poke bar1 0 1 --width 8", fields: [] },
  "stb": { done: "stb bar2 8 seq:0*9", refused: "stb bar0 0xff8 seq:0*9", fields: ["ret", "position"] },
  "write": { done: "write bar2 4000 seq:0*200", refused: "write bar1 0 hex:00", fields: ["ret", "writes"] },
  "pread": { done: "pread 0x7000000000000 4", refused: "pread 0 1", fields: ["ret", "position", "data"] },
  "pwrite": {
    done: "pwrite 0x7000000000004 hex:0600",
    refused: "pwrite 0x6000000000000 hex:00",
    fields: ["ret", "position"],
  },
  "ioctl": {
    done: "ioctl device VFIO_DEVICE_GET_IRQ_INFO argsz=16 index=1",
    refused: "ioctl device VFIO_DEVICE_GET_IRQ_INFO argsz=16 index=5",
    fields: ["fd", "ret", "data"],
  },
  "send": {
    done: "send file",
    refused: "send missing",
    fields: ["bytes", "sha256", "stores", "signals", "seconds"],
  },
  // Its success needs a sender in another process: ism_recv_test.ts.
  "recv": { done: "", refused: "recv -d 1 --timeout 1", fields: [] },
  "cmd": { done: "cmd READ_GID", refused: "cmd 0x99", fields: ["ret", "data"] },
  "gid": { done: "gid", refused: `gid ${NOBODY}`, fields: ["gid"] },
  "query": { done: "query", refused: `query ${NOBODY}`, fields: ["my_gid"] },
  "rgid": { done: "rgid $g1", refused: "rgid 0x1", fields: ["gid"] },
  "vlan add": { done: "vlan add 8", refused: "vlan add 0", fields: [] },
  "vlan del": { done: "vlan del 7", refused: "vlan del 9", fields: [] },
  "vlan require": { done: "vlan require off", refused: `vlan require on ${NOBODY}`, fields: [] },
  "vlan list": { done: "vlan list", refused: `vlan list ${NOBODY}`, fields: ["ids"] },
  "dmb register": {
    done: "dmb register --size 4k --rgid $g1",
    refused: "dmb register --size 5000 --rgid $g1",
    fields: ["token", "index", "iova", "size"],
  },
  "dmb unregister": {
    done: "dmb unregister $gone -d 1",
    refused: "dmb unregister 0x10000000",
    fields: ["token"],
  },
  "dmb list": { done: "dmb list -d 1", refused: `dmb list ${NOBODY}`, fields: ["dmbs"] },
  "dmb read": { done: "dmb read $t 0 16 -d 1", refused: "dmb read 0x10000000", fields: ["length", "data"] },
  "move": {
    done: "move $t 0 text:hello --signal",
    refused: "move 0x10000000 0 hex:00",
    fields: ["length", "stores"],
  },
  "signal": { done: "signal $g1 --code 5 --info 7", refused: "signal 0x1 --code 5", fields: [] },
  "events": { done: "events -d 1", refused: `events ${NOBODY}`, fields: ["events"] },
  "irq": { done: "irq -d 1", refused: `irq ${NOBODY}`, fields: ["interrupts", "dmbs", "events"] },
  "irq wait": { done: "irq wait", refused: "irq wait --timeout 0", fields: ["interrupts", "dmbs", "events"] },
  "exec": { done: "", refused: "", fields: [] },
  "conform": { done: "", refused: "", fields: [] },
  "host create": { done: "", refused: "", fields: [] },
  "host show": { done: "host show", refused: "", fields: ["topology"] },
  "host reset": { done: "", refused: "", fields: [] },
  "host delete": { done: "", refused: "", fields: [] },
  "host export": { done: "", refused: "", fields: [] },
  "host import": { done: "", refused: "", fields: [] },
  "host check": { done: "", refused: "", fields: [] },
  "bind": { done: "bind", refused: `bind ${NOBODY}`, fields: [] },
  "unbind": { done: "unbind", refused: `unbind ${NOBODY}`, fields: [] },
  "open": { done: "open -d 1", refused: `open ${NOBODY}`, fields: [] },
  "close": { done: "close -d 1", refused: `close ${NOBODY}`, fields: [] },
  "reset": { done: "reset", refused: `reset ${NOBODY}`, fields: [] },
  "recover": {
    done: "recover",
    refused: "recover --wait --timeout 0",
    fields: ["blocks", "resets", "fh", "dmbs"],
  },
  "feature": { done: "feature 3 --set", refused: "feature 11", fields: [] },
  "dma map": { done: "dma map --size 4k", refused: "dma map --size 4k --iova 1", fields: ["iova", "size"] },
  "dma unmap": { done: "dma unmap $i", refused: "dma unmap 0x123", fields: ["iova", "unmapped"] },
  "dma list": { done: "dma list", refused: `dma list ${NOBODY}`, fields: ["mappings"] },
  "dma read": { done: "dma read $j 16", refused: "dma read 0 16", fields: ["length", "data"] },
  "dma write": { done: "dma write $j text:x", refused: "dma write 0 text:x", fields: ["length"] },
  "dma and": { done: "dma and $j 0xff --width 1", refused: "dma and 0 0", fields: ["iova", "width", "old"] },
  "dma or": { done: "dma or $j 1", refused: "dma or 0 0", fields: ["iova", "width", "old"] },
  "dma swap": { done: "dma swap $j 1 --width 3", refused: "dma swap 0 0", fields: ["iova", "width", "old"] },
  "zpci clp": { done: "zpci clp list", refused: `zpci clp list ${NOBODY}`, fields: [] },
  // What is done with these is a matter of the state that the function is in; their examples are run elsewhere.
  "zpci enable": { done: "", refused: `zpci enable ${NOBODY}`, fields: [] },
  "zpci disable": { done: "", refused: `zpci disable ${NOBODY}`, fields: [] },
  "zpci configure": { done: "", refused: `zpci configure ${NOBODY}`, fields: [] },
  "zpci deconfigure": { done: "", refused: `zpci deconfigure ${NOBODY}`, fields: [] },
  "zpci event": { done: "", refused: `zpci event 0x3a ${NOBODY}`, fields: [] },
  "zpci controls": {
    done: "zpci controls",
    refused: "zpci controls --fh 0",
    fields: ["controls", "bits", "fields", "interrupts", "data"],
  },
  "zpci mpcifc": {
    done: "zpci mpcifc 10",
    refused: "zpci mpcifc reset-error",
    fields: ["operation", "cc", "state"],
  },
  "zpci rpcit": {
    done: "zpci rpcit 0x1f0000000 4096",
    refused: "zpci rpcit 0x1f0000000 4096 --fh 1",
    fields: ["cc"],
  },
  "zpci pcilg": {
    done: "zpci pcilg 15 0 4",
    refused: "zpci pcilg 15 0 3",
    fields: ["space", "offset", "length", "cc", "data"],
  },
  "zpci pcistg": {
    done: "zpci pcistg 15 0x3c 1 fill:0*8",
    refused: "zpci pcistg 15 0x3c 3 fill:0*8",
    fields: ["space", "offset", "length", "cc"],
  },
  "zpci pcistb": {
    done: "zpci pcistb 2 8 fill:0*8",
    refused: "zpci pcistb 6 8 fill:0*8",
    fields: ["space", "offset", "length", "cc"],
  },
  "zpci recover": { done: "", refused: `zpci recover ${NOBODY}`, fields: [] },
  "fault add": { done: "fault add busy:1 --at 1000000", refused: `fault add cc3 ${NOBODY}`, fields: ["id"] },
  "fault list": { done: "fault list", refused: "", fields: ["faults"] },
  "fault clear": { done: "fault clear", refused: "fault clear 99", fields: [] },
  "sleep": { done: "sleep 1", refused: "", fields: ["seconds", "clock"] },
  "run": { done: "", refused: "", fields: [] },
  "shell": { done: "", refused: "", fields: [] },
  "source": { done: "", refused: "", fields: [] },
  "echo": { done: "echo one two", refused: "", fields: ["text"] },
  "expect": { done: "expect EINVAL info 6", refused: "expect EINVAL gid", fields: ["expected", "got"] },
  "let": { done: "let x gid", refused: `let x gid ${NOBODY}`, fields: ["name", "value"] },
  "repeat": { done: "repeat 2 gid", refused: "repeat 2 info 6", fields: ["count", "last"] },
  "explain": { done: "explain gid", refused: `explain gid ${NOBODY}`, fields: [] },
  "help": { done: "help stb", refused: "help nothing", fields: ["text"] },
  "completions": { done: "completions bash", refused: "", fields: ["shell", "text"] },
  "man": { done: "man", refused: "", fields: ["text"] },
  "version": { done: "version", refused: "", fields: ["version"] },
};

/** Names that always hold a position, an address, a handle, a token or a GID. */
const HEX =
  /^(offset|position|iova|vaddr|token|gid|my_gid|rgid|fh|fid|uid|chid|pchid|info|tok|mask|(start|end)_dma)$/;
/** Names that always hold a number. */
const NUMBERS = /^(ret|length|bytes|stores|signals|seconds|size|index|count|flags|errno|line|fd|cc|status)$/;

/** Checks the types of all fields by their names, at any depth. */
function assertTypes(value: unknown, path: string): void {
  if (Array.isArray(value)) return value.forEach((each, i) => assertTypes(each, `${path}[${i}]`));
  if (typeof value !== "object" || value === null) return;
  for (const [key, field] of Object.entries(value)) {
    const where = `${path}.${key}`;
    // A topology has a format of its own; a block's fields are all shown as the block holds them.
    if (key === "topology" || key === "fields" || field === null) continue;
    if (key === "data") assertMatch(field as string, /^(?:[0-9a-f]{2})*$/, where);
    else if (HEX.test(key)) assertMatch(String(field), /^0x[0-9a-f]+$/, where);
    else if (NUMBERS.test(key)) assertEquals(typeof field, "number", where);
    assertTypes(field, where);
  }
}

function assertDocument(document: Document, command: string, inScript: boolean): void {
  const { schema, ok, file, line } = document;
  assertEquals([schema, document.command], [1, command]);
  const place = inScript ? ["file", "line"] : [];
  // A failure behind a prefix names the command that it is about; only a line that was understood can.
  const prefixed = !ok && COMMANDS.get(command)?.prefix === true ? ["prefixed"] : [];
  assertEquals(
    Object.keys(document).toSorted(),
    ["schema", "command", "ok", ok ? "result" : "error", ...prefixed, ...place].toSorted(),
  );
  if (inScript) assert(file === "stdin" && typeof line === "number" && line > 0);
  if (!ok) {
    const { code, message } = document.error!;
    assertMatch(code, /^(E[A-Z0-9]+|RET|DRIVER|MACHINE|HANG|USAGE|FILE|EXPECT)$/);
    assert(message !== "" && !message.includes("\n"), message);
    if (code.startsWith("E") && code !== "EXPECT") {
      assertEquals(typeof document.error!["errno"], "number");
      for (const name of ["layer", "rule", "source"]) {
        assertEquals(typeof document.error![name], "string", name);
      }
    }
  }
  assertTypes(document, command);
}

/** Commands that the table has, with their rows. */
const PRESENT = [...COMMANDS.keys()].map((name) => ({ name, row: ROWS[name] }));

Deno.test("ism has a row of this test for each of its commands", () => {
  assertEquals(PRESENT.filter(({ row }) => row === undefined).map(({ name }) => name), []);
});

for (const outcome of ["done", "refused"] as const) {
  Deno.test(`ism --json says in one document that a command was ${outcome}, for every command`, async () => {
    using program = new Program();
    program.write("file", "some bytes");
    program.write(
      "trace.jsonl",
      '{"seq":1,"layer":"insn","op":"PCILG","time":1,"end":1,"guest":"guest0","cc":0}\n',
    );
    const rows = PRESENT.filter(({ row }) => row !== undefined && row[outcome] !== "");
    // Host commands cannot stand in a script, and neither does `unbind` leave much to do for those behind it.
    const last = rows.filter(({ name }) => name === "bind" || name === "unbind");
    const lines = [...rows.filter((row) => !last.includes(row)), ...last];
    const documents = await program.documents([...SETUP, ...lines.map(({ row }) => row![outcome])]);
    assertEquals(documents.length, SETUP.length + lines.length);
    for (const document of documents.slice(0, SETUP.length)) assert(document.ok, document.error?.message);
    for (const [i, { name, row }] of lines.entries()) {
      const document = documents[SETUP.length + i]!;
      assertEquals(document.ok, outcome === "done", `${row![outcome]}: ${document.error?.message}`);
      assertDocument(document, name, true);
      if (outcome === "refused") continue;
      for (const field of row!.fields) assert(field in document.result, `${name}: ${field}`);
    }
  });
}

Deno.test("ism --json says in one document what became of a command outside of scripts", async () => {
  using program = new Program();
  const sequence = [
    "host create",
    "host show",
    "host reset",
    "list",
    "version",
    "help",
    "gid",
    "exec /bin/true",
    "host delete",
  ];
  for (const line of sequence) {
    const documents = documentsOf(await program.run(["--json", ...line.split(" ")]));
    assertEquals(documents.length, 1);
    assert(documents[0]!.ok);
    assertDocument(documents[0]!, line.replace(" /bin/true", ""), false);
  }
  const failing = ["list", "host show", "host reset", "host delete", "gid", "irq wait", "send file"];
  await inParallel(failing, async (line) => {
    const outcome = await program.run(["--json", "--host", "missing.db", ...line.split(" ")]);
    assertEquals(outcome.code, 4);
    const [document, ...more] = documentsOf(outcome);
    assertEquals(more, []);
    assertDocument(document!, line.replace(" file", ""), false);
  });
});

Deno.test("ism --json answers --help and --version with a document, too", async () => {
  using program = new Program();
  const rows = [
    ["--help", "help"],
    ["stb --help", "help"],
    ["dmb --help", "help"],
    ["--version", "version"],
    ["", "help"],
  ];
  await inParallel(rows, async ([args, command]) => {
    const outcome = await program.run(["--json", ...args!.split(" ").filter((word) => word !== "")]);
    const [document, ...more] = documentsOf(outcome);
    assertEquals([outcome.code, document!.command, document!.ok, more], [0, command, true, []]);
  });
});

Deno.test("ism commands without arguments refuse a word, before anything runs", () => {
  const bare = PRESENT.filter(({ name }) => Object.keys(COMMANDS.get(name)!.args).length === 0);
  for (const { name } of bare.filter(({ name }) => COMMANDS.get(name)!.prefix !== true)) {
    const error = assertThrows(() => parseScript(`${name} surplus`, "test", COMMANDS), UsageError);
    assertMatch(error.message, /^There is no place for "surplus"; usage: |has no subcommand "surplus"/, name);
  }
});
