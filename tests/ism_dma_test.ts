/**
 * DMA faults from the outside (docs/reference/ism/data.md, ism/signals.md, zpci/controls.md and ism/adapter.md): what
 * each does to the writer, to the owner, to the peer's events and to somebody who has nothing to do with it.
 * Translation is taken away or narrowed by MPCIFC, as an unmap would refresh the translation first (RPCIT), which is a
 * fault of its own.
 */
import { assertEquals } from "@std/assert";
import { Program } from "./support/program.ts";

const TOPOLOGY = {
  seed: 1,
  guests: ["a", "b", "c"].map((name, i) => ({
    name,
    functions: [{ fid: `0x1${i}`, uid: i + 1, gid: `0x${name.repeat(16)}` }],
  })),
};
const WRITER = "0xaaaaaaaaaaaaaaaa";
const OWNER = "0xbbbbbbbbbbbbbbbb";
const TOKEN = "0x22f890000000";
const SIGNALLED_STORE = "stb bar0 0x22f890800000 hex:77";
const EVENT = `signal ${OWNER} --code 0x80`;

/** The owner has its SBA at 0x100000000, its IEQ behind it, then a DMB for the writer; each is one page. */
const SETUP = [
  "open -d 1",
  "events -d 0",
  "events -d 2",
  "config set COMMAND=6 -d 1",
  "dma map --size 4096 --iova 0x100000000 -d 1",
  "dma map --size 4096 --iova 0x100001000 -d 1",
  "dma map --size 4096 --iova 0x100002000 -d 1",
  "cmd REG_SBA hex:0000000100000000 -d 1",
  "cmd REG_IEQ hex:0000000100001000_0000000000000200 -d 1",
  "cmd REG_DMB hex:0000000100002000_00001000_00000020_00000000_00000000_aaaaaaaaaaaaaaaa -d 1",
];

/** The translation anchor that Linux registered: behind its interrupt page and its own domain of the function. */
const ANCHOR = "0000000000104804";

/** Deregisters the owner's translation and registers another one: first and last address. */
function translate(first: string, last: string): string[] {
  return [
    "zpci mpcifc 5 -d 1",
    `zpci mpcifc 4 hex:${"0".repeat(32)}${first}${last}${ANCHOR}${"0".repeat(80)} -d 1`,
  ];
}

/** What the writer and a third function hear when the owner fails. */
const OWNER_FAILED = [[0, 2, TOKEN], [1, 1, OWNER]];

interface Row {
  readonly name: string;
  readonly before: readonly string[];
  readonly act: string;
  /** Rule of the writer's refusal; undefined for success. */
  readonly refused?: string;
  /** Event code and address (the page of a structure) of the owner's error; undefined if it goes on. */
  readonly error?: readonly [pec: string, address: string];
  /** The first byte of the DMB. */
  readonly data: string;
}

const ROWS: readonly Row[] = [
  { name: "all is well", before: [], act: SIGNALLED_STORE, data: "77" },
  {
    name: "no translation registered",
    before: ["zpci mpcifc 5 -d 1"],
    act: SIGNALLED_STORE,
    refused: "status 36",
    error: ["0x1", "0x100002000"],
    data: "00",
  },
  {
    name: "the range ends before the DMB (its last address is one page above the last one that is used)",
    before: translate("0000000100000000", "0000000100002fff"),
    act: SIGNALLED_STORE,
    refused: "status 36",
    error: ["0x2", "0x100002000"],
    data: "00",
  },
  {
    name: "the range ends behind the DMB",
    before: translate("0000000100000000", "0000000100003fff"),
    act: SIGNALLED_STORE,
    data: "77",
  },
  {
    name: "the data arrives and the signal cannot be written (ism.data.owner)",
    before: translate("0000000100002000", "0000020000000fff"),
    act: SIGNALLED_STORE,
    error: ["0x2", "0x100000000"],
    data: "77",
  },
  {
    name: "the SBA is out of reach of a store without a signal",
    before: translate("0000000100002000", "0000020000000fff"),
    act: "stb bar0 0x22f890000000 hex:77",
    data: "77",
  },
  {
    name: "IEQ and SBA are out of reach of an event: the entry comes first",
    before: translate("0000000100002000", "0000020000000fff"),
    act: EVENT,
    error: ["0x2", "0x100001000"],
    data: "00",
  },
  {
    name: "the IEQ alone is out of reach of an event (ism.ieq.unreachable)",
    before: translate("0000000100000000", "0000000100001fff"),
    act: EVENT,
    error: ["0x2", "0x100001000"],
    data: "00",
  },
  {
    name: "the DMB is out of reach and its SBA is not: no data, no signal",
    before: translate("0000000100000000", "0000000100001fff"),
    act: SIGNALLED_STORE,
    refused: "status 36",
    error: ["0x2", "0x100002000"],
    data: "00",
  },
  {
    name: "the owner is no bus master",
    before: ["config set COMMAND=2 -d 1"],
    act: SIGNALLED_STORE,
    refused: "status 36",
    data: "00",
  },
  {
    name: "the owner is no bus master when an event comes",
    before: ["config set COMMAND=2 -d 1"],
    act: EVENT,
    data: "00",
  },
];

/** Tells of errors, events and data after `act`. */
async function after({ before, act }: Row) {
  using program = new Program();
  program.write("topology.json", JSON.stringify(TOPOLOGY));
  await program.result("host", "create", "--from", "topology.json");
  const set = [...SETUP, ...before];
  const looks = ["status -d 1", "events", "events -d 2", "dma read 0x100002000 1 -d 1", "gid -d 0"];
  const documents = await program.documents([...set, act, ...looks]);
  assertEquals(documents.slice(0, set.length).filter(({ ok }) => !ok), []);
  const [acted, status, heard, third, data, writer] = documents.slice(set.length);
  const { state, errors, sba, dmbs } = status!.result;
  return {
    refused: acted!.ok ? undefined : acted!.error!["rule"],
    state,
    errors: errors.map(({ pec, address }: Record<string, string>) => [pec, address]),
    registered: [sba !== null, dmbs.length],
    heard: heard!.result.events.map(({ type, code, tok }: Record<string, unknown>) => [type, code, tok]),
    third: third!.result.events,
    data: data!.result.data,
    writer: writer!.result.gid,
  };
}

for (const row of ROWS) {
  Deno.test(`DMA: ${row.name}`, async () => {
    assertEquals(await after(row), {
      refused: row.refused,
      state: row.error === undefined ? "enabled" : "error",
      errors: row.error === undefined ? [] : [[...row.error]],
      registered: row.error === undefined ? [true, 1] : [false, 0],
      heard: row.error === undefined ? [] : OWNER_FAILED,
      third: [],
      data: row.data,
      writer: WRITER,
    });
  });
}
