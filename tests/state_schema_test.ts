/** What `host import` refuses and `host check` reports: wrong shapes with their path, references that lead nowhere. */
import { assert, assertEquals, assertMatch } from "@std/assert";
import type { Json } from "../lib/base/json.ts";
import { exportHost } from "../lib/host/file/export.ts";
import { ImportError, importHost } from "../lib/host/file/import.ts";
import { HostStore, MEMORY_HOST } from "../lib/host/file/store.ts";
import { parseTopology } from "../lib/host/topology.ts";
import { editRows } from "./support/edited_host.ts";
import { FULL_TOPOLOGY, furnish } from "./support/full_host.ts";
import { assertNoStack, inParallel, Program } from "./support/program.ts";

/** A document of a host with something in every corner, as anybody could edit it. */
type Document = { state: Record<string, Json>; topology: Json; pages: Json };

function fullDocument(): Document {
  using store = HostStore.create(MEMORY_HOST, parseTopology(FULL_TOPOLOGY));
  const host = store.begin("write");
  furnish(host);
  return JSON.parse(JSON.stringify(exportHost(host)));
}

const DOCUMENT = fullDocument();

/** The value at a path, and the object that it is in. */
function at(root: Json, path: string): { in: Record<string, Json>; key: string } {
  const keys = path.split(".");
  const key = keys.pop()!;
  let value = root;
  for (const each of keys) value = (value as Record<string, Json>)[each]!;
  return { in: value as Record<string, Json>, key };
}

/** What an import of the document says after an edit; "" if it is accepted. */
function imported(row: string, path: string, edit: (old: Json | undefined) => Json | undefined): string {
  const document = structuredClone(DOCUMENT);
  const place = path === "" ? { in: document.state, key: row } : at(document.state[row]!, path);
  const value = edit(place.in[place.key]);
  if (value === undefined) delete place.in[place.key];
  else place.in[place.key] = value;
  try {
    importHost(document);
    return "";
  } catch (error) {
    if (!(error instanceof ImportError)) throw error;
    return error.message;
  }
}

const LEFT = "guest/0/kernel";
const RIGHT = "guest/1/kernel";

Deno.test("the document of the full host is accepted as it is", () => {
  assertEquals(imported("clock", "", (old) => old), "");
});

Deno.test("a wrong type is refused with row, path and what was expected", () => {
  const rows: readonly (readonly [row: string, path: string, value: Json | undefined, message: RegExp])[] = [
    [
      LEFT,
      "bindings.0.removing",
      5,
      /^state: guest\/0\/kernel: bindings\.0\.removing: Invalid type: Expected boolean but received 5$/,
    ],
    [
      LEFT,
      "bindings.0.removing",
      undefined,
      /^state: guest\/0\/kernel: bindings\.0\.removing: it is missing$/,
    ],
    [LEFT, "bindings.0.more", 1, /^state: guest\/0\/kernel: bindings\.0\.more: this key is not known$/],
    [
      LEFT,
      "bindings.0.driver",
      "vfio",
      /^state: guest\/0\/kernel: bindings\.0\.driver: Invalid type: Expected \("ism_vfio_pci"/,
    ],
    [LEFT, "files", {}, /^state: guest\/0\/kernel: files: Invalid type: Expected Array/],
    [LEFT, "eventfds.0.count", "1", /^state: guest\/0\/kernel: eventfds\.0\.count: /],
    [
      "faults",
      "faults.0.fault.kind",
      "bussy",
      /^state: faults: faults\.0\.fault\.kind: .*"busy" \| "status"/,
    ],
    ["faults", "faults.0.fault.times", "3", /^state: faults: faults\.0\.fault\.times: /],
    [
      "faults",
      "faults.0.match",
      [],
      /^state: faults: faults\.0\.match: .*Expected Object but received Array$/,
    ],
    ["adapter/16", "dmbs.0.rgid", "0xg", /^state: adapter\/16: dmbs\.0\.rgid: /],
    ["function/16", "config.bytes", "00", /^state: function\/16: config\.bytes: /],
    ["clock", "", "now", /^state: clock: the row: Invalid type: Expected number but received "now"$/],
    ["clock", "", undefined, /^state: clock: it is missing$/],
    ["driver/99", "", {}, /^state: driver\/99: there is nothing of this name$/],
  ];
  for (const [row, path, value, message] of rows) {
    assertMatch(imported(row, path, () => value), message, `${row}: ${path}`);
  }
});

Deno.test("numbers are refused beyond their limits and accepted at them", () => {
  const rows:
    readonly (readonly [row: string, path: string, good: readonly number[], bad: readonly number[]])[] = [
      // ism.ieq.order: 15 slots, and -1 before the first.
      ["driver/16", "registrations.lastSlot", [-1, 14], [-2, 15]],
      ["adapter/16", "ieqSlot", [0, 14], [-1, 15]],
      ["adapter/16", "ieqUnread", [0, 15], [-1, 16]],
      // ism.dmb.register: 1920 indices.
      ["adapter/16", "dmbs.0.sbaIndex", [0, 1919], [-1, 1920, 1.5]],
      // ism.data.offset: 20 bits from bit 28 on, never 0.
      ["adapter/16", "dmbs.0.token", [2 ** 28, 2 ** 48 - 2 ** 28], [0, 2 ** 28 + 1, 2 ** 48]],
      // ism.dmb.limits: a DMB has 4 KiB to 1 MiB, a function 64 VLAN ids of 12 bits.
      ["adapter/16", "dmbs.0.length", [4096, 2 ** 20], [0, 4095, 4097, 2 ** 20 + 4096]],
      ["adapter/16", "vlans.0", [1, 4095, 0x1fff], [0, 4096, 0x2000]],
      ["adapter/16", "commandBar.busyLoads", [0, 2], [3, -1]],
      // Descriptors begin behind the standard streams and end at the limit of a process.
      [LEFT, "files.0.fd", [1023], [2, 1024]],
      ["fabric/2017", "nextToken", [1, 2 ** 20 - 1], [0, 2 ** 20]],
      ["faults", "faults.0.fault.times", [1, 2 ** 31], [0, 2 ** 31 + 1]],
      ["driver/16", "descriptor.maxStoreBlock", [1], [0]],
    ];
  for (const [row, path, good, bad] of rows) {
    for (const value of good) assertEquals(imported(row, path, () => value), "", `${path} ${value}`);
    for (const value of bad) {
      const said = imported(row, path, () => value);
      assert(said.startsWith(`state: ${row}: ${path}: `), `${path} ${value}: ${said}`);
    }
  }
});

Deno.test("references that lead nowhere are refused", () => {
  const rows: readonly (readonly [row: string, path: string, value: Json, message: RegExp])[] = [
    [LEFT, "groups.0", 77, /groups\.0: neither a container nor an iommufd has the id 77$/],
    [LEFT, "devices.0.msi.0", 78, /devices\.0\.msi\.0: there is no eventfd 78$/],
    [LEFT, "devices.0.req", 79, /devices\.0\.req: there is no eventfd 79$/],
    [LEFT, "devices.0.openCount", 3, /devices\.0\.openCount: 3 does not fit 1 open descriptors$/],
    [LEFT, "devices.0.config", null, /devices\.0\.config: there is one while the device is open$/],
    [
      LEFT,
      "devices.0.config.capabilities.0.start",
      250,
      /capabilities: the last one passes the end of config space$/,
    ],
    [LEFT, "devices.0.fid", 0x11, /guest\/0\/kernel: devices: 0x10 is missing$/],
    [LEFT, "zdevs.0.facts.fid", 0x11, /zdevs\.0: it is not function 0x10 of the topology$/],
    [LEFT, "zdevs.0.facts.uid", 9, /zdevs\.0\.facts\.uid: it is 1 in the topology$/],
    [LEFT, "bindings.0.driver", null, /devices: no vfio driver holds 0x10$/],
    [LEFT, "bindings.0.nextRequest", 4e15, /bindings\.0\.nextRequest: nothing waits for the function$/],
    [LEFT, "files.0.id", 99, /files\.0\.id: there is no \w+ 99$/],
    [LEFT, "files.0.fd", 4, /files: descriptor 4 is there twice$/],
    [LEFT, "interruptPage", 0x10_1000, /interruptPage: no page of memory begins at 0x101000$/],
    [LEFT, "nextId", 2, /id: \d+ was not given yet, the next one is 2$/],
    [LEFT, "containers.0.domain.origin", 0x10_0000, /interruptPage: two things use the page at 0x100000$/],
    [
      LEFT,
      "containers.0.domain.mappings.0.vaddr",
      0x7fff_0000,
      /mappings\.0: 4096 bytes at 0x7fff0000 are no memory of the guest$/,
    ],
    [
      LEFT,
      "containers.0.domain.mappings.1.iova",
      0x1_0000_0000,
      /mappings\.1: 0x100000000 is not behind the mapping before it$/,
    ],
    [LEFT, "containers.0.withoutAddress", [4096], /withoutAddress\.0: no mapping begins at 0x1000$/],
    [LEFT, "containers.0.type", null, /containers\.0\.type: a type and a domain come together$/],
    [LEFT, "iommufds.0.vfioIoas", 9, /iommufds\.0\.vfioIoas: there is no IOAS 9$/],
    [LEFT, "iommufds.0.ioases.0.writablePages", [1], /writablePages\.0: no mapping begins at 0x1$/],
    [LEFT, "iommufds.0.ioases.0.allowed", [["0x5", "0x4"]], /allowed\.0: it ends before it begins$/],
    [
      "guest/0/storage",
      "buffers.1.address",
      0x10_0000,
      /buffers\.1: 0x100000 is not behind the buffer before it$/,
    ],
    ["guest/0/storage", "buffers.0.size", 2 ** 40, /guest\/0\/storage: /],
    ["guest/0/storage", "next", 0x10_0000, /next: 0x100000 is inside a buffer$/],
    ["function/16", "fh", 0x8200_0002, /fh: 0x82000002 is the handle of another function$/],
    ["adapter/16", "vlans", [7, 7], /vlans: 7 is there twice$/],
    [
      "driver/16",
      "memory.0.vaddr",
      0x7fff_0000,
      /memory\.0: 12288 bytes at 0x7fff0000 are no memory of the guest$/,
    ],
    [
      "driver/16",
      "registrations.sba.vaddr",
      0,
      /registrations\.sba: 4096 bytes at 0x0 are no memory of the guest$/,
    ],
    ["driver/16", "descriptor", null, /registrations: there are some, and the function is not open$/],
    ["rendezvous", "0.reader", 0x99, /0\.reader: there is no function 0x99$/],
    ["faults", "faults.1.id", 1, /faults: two have the number 1$/],
    ["faults", "nextId", 1, /faults\.0\.id: 1 was not given yet, the next one is 1$/],
    ["clock", "", 5, /clock: the row: it is before 2027-03-04T05:06:07Z, when the host was made$/],
  ];
  for (const [row, path, value, message] of rows) {
    assertMatch(imported(row, path, () => value), message, `${row}: ${path}`);
  }
  const cdev = (DOCUMENT.state[LEFT] as unknown as { files: { cdev?: { iommufd: number | null } }[] }).files
    .findIndex(({ cdev }) => typeof cdev?.iommufd === "number");
  assertMatch(imported(LEFT, `files.${cdev}.cdev.ioas`, () => 66), /cdev\.ioas: iommufd \d+ has no IOAS 66$/);
  assertMatch(
    imported(LEFT, `files.${cdev}.cdev.iommufd`, () => 66),
    /cdev\.iommufd: there is no iommufd 66$|openCount/,
  );
  const twice = (old: Json | undefined) => [...old as Json[], (old as Json[])[0]!];
  assertMatch(imported("adapter/16", "dmbs", twice), /adapter\/16: dmbs: two have the index 32$/);
  assertMatch(imported(RIGHT, "groups", twice), /groups: there are 5 for 4 functions$/);
  const token = (DOCUMENT.state["adapter/16"] as unknown as { dmbs: { token: number }[] }).dmbs[0]!.token;
  assertMatch(
    imported("adapter/17", "dmbs.0.token", () => token),
    /adapter\/17: dmbs: the token 0x[0-9a-f]+ is there twice$/,
  );
  // A chain of capabilities without an end.
  const bytes = (old: Json | undefined) =>
    String(old).slice(0, 0x41 * 2) + "40" + String(old).slice(0x42 * 2);
  assertMatch(
    imported("function/16", "config.bytes", bytes),
    /config space of the machine has another value at 0x41$/,
  );
});

Deno.test("a wrong document changes nothing; the same rows in a host file end every command with exit code 4", async () => {
  // What a load does not notice, and what it stumbles over.
  const edits: readonly (readonly [row: string, path: string, value: Json, line: string])[] = [
    ["driver/16", "registrations.sba", null, "status"],
    ["driver/16", "vlans", 5, "status"],
    [LEFT, "eventfds", [], "irq"],
    [LEFT, "zdevs", [], "list"],
    [LEFT, "bindings.0", null, "gid"],
    ["adapter/16", "dmbs.0", { token: 1 }, "status"],
    // A write is cut by it, and would not end.
    ["driver/16", "descriptor.maxStoreBlock", 0, "write bar2 8 seq:0*9"],
  ];
  using program = new Program();
  const [row, path, value] = edits[0]!;
  const edited = (document: Document) => {
    const place = at(document.state[row]!, path);
    place.in[place.key] = value;
    return JSON.stringify(document);
  };
  program.write("wrong.json", edited(structuredClone(DOCUMENT)));
  await program.result("host", "create");
  const before = program.read("host.db");
  const refused = await program.run(["host", "import", "wrong.json", "--force"]);
  assertEquals([refused.code, refused.stdout, program.read("host.db")], [4, "", before]);
  assertMatch(
    refused.stderr,
    /^ism: host import: "wrong\.json" is no exported host: state: driver\/16: registrations\.sba: [^\n]+\n$/,
  );
  await inParallel([...edits.keys()], async (i) => {
    const [row, path, value, line] = edits[i]!;
    const file = `edited${i}.db`;
    program.write("full.json", JSON.stringify(DOCUMENT));
    await program.result("--host", file, "host", "import", "full.json");
    editRows(program.path(file), (rows) => {
      const place = at(rows.get(row)!, path);
      place.in[place.key] = value;
    });
    const before = program.read(file);
    for (const words of [line.split(" "), ["host", "check"], ["-c", line]]) {
      const outcome = await program.run(["--host", file, ...words]);
      assertEquals([outcome.code, outcome.stdout], [4, ""], `${file} ${words}: ${outcome.stderr}`);
      assertNoStack(outcome);
      assertMatch(outcome.stderr, /^(ism|-c:1:1): [^\n]*edited\d\.db"? is damaged: [^\n]+\n/);
      assert(outcome.stderr.includes(`is damaged: ${row}: `), outcome.stderr);
    }
    assertEquals(program.read(file), before);
  });
});
