/**
 * Facts, docs/reference/ism/commands.md, ism/drivers.md and ism/data.md, ism.cmd.area: BAR 2 as memory, and what starts
 * a command.
 */
import { assertEquals } from "@std/assert";
import { be, bytes, pattern } from "../../../tests/support/bytes.ts";
import { outcome } from "../../../tests/support/machine.ts";
import { IEQ_AT, SBA_AT, type Station, stations } from "../../../tests/support/stations.ts";
import type { TraceEvent } from "../../base/trace.ts";
import type { IsmOptions } from "./options.ts";

const READ_GID = "00000003" + "0000" + "0008";
const GID_ANSWER = "00000003" + "0000" + "0010" + "00000000000000a1";
const REFUSED = "cc 1 status 20";

/** A function that had no command yet. */
function fresh(options: Partial<IsmOptions> = {}): Station {
  const [station] = stations(1, options);
  station!.fn.disable();
  station!.enable();
  return station!;
}

/** The store of a header; how it ended. */
function header(station: Station, code: number, length: number): string {
  return station.store(2, 0, bytes(be(code, 4) + "0000" + be(length, 2)));
}

Deno.test.each(
  [
    { bar2Initial: "zeros", byte: "00" },
    { bar2Initial: "ones", byte: "ff" },
  ] as const,
)(
  "BAR 2 is $bar2Initial before any command, after a reset and behind the command area (ism.cmd.area)",
  (row) => {
    const station = fresh({ bar2Initial: row.bar2Initial });
    assertEquals([station.response(64), station.load(2, 8192, 8)], [row.byte.repeat(64), row.byte.repeat(8)]);
    station.command(0x03);
    assertEquals(station.response(24), GID_ANSWER + row.byte.repeat(8), "a response leaves the rest alone");
    station.fn.disable();
    station.enable();
    assertEquals(station.response(16), row.byte.repeat(16));
  },
);

Deno.test("the header store executes at once, and the response takes the request's place (ism.cmd.sequence, ism.cmd.start)", () => {
  const station = fresh();
  station.store(2, 8, bytes("ff".repeat(8)));
  station.store(2, 0, bytes(READ_GID));
  assertEquals(station.response(16), GID_ANSWER);
});

Deno.test.each([0, 1, 3])(
  "after each command %d loads of BAR 2 answer busy (ism.cmd.start)",
  (responseDelay) => {
    const station = fresh({ responseDelay });
    assertEquals(station.load(2, 0, 8), "00".repeat(8), "no command, no delay");
    for (let command = 0; command < 2; command++) {
      station.store(2, 0, bytes(READ_GID));
      const answers = Array.from({ length: responseDelay + 1 }, () => station.load(2, 0, 8));
      assertEquals(answers, [...Array(responseDelay).fill("cc 2"), GID_ANSWER.slice(0, 16)]);
    }
    station.store(2, 0, bytes(READ_GID));
    station.fn.disable();
    station.enable();
    assertEquals(station.load(2, 0, 8), "00".repeat(8), "a reset ends the delay");
  },
);

Deno.test("a payload store alone executes nothing (ism.cmd.start)", () => {
  const station = fresh();
  station.store(2, 8, bytes(be(SBA_AT, 8)));
  assertEquals([station.adapter.sba, station.response(16)], [undefined, "00".repeat(8) + be(SBA_AT, 8)]);
});

Deno.test("header and payload in one store are executed, or only stored by choice (ism.cmd.whole)", () => {
  const whole = bytes("00000001" + "0000" + "0010" + be(SBA_AT, 8));
  const executing = fresh({ wholeCommandStores: "execute" });
  assertEquals(executing.store(2, 0, whole), "cc 0");
  assertEquals([executing.adapter.sba, executing.load(2, 0, 8)], [SBA_AT, "00000001" + "0000" + "0008"]);
  const storing = fresh({ wholeCommandStores: "store-only" });
  assertEquals(storing.store(2, 0, whole), "cc 0");
  assertEquals([storing.adapter.sba, storing.response(16)], [undefined, whole.toHex()]);
  storing.store(2, 0, whole.subarray(0, 8));
  assertEquals([storing.adapter.sba, storing.load(2, 0, 8)], [SBA_AT, "00000001" + "0000" + "0008"]);
});

Deno.test("a header store shorter than 8 bytes, or at offset 1 to 7, only leaves its bytes (ism.cmd.partial)", () => {
  const station = fresh({ partialHeaderStores: "store" });
  station.store(2, 0, bytes(READ_GID).subarray(0, 7));
  station.store(2, 7, bytes("08"));
  assertEquals(station.response(16), READ_GID + "00".repeat(8));
  for (let offset = 1; offset < 8; offset++) {
    station.store(2, offset, bytes(READ_GID + "00".repeat(8)).subarray(offset));
    assertEquals(station.response(16), READ_GID + "00".repeat(8));
  }
  station.store(2, 0, bytes(READ_GID));
  assertEquals(station.response(16), GID_ANSWER);
});

Deno.test("stores over a part of the header are refused by choice, and leave nothing (ism.cmd.partial)", () => {
  const station = fresh({ partialHeaderStores: "refuse" });
  const parts = [[0, 7], [0, 1], [1, 8], [7, 1], [7, 100]] as const;
  for (const [offset, length] of parts) assertEquals(station.store(2, offset, pattern(length)), REFUSED);
  assertEquals(station.response(128), "00".repeat(128));
  assertEquals([station.store(2, 8, pattern(8)), station.store(2, 0, bytes(READ_GID))], ["cc 0", "cc 0"]);
  assertEquals(station.response(16), GID_ANSWER);
});

Deno.test("a command runs on the bytes that are there, also where too few were stored (ism.cmd.length)", () => {
  const station = fresh();
  station.store(2, 8, bytes(be(IEQ_AT, 8) + be(512, 8)));
  station.store(2, 8, bytes(be(IEQ_AT, 8)));
  header(station, 0x02, 24);
  assertEquals([station.load(2, 0, 8), station.adapter.ieq], ["00000002" + "0000" + "0008", IEQ_AT]);
});

Deno.test("loads of 1, 2 and 4 bytes give the same bytes as one of 8 (ism.cmd.loads)", () => {
  const station = fresh();
  station.store(2, 0, bytes(READ_GID));
  for (const length of [1, 2, 4, 8]) {
    const pieces = Array.from({ length: 16 / length }, (_, i) => station.load(2, i * length, length));
    assertEquals(pieces.join(""), GID_ANSWER);
  }
});

Deno.test("the rest of BAR 2 takes stores, does nothing with them, and reads as zeros (ism.cmd.area)", () => {
  const station = fresh({ bar2Size: 65536, bar2Outside: "ignore" });
  const before = station.adapter.save();
  assertEquals(station.store(2, 8192, pattern(4096)), "cc 0");
  assertEquals(station.load(2, 8192, 8), "00".repeat(8));
  assertEquals(station.load(2, 65528, 8), "00".repeat(8));
  assertEquals(station.adapter.save(), before);
});

Deno.test("the rest of BAR 2 refuses stores and loads by choice (ism.cmd.area)", () => {
  const station = fresh({ bar2Size: 65536, bar2Outside: "refuse" });
  assertEquals([station.store(2, 4088, pattern(8)), station.load(2, 4088, 8)], ["cc 0", pattern(8).toHex()]);
  for (const offset of [4096, 8192, 65528]) {
    assertEquals([station.store(2, offset, pattern(8)), station.load(2, offset, 8)], [REFUSED, REFUSED]);
  }
  assertEquals(station.fn.state, "enabled");
});

Deno.test("BAR 2 ends where its size says (zpci.insn.order, ism.config.bars)", () => {
  for (const bar2Size of [4096, 65536]) {
    const station = fresh({ bar2Size });
    assertEquals([station.store(2, bar2Size - 8, pattern(8)), station.load(2, bar2Size - 8, 8)], [
      "cc 0",
      bar2Size === 4096 ? pattern(8).toHex() : "00".repeat(8),
    ]);
    assertEquals(station.store(2, bar2Size, pattern(8)), "operand exception");
    assertEquals(station.load(2, bar2Size, 8), "operand exception");
  }
});

Deno.test("PCISTG to BAR 2 is status 20, or a store like any other by choice (ism.cmd.pcistg, ism.data.load)", () => {
  const store = ({ processor, fn }: Station) =>
    outcome(processor, () => processor.pcistg(fn.fh, 2, 0, 8, bytes(READ_GID)));
  const strict = fresh({ bar2Stores: "refuse" });
  assertEquals([store(strict), strict.response(16)], [REFUSED, "00".repeat(16)]);
  const lenient = fresh({ bar2Stores: "accept" });
  assertEquals([store(lenient), lenient.response(16)], ["cc 0", GID_ANSWER]);
});

const PAYLOAD = [8, be(7, 8)] as const;
const HEADER = [0, READ_GID] as const;
/** Stores (offset and bytes) and loads (`"load"` of the header) in one row, and what of that breaks the order. */
const SEQUENCES: readonly {
  readonly what: string;
  readonly steps: readonly (readonly [offset: number, data: string] | "load" | "load rest")[];
  readonly broken: readonly string[];
}[] = [
  { what: "payload, header, load", steps: [PAYLOAD, HEADER, "load", PAYLOAD, HEADER, "load"], broken: [] },
  { what: "header, load, header, load", steps: [HEADER, "load", HEADER, "load"], broken: [] },
  {
    what: "one store for all",
    steps: [[0, READ_GID + be(0, 8)], "load", [0, READ_GID + be(0, 8)]],
    broken: [],
  },
  { what: "two payloads", steps: [PAYLOAD, PAYLOAD], broken: ["the last payload got no header"] },
  {
    what: "a payload, then one store for all",
    steps: [PAYLOAD, [0, READ_GID + be(0, 8)]],
    broken: ["the last payload got no header"],
  },
  { what: "two headers", steps: [HEADER, HEADER], broken: ["the last response was not loaded"] },
  { what: "a payload too early", steps: [HEADER, PAYLOAD], broken: ["the last response was not loaded"] },
  {
    what: "a response of which only the rest was loaded",
    steps: [HEADER, "load rest", HEADER],
    broken: ["the last response was not loaded"],
  },
  {
    what: "a part of the header",
    steps: [HEADER, [4, "0000"]],
    broken: ["the last response was not loaded"],
  },
];

/** Runs the steps; the breaches that the device traced. */
function run(station: Station, steps: (typeof SEQUENCES)[number]["steps"]): string[] {
  const broken: string[] = [];
  const enter = (event: TraceEvent) => {
    if (event.layer === "device" && event.op === "concurrency") broken.push(String(event.args["broken"]));
  };
  station.partition.tracer.sink = { enter, leave: () => {} };
  for (const step of steps) {
    if (step === "load") station.load(2, 0, 8);
    else if (step === "load rest") station.load(2, 8, 8);
    else station.store(2, step[0], bytes(step[1]));
  }
  return broken;
}

Deno.test.each([...SEQUENCES])(
  "$what: overlapping commands are traced (ism.cmd.serial)",
  ({ steps, broken }) => {
    const station = fresh({ concurrency: "mix" });
    assertEquals(run(station, steps), broken);
    assertEquals(station.fn.state, "enabled");
  },
);

Deno.test.each([...SEQUENCES])("$what: overlapping commands fail by choice (ism.cmd.serial)", (row) => {
  const station = fresh({ concurrency: "fail" });
  assertEquals(run(station, row.steps), row.broken);
  const failed = row.broken.length > 0;
  assertEquals([station.fn.state, station.errors], failed ? ["error", [0x3a]] : ["enabled", []]);
  assertEquals(station.load(2, 0, 8).startsWith("cc 1 status 12"), failed);
});

Deno.test("commands that overlap mix: a token taken for an address is event 0x02 (ism.cmd.serial)", () => {
  const [station] = stations();
  station!.command(0x12);
  const token = station!.dmb(0xa2n);
  station!.store(2, 8, bytes(be(IEQ_AT, 8) + be(512, 8)));
  station!.store(2, 8, bytes(be(token, 8)));
  header(station!, 0x02, 24);
  assertEquals([station!.fn.state, station!.errors], ["error", [0x02]]);
});

Deno.test("a reset ends what overlapped (ism.cmd.serial, ism.reset.forgets)", () => {
  const station = fresh({ concurrency: "fail" });
  run(station, [HEADER, HEADER]);
  station.fn.disable();
  station.enable();
  assertEquals(run(station, [HEADER, "load"]), []);
  assertEquals(station.response(16), GID_ANSWER);
});

Deno.test.each(
  [
    { what: "a waiting payload", options: { concurrency: "fail" }, steps: [PAYLOAD], then: [PAYLOAD] },
    { what: "a waiting response", options: { concurrency: "fail" }, steps: [HEADER], then: [HEADER] },
    { what: "busy loads", options: { responseDelay: 3 }, steps: [HEADER, "load"], then: ["load", "load"] },
    { what: "zeros in a BAR of ones", options: { bar2Initial: "ones" }, steps: [[4000, "0000"]], then: [] },
  ] as const,
)("save() and restore() carry $what", ({ options, steps, then }) => {
  const before = fresh(options);
  run(before, steps);
  const after = fresh(options);
  after.adapter.restore(JSON.parse(JSON.stringify(before.adapter.save())));
  assertEquals(after.adapter.save(), before.adapter.save());
  const goOn = (station: Station) => [run(station, then), station.fn.state, station.load(2, 4000, 8)];
  assertEquals(goOn(after), goOn(before));
});
