/**
 * A refused access changes nothing: the whole host, memory included, is compared before and after. The exceptions are
 * those that the facts name: a response in the command area (ism.cmd.sequence) and error states (recovery.event.state).
 */
import { assertEquals, assertMatch, assertNotEquals } from "@std/assert";
import type { Host, HostFunction } from "../lib/host/host.ts";
import { clp } from "../lib/zpci/clp.ts";
import { FIB } from "../lib/zpci/fib.ts";
import { mpcifc, rpcit } from "../lib/zpci/mpcifc.ts";
import { be, bytes, pattern } from "./support/bytes.ts";
import { snapshot, startedHost, unchanged } from "./support/host.ts";
import { outcome } from "./support/machine.ts";
import { regDmb } from "./support/stations.ts";

const SIGNAL = 2 ** 23;

/** Three guests with signals and events under way: the first owns a DMB for the second, and the other way round. */
function busyHost() {
  const host = startedHost(3);
  const [first, second, third] = host.functions as [HostFunction, HostFunction, HostFunction];
  const owned = first.driver.registerDmb({ size: 8192, rgid: 0xa2n, index: 40 });
  const used = second.driver.registerDmb({ size: 4096, rgid: 0xa1n });
  second.driver.move(owned.token, 0, pattern(8192), { signal: true, idx: 3 });
  first.driver.move(used.token, 100, pattern(100));
  first.driver.signal(0xa2n, 0x83, 7n);
  return { host, first, second, third, owned: owned.token, used: used.token };
}
type Busy = ReturnType<typeof busyHost>;

const run = ({ guest: { processor }, fn }: HostFunction) => ({
  load: (space: number, offset: number, length: number, fh = fn.fh) =>
    outcome(processor, () => processor.pcilg(fh, space, offset, length)),
  store: (space: number, offset: number, length: number, fh = fn.fh) =>
    outcome(processor, () => processor.pcistg(fh, space, offset, length, pattern(8))),
  block: (space: number, offset: number, length: number, fh = fn.fh) =>
    outcome(processor, () => processor.pcistb(fh, space, offset, length, pattern(length))),
  modify: (operation: number, fib: Parameters<typeof FIB.encode>[0] = {}, fh = fn.fh) =>
    outcome(processor, () => mpcifc(processor, fh, operation, FIB.encode(fib))),
  refresh: (fh = fn.fh) => outcome(processor, () => rpcit(processor, fh, 0x1_0000_0000, 2 ** 30)),
});

/** Set PCI Function by hand; the response code. */
function setFunction({ guest, fn }: HostFunction, operation: number, spaces: number, fh = fn.fh): string {
  const block = new Uint8Array(4096);
  block.set(bytes("0020" + "0005" + "00".repeat(12) + be(fh, 4) + "0000" + be(operation, 1) + be(spaces, 1)));
  block.set(bytes("0020"), 32);
  clp(guest.partition, block);
  return block.slice(34, 36).toHex();
}

const INSTRUCTIONS: readonly { what: string; act: (busy: Busy) => string; answer: string }[] = [
  { what: "PCILG, stale handle", act: ({ first }) => run(first).load(2, 0, 8, 0x8100_0001), answer: "cc 3" },
  { what: "PCISTG, stale handle", act: ({ first }) => run(first).store(15, 4, 2, 1), answer: "cc 3" },
  {
    what: "PCISTB, stale handle",
    act: ({ first }) => run(first).block(2, 0, 8, 0x8100_0001),
    answer: "cc 3",
  },
  { what: "MPCIFC, stale handle", act: ({ first }) => run(first).modify(5, {}, 0x8100_0001), answer: "cc 3" },
  { what: "RPCIT, stale handle", act: ({ first }) => run(first).refresh(0x8100_0001), answer: "cc 3" },
  { what: "PCILG, space 6", act: ({ first }) => run(first).load(6, 0, 8), answer: "cc 1 status 20" },
  { what: "PCISTB, space 15", act: ({ first }) => run(first).block(15, 4, 8), answer: "cc 1 status 20" },
  { what: "PCILG of 9 bytes", act: ({ first }) => run(first).load(2, 0, 9), answer: "operand exception" },
  { what: "PCISTG over a word", act: ({ first }) => run(first).store(15, 2, 4), answer: "operand exception" },
  {
    what: "PCISTG behind config",
    act: ({ first }) => run(first).store(15, 256, 4),
    answer: "operand exception",
  },
  {
    what: "PCISTG to BAR 0",
    act: ({ first, used }) => run(first).store(0, used, 8),
    answer: "cc 1 status 20",
  },
  { what: "PCISTG to BAR 2", act: ({ first }) => run(first).store(2, 0, 8), answer: "cc 1 status 20" },
  { what: "PCILG of BAR 0", act: ({ first, used }) => run(first).load(0, used, 8), answer: "cc 1 status 20" },
  {
    what: "PCISTB of 0 bytes",
    act: ({ first }) => run(first).block(2, 0, 0),
    answer: "specification exception",
  },
  {
    what: "PCISTB over a 4 KiB boundary",
    act: ({ first, used }) => run(first).block(0, used + 4095, 2),
    answer: "specification exception",
  },
  {
    what: "PCISTB behind BAR 2",
    act: ({ first }) => run(first).block(2, 65536, 8),
    answer: "operand exception",
  },
  {
    what: "PCISTB behind the DMB, sf",
    act: ({ second, owned }) => run(second).block(0, owned + SIGNAL + 8192, 1),
    answer: "cc 1 status 36",
  },
  {
    what: "PCISTB of a page behind the DMB",
    act: ({ first, used }) => run(first).block(0, used + 4096, 4096),
    answer: "cc 1 status 36",
  },
  {
    what: "PCISTB by another GID, sf",
    act: ({ third, owned }) => run(third).block(0, owned + SIGNAL, 8),
    answer: "cc 1 status 36",
  },
  {
    what: "PCISTB with an unknown token, sf",
    act: ({ second, owned }) => run(second).block(0, (owned + 2 ** 40) % 2 ** 48 + SIGNAL, 8),
    answer: "cc 1 status 36",
  },
  { what: "MPCIFC 2 again", act: ({ first }) => run(first).modify(2), answer: "cc 1 status 24" },
  { what: "MPCIFC 4 again", act: ({ first }) => run(first).modify(4), answer: "cc 1 status 24" },
  { what: "MPCIFC 6, no tables", act: ({ first }) => run(first).modify(6), answer: "operand exception" },
  { what: "MPCIFC 7 without error", act: ({ first }) => run(first).modify(7), answer: "cc 1 status 24" },
  { what: "MPCIFC 9 without error", act: ({ first }) => run(first).modify(9), answer: "cc 1 status 24" },
  {
    what: "MPCIFC, unknown operation",
    act: ({ first }) => run(first).modify(8),
    answer: "operand exception",
  },
  {
    what: "MPCIFC, format 1",
    act: ({ first }) => run(first).modify(3, { format: 1 }),
    answer: "operand exception",
  },
  { what: "enable again", act: ({ first }) => setFunction(first, 0, 1), answer: "0102" },
  { what: "enable, 2 spaces", act: ({ first }) => setFunction(first, 0, 2), answer: "0104" },
  { what: "disable, stale handle", act: ({ first }) => setFunction(first, 1, 0, 1), answer: "0101" },
  { what: "enable MIO", act: ({ first }) => setFunction(first, 2, 0), answer: "0102" },
];

Deno.test.each([...INSTRUCTIONS])(
  "$what: $answer, and nothing changed (zpci.insn.order, ism.data.store)",
  ({ act, answer }) => {
    const busy = busyHost();
    assertEquals(unchanged(busy.host, () => act(busy)), answer);
  },
);

/** Everything but the bytes in BAR 2 of the function that sent the command. */
function withoutCommandBar(host: Host): Record<string, unknown> {
  const state = snapshot(host);
  for (const key of Object.keys(state)) {
    if (key.startsWith("adapter/")) state[key] = { ...state[key] as object, commandBar: "" };
  }
  return state;
}

const COMMANDS: readonly { what: string; code: number; payload: (busy: Busy) => string }[] = [
  { what: "an unknown command", code: 0x0c, payload: () => "" },
  { what: "READ_GID with a payload", code: 0x03, payload: () => be(0, 8) },
  { what: "a second REG_SBA", code: 0x01, payload: () => be(0x1_0000_0000, 8) },
  { what: "a second REG_IEQ", code: 0x02, payload: () => be(0x1_0000_1000, 8) + be(512, 8) },
  { what: "UNREG_SBA with DMBs", code: 0x11, payload: () => "" },
  { what: "REG_DMB with an index in use", code: 0x0a, payload: () => regDmb({ index: 40, rgid: 0xa2n }) },
  { what: "REG_DMB with index 1920", code: 0x0a, payload: () => regDmb({ index: 1920, rgid: 0xa2n }) },
  { what: "REG_DMB of 4095 bytes", code: 0x0a, payload: () => regDmb({ length: 4095, index: 50 }) },
  { what: "REG_DMB off its page", code: 0x0a, payload: () => regDmb({ iova: 0x1_0000_0001, index: 50 }) },
  {
    what: "REG_DMB in a foreign VLAN",
    code: 0x0a,
    payload: () => regDmb({ vlan: 9, vlanValid: 1, index: 50 }),
  },
  { what: "UNREG_DMB of the peer's token", code: 0x0b, payload: ({ used }) => be(used, 8) },
  { what: "UNREG_DMB of an unknown token", code: 0x0b, payload: ({ owned }) => be(owned + 1, 8) },
  { what: "SIGNAL_IEQ to nobody", code: 0x0e, payload: () => be(0xdead, 8) + be(1, 4) + be(1, 4) + be(0, 8) },
  { what: "QUERY_RGID of nobody", code: 0x09, payload: () => be(0xdead, 8) + be(0, 8) },
  { what: "ADD_VLAN_ID 0", code: 0x04, payload: () => be(0, 8) },
];

Deno.test.each([...COMMANDS])(
  "refused $what changes the response and nothing else (ism.cmd.sequence, ism.cmd.codes)",
  (row) => {
    const busy = busyHost();
    const { driver } = busy.first;
    const before = withoutCommandBar(busy.host);
    const { ret } = driver.channel.raw(row.code, bytes(row.payload(busy)));
    assertMatch(be(ret, 2), /^000[1-9]$/);
    assertEquals(withoutCommandBar(busy.host), before);
  },
);

Deno.test("in the error state every load and store is status 12 and nothing changes (recovery.event.state)", () => {
  const busy = busyHost();
  busy.first.fn.fail(0x02, 0, true);
  const before = snapshot(busy.host);
  const { load, store, block } = run(busy.first);
  const answers = [load(2, 0, 8), load(15, 0, 4), store(15, 4, 2), block(2, 0, 8), block(0, busy.used, 8)];
  assertEquals(answers, Array(5).fill("cc 1 status 12"));
  assertEquals(snapshot(busy.host), before);
});

Deno.test("snapshot() sees a single byte of memory, so that these tests mean something", () => {
  const busy = busyHost();
  const before = snapshot(busy.host);
  assertEquals(run(busy.first).block(0, busy.used, 1), "cc 0");
  assertNotEquals(snapshot(busy.host), before);
});
