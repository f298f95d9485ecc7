/**
 * Facts, docs/reference/ism/data.md, ism/signals.md, zpci/controls.md and ism/commands.md: SBA bits, IEQ entries, when
 * the MSI comes.
 */
import { assertEquals } from "@std/assert";
import fc from "fast-check";
import { be, fromBe, pattern } from "../../../tests/support/bytes.ts";
import { DMB_AT, IEQ_AT, SBA_AT, type Station, stations } from "../../../tests/support/stations.ts";

const SIGNAL = 2 ** 23;
const IDX = 2 ** 24;

/** SIGNAL_IEQ from one station to a GID. */
function signal(from: Station, to: number, code = 0x80, { trigger = 1, info = 0n } = {}): string {
  return from.ret(0x0e, be(to, 8) + be(trigger, 4) + be(code, 4) + be(info, 8));
}

/** Offsets and values of the bytes that are not 0. */
function set(bytes: Uint8Array): string {
  return [...bytes].flatMap((byte, at) => byte === 0 ? [] : [`${at}=${be(byte, 1)}`]).join(" ");
}

Deno.test.each([
  { index: 0, bits: "0=80 4=80 256=10" },
  { index: 7, bits: "0=80 4=01 270=10" },
  { index: 32, bits: "0=80 8=80 320=10" },
  { index: 33, bits: "0=80 8=40 322=10" },
  { index: 63, bits: "0=80 11=01 382=10" },
  { index: 1919, bits: "0=80 243=01 4094=10" },
])(
  "a signal for SBA index $index sets summary, DMB bit and element mask (ism.sba.bits)",
  ({ index, bits }) => {
    const [owner, writer] = stations();
    const token = owner!.dmb(0xa2n, { index });
    assertEquals(writer!.store(0, token + SIGNAL, Uint8Array.of(1)), "cc 0");
    assertEquals(set(owner!.sba), bits);
  },
);

Deno.test("signals of several elements and DMBs add up in the masks (ism.data.store, ism.data.element)", () => {
  const [owner, writer] = stations();
  const first = owner!.dmb(0xa2n, { index: 32 });
  const second = owner!.dmb(0xa2n, { iova: DMB_AT + 4096, index: 34 });
  for (const idx of [0, 3, 13]) writer!.store(0, first + idx * IDX + SIGNAL, Uint8Array.of(1));
  writer!.store(0, second + 15 * IDX + SIGNAL, Uint8Array.of(1));
  assertEquals(set(owner!.sba), "0=80 8=a0 320=92 324=20");
});

Deno.test.each(
  [
    { elementMask: "rotate", masks: "1000 0800 0001 8000 4000 2000" },
    { elementMask: "msb-first", masks: "8000 4000 0008 0004 0002 0001" },
  ] as const,
)("idx becomes a bit of the element mask: $elementMask (ism.data.element)", ({ elementMask, masks }) => {
  const [owner, writer] = stations(2, { elementMask });
  const token = owner!.dmb(0xa2n);
  const set = [0, 1, 12, 13, 14, 15].map((idx) => {
    writer!.store(0, token + idx * IDX + SIGNAL, Uint8Array.of(1));
    const mask = owner!.sba.slice(320, 322).toHex();
    owner!.sba.fill(0);
    return mask;
  });
  assertEquals(set.join(" "), masks);
});

Deno.test("the MSI comes when a signal sets s from 0 to 1, and only then (zpci.irq.deliver, ism.msi.when)", () => {
  const [owner, writer] = stations();
  const token = owner!.dmb(0xa2n);
  const store = () => writer!.store(0, token + SIGNAL, Uint8Array.of(1));
  store();
  store();
  assertEquals(owner!.interruptions, 1);
  owner!.sba[0] = 0;
  store();
  assertEquals(owner!.interruptions, 2);
});

Deno.test("every signal raises the MSI by choice (ism.msi.when)", () => {
  const [owner, writer] = stations(2, { msiOn: "every-signal" });
  const token = owner!.dmb(0xa2n);
  for (let i = 0; i < 3; i++) writer!.store(0, token + SIGNAL, Uint8Array.of(1));
  assertEquals(owner!.interruptions, 3);
});

Deno.test("data, mask, DMB bit and summary are all there when the interrupt comes (ism.data.store)", () => {
  const [owner, writer] = stations();
  const token = owner!.dmb(0xa2n, { index: 40 });
  let seen = "";
  owner!.onInterruption = () => seen = `${set(owner!.sba)} ${owner!.at(DMB_AT, 4096).toHex()}`;
  writer!.store(0, token + SIGNAL, pattern(4096));
  assertEquals(seen, `0=80 9=80 336=10 ${pattern(4096).toHex()}`);
});

Deno.test("REG_IEQ leaves an empty queue: idx 0, lengths 512 and 32 (ism.ieq.layout)", () => {
  const [station] = stations(1);
  assertEquals(station!.ieq.toHex(), be(0, 8) + be(512, 8) + be(32, 8) + "00".repeat(488));
});

Deno.test("SIGNAL_IEQ writes an entry, idx, e, then s with the MSI (ism.event.signal, ism.ieq.index, ism.event.types)", () => {
  const [from, to] = stations();
  let seen = "";
  to!.onInterruption = () => seen = `${set(to!.sba)} ${to!.ieq.slice(0, 64).toHex()}`;
  assertEquals(signal(from!, 0xa2, 0x83, { info: 0xf1f2f3f4f5f6f7f8n }), "0000");
  const time = fromBe(to!.ieq, 48, 8);
  const entry = "00000002" + "00000083" + "00000000000000a1" + be(time, 8) + "f1f2f3f4f5f6f7f8";
  assertEquals(seen, `0=c0 ${be(1, 8)}${be(512, 8)}${be(32, 8)}${be(0, 8)}${entry}`);
  assertEquals(
    [time % 4096n, time > 0n, to!.interruptions],
    [0n, true, 1],
    "time is a TOD clock value (ism.event.time)",
  );
});

Deno.test("SIGNAL_IEQ without trigger waits for the next one that has it (ism.event.types, ism.event.trigger)", () => {
  const [from, to] = stations();
  signal(from!, 0xa2, 1, { trigger: 0 });
  assertEquals([set(to!.sba), to!.interruptions, fromBe(to!.ieq, 0, 8)], ["0=40", 0, 1n]);
  signal(from!, 0xa2, 2, { trigger: 0x8000_0000 });
  assertEquals([set(to!.sba), to!.interruptions], ["0=c0", 1]);
  assertEquals(to!.takeEvents(), ["2 0x1 0xa1", "2 0x2 0xa1"]);
});

Deno.test("SIGNAL_IEQ without trigger notifies at once by choice (ism.event.types, ism.event.trigger)", () => {
  const [from, to] = stations(2, { untriggeredEvents: "notify" });
  signal(from!, 0xa2, 1, { trigger: 0 });
  assertEquals([set(to!.sba), to!.interruptions], ["0=c0", 1]);
});

Deno.test("events carry no time by choice (ism.event.time)", () => {
  const [from, to] = stations(2, { eventTime: "zero" });
  signal(from!, 0xa2, 0x83, { info: 5n });
  assertEquals(to!.ieq.slice(32, 64).toHex(), "00000002" + "00000083" + be(0xa1, 8) + be(0, 8) + be(5, 8));
});

/** The codes in the IEQ's slots. */
function codes(station: Station): number[] {
  return Array.from({ length: 15 }, (_, slot) => Number(fromBe(station.ieq, 36 + slot * 32, 4)));
}
const ONE_TO_15 = Array.from({ length: 15 }, (_, i) => i + 1);

Deno.test.each(
  [
    { ieqOverflow: "overwrite", then: [16, 17, ...ONE_TO_15.slice(2)], idx: 2n },
    { ieqOverflow: "drop", then: ONE_TO_15, idx: 15n },
  ] as const,
)(
  "events behind 15 unread ones: $ieqOverflow, and they are counted (ism.ieq.overflow)",
  ({ ieqOverflow, then, idx }) => {
    const [from, to] = stations(2, { ieqOverflow });
    const overflows = () => to!.adapter.statistics.ieqOverflows;
    for (const code of ONE_TO_15) signal(from!, 0xa2, code);
    assertEquals([codes(to!), overflows()], [ONE_TO_15, 0], "15 fit");
    for (const code of [16, 17]) assertEquals(signal(from!, 0xa2, code), "0000");
    assertEquals([codes(to!), fromBe(to!.ieq, 0, 8), overflows()], [then, idx, 2]);
    assertEquals(to!.interruptions, 1);
    to!.fn.disable();
    to!.enable();
    to!.start();
    assertEquals([overflows(), to!.adapter.ieqUnread], [2, 0], "a reset empties the queue, the count stays");
  },
);

Deno.test("the driver's clearing of e makes room for 15 events again (ism.ieq.overflow)", () => {
  const [from, to] = stations(2, { ieqOverflow: "drop" });
  for (let round = 0; round < 3; round++) {
    for (const code of ONE_TO_15) signal(from!, 0xa2, code);
    to!.sba[0] = 0;
  }
  assertEquals([to!.adapter.statistics.ieqOverflows, codes(to!)], [0, ONE_TO_15]);
  for (const code of [...ONE_TO_15, 16]) signal(from!, 0xa2, code);
  assertEquals(to!.adapter.statistics.ieqOverflows, 1);
});

Deno.test("save() and restore() carry unread events and overflows (ism.ieq.overflow)", () => {
  const [from, to] = stations(2, { ieqOverflow: "drop" });
  for (const code of [...ONE_TO_15, 16]) signal(from!, 0xa2, code);
  const saved = to!.adapter.save();
  assertEquals([saved.ieqUnread, saved.statistics], [15, { ieqOverflows: 1, ieqFull: 1 }]);
  const [other] = stations(1);
  other!.adapter.restore(saved);
  assertEquals(other!.adapter.save(), saved);
});

Deno.test("SIGNAL_IEQ reaches the own GID, and unknown GIDs are 0x0006 (ism.gid.self, ism.cmd.codes)", () => {
  const [from] = stations();
  assertEquals([signal(from!, 0xa1), signal(from!, 0xa9)], ["0000", "0006"]);
  assertEquals(from!.takeEvents(), ["2 0x80 0xa1"]);
});

Deno.test("signals to a peer without SBA or without IEQ are dropped (ism.cmd.before)", () => {
  for (const unregister of [0x11, 0x12]) {
    const [from, to] = stations();
    to!.command(unregister);
    assertEquals(signal(from!, 0xa2), "0000");
    assertEquals([to!.interruptions, set(to!.sba), fromBe(to!.ieq, 0, 8)], [0, "", 0n]);
  }
});

Deno.test("idx runs from 1 to 15 and then to 1, never to 0 again (ism.ieq.index)", () => {
  const [from, to] = stations();
  const idx: number[] = [];
  for (let i = 1; i <= 32; i++) {
    signal(from!, 0xa2, i);
    idx.push(Number(fromBe(to!.ieq, 0, 8)));
    assertEquals(to!.takeEvents(), [`2 0x${i.toString(16)} 0xa1`]);
  }
  assertEquals(idx, Array.from({ length: 32 }, (_, i) => i % 15 + 1));
});

Deno.test("REG_IEQ starts at slot 0 again (ism.ieq.index)", () => {
  const [from, to] = stations();
  for (const code of [1, 2]) signal(from!, 0xa2, code);
  to!.command(0x12);
  to!.command(0x02, be(IEQ_AT, 8) + be(512, 8));
  to!.lastSlot = -1;
  assertEquals(to!.takeEvents(), []);
  signal(from!, 0xa2, 3);
  assertEquals([to!.takeEvents(), fromBe(to!.ieq, 0, 8)], [["2 0x3 0xa1"], 1n]);
});

Deno.test("15 events on a new queue are all seen; after a first one, 15 more look like none (ism.ieq.fourteen)", () => {
  const [from, to] = stations();
  const fill = (count: number) => {
    for (let i = 1; i <= count; i++) signal(from!, 0xa2, i);
  };
  fill(15);
  assertEquals(to!.takeEvents().length, 15);
  fill(15);
  assertEquals(to!.takeEvents(), []);
  fill(1);
  assertEquals(
    to!.takeEvents(),
    ["2 0x1 0xa1"],
    "the oldest entries are overwritten silently (ism.ieq.overflow)",
  );
});

Deno.test("a driver that walks in time sees every event once and in order, whatever the pauses (ism.ieq.order)", () => {
  const property = fc.property(fc.array(fc.nat(14), { maxLength: 20 }), (bursts) => {
    const [from, to] = stations();
    let code = 0;
    for (const burst of bursts) {
      const expected = Array.from({ length: burst }, () => `2 0x${(++code).toString(16)} 0xa1`);
      for (let i = burst - 1; i >= 0; i--) signal(from!, 0xa2, code - i);
      assertEquals(to!.takeEvents(), expected);
    }
  });
  fc.assert(property, { seed: 0x92, numRuns: 60 });
});

Deno.test("no interrupts without SBA: the driver's order at removal holds (ism.driver.stop)", () => {
  const [from, to] = stations();
  to!.command(0x12);
  to!.command(0x11);
  signal(from!, 0xa2);
  assertEquals([to!.interruptions, to!.at(SBA_AT, 1)[0]], [0, 0]);
});
