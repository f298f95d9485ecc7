/**
 * Facts, docs/reference/ism/commands.md, ism/drivers.md, ism/data.md, ism/signals.md and ism/adapter.md: the user-space
 * driver, through the whole stack.
 */
import { assertEquals, assertNotEquals, assertThrows } from "@std/assert";
import { isAccess, type TraceEvent } from "../lib/base/trace.ts";
import { operationOf, rangeOf } from "./support/events.ts";
import type { Host, HostFunction } from "../lib/host/host.ts";
import { ErrnoError } from "../lib/vfio/errno.ts";
import { CommandError, DriverError } from "../lib/ism/driver/errors.ts";
import type { FaultKind } from "../lib/zpci/faults.ts";
import { pattern } from "./support/bytes.ts";
import { dmbBytes, errnoOf, hostOf, startedHost } from "./support/host.ts";

/** What happened while `act` ran, one line an instruction on a BAR and a command. */
function trace(host: Host, act: () => unknown): string[] {
  return record(host, act).filter((line) => !/^(config|MPCIFC|RPCIT)/.test(line));
}

/** As {@linkcode trace}, with config stores, MPCIFC and RPCIT. */
function record(host: Host, act: () => unknown): string[] {
  const events: TraceEvent[] = [];
  host.tracer.sink = { enter: (event) => events.push(event), leave: () => {} };
  try {
    act();
  } finally {
    host.tracer.sink = undefined;
  }
  return events.flatMap((event) => {
    if (event.layer === "device" && event.op === "command") return [`${event.args["command"]}`];
    if (event.layer !== "insn") return [];
    if (!isAccess(event)) {
      const [iova, length] = rangeOf(event);
      if (event.op === "MPCIFC") return [`MPCIFC ${operationOf(event)}`];
      return event.op === "RPCIT" ? [`RPCIT 0x${iova.toString(16)} ${length}`] : [];
    }
    const { op, space, offset, length } = event;
    if (op === "PCISTG" && space === 15) return [`config 0x${offset.toString(16)} ${length}`];
    if (space > 5 || !["PCILG", "PCISTG", "PCISTB"].includes(op)) return [];
    return [`${op} ${space} 0x${offset.toString(16)} ${length}`];
  });
}

/** A recorded trace without loads and stores on BARs: what was asked for, in its order. */
const asked = (lines: string[]) => lines.filter((line) => !line.startsWith("PCI"));

const commands = (lines: string[]) => lines.filter((line) => !line.startsWith("PCI"));
const stores = (lines: string[]) => lines.filter((line) => line.startsWith("PCISTB"));

/** Two started guests; the first owns a DMB that the second may write. */
function pair(
  size = 16384,
  more: Record<string, unknown> = {},
): { host: Host; owner: HostFunction; writer: HostFunction; token: number; index: number } {
  const host = startedHost(2, more);
  const [owner, writer] = host.functions as [HostFunction, HostFunction];
  const { token, index } = owner.driver.registerDmb({ size, rgid: 0xa2n });
  return { host, owner, writer, token, index };
}

const SBA_PAGE = "RPCIT 0x100000000 4096";
const IEQ_PAGE = "RPCIT 0x100001000 4096";

Deno.test("start() does what the kernel's driver does, in its order, then SMC's V2 probe (ism.driver.start, ism.vlan.version)", () => {
  const host = hostOf(2);
  const [{ driver, fn, adapter }] = host.functions as [HostFunction, HostFunction];
  driver.open("group");
  assertEquals(asked(record(host, () => driver.start())), [
    "config 0x4 2", // bus master; memory decode is on since open
    "config 0x44 4", // MSI address, its upper half, and data
    "config 0x48 4",
    "config 0x4c 2",
    "MPCIFC 2",
    "config 0x42 2", // MSI enable
    SBA_PAGE,
    "REG_SBA",
    IEQ_PAGE,
    "REG_IEQ",
    "QUERY_INFO",
    "READ_GID",
    "ADD_VLAN_ID",
  ]);
  assertEquals([fn.model.config.busMaster, fn.interrupts?.noi], [true, 1]);
  assertEquals([adapter.vlans.has(0x1fff), driver.registrations!.isV2, driver.vlans], [true, true, []]);
  assertEquals(record(host, () => driver.start()), [], "nothing a second time");
});

Deno.test("close() takes DMBs, VLAN, IEQ, SBA, interrupts and pages back, in this order (ism.driver.stop)", () => {
  const host = hostOf(2);
  const [{ driver, adapter }] = host.functions as [HostFunction, HostFunction];
  driver.registerDmb({ size: 4096, rgid: 0xa2n });
  driver.setVlan(7, true);
  const closed = asked(record(host, () => driver.close()));
  assertEquals(closed.filter((line) => !line.startsWith("config")).slice(0, 8), [
    "UNREG_DMB",
    "RPCIT 0x100002000 4096",
    "DEL_VLAN_ID",
    "UNREG_IEQ",
    "UNREG_SBA",
    "MPCIFC 3",
    SBA_PAGE,
    IEQ_PAGE,
  ]);
  assertEquals([adapter.dmbs.size, adapter.sba, adapter.ieq, adapter.vlans.size], [
    0,
    undefined,
    undefined,
    0,
  ]);
});

Deno.test("start() finds ISM V1 by the refused reserved VLAN id, and close() does not take it back (ism.vlan.version)", () => {
  const host = hostOf(1, { ism: { version: 1 } });
  const [{ driver, adapter }] = host.functions as [HostFunction];
  assertEquals(commands(trace(host, () => driver.start())).at(-1), "ADD_VLAN_ID");
  assertEquals([driver.isStarted, driver.registrations!.isV2, adapter.vlans.size], [true, false, 0]);
  assertEquals(commands(trace(host, () => driver.close())), ["UNREG_IEQ", "UNREG_SBA"]);
});

/** Fails the n-th command header of the host's first function. */
function failCommand(host: Host, at: number, fault: FaultKind): void {
  host.faults.add(fault, { op: "PCISTB", space: 2, to: 0 }, at);
  host.applyFaults();
}

Deno.test.each([
  { command: "REG_SBA", at: 1, back: ["MPCIFC 3", SBA_PAGE] },
  { command: "REG_IEQ", at: 2, back: ["UNREG_SBA", "MPCIFC 3", SBA_PAGE, IEQ_PAGE] },
  { command: "QUERY_INFO", at: 3, back: ["UNREG_IEQ", "UNREG_SBA", "MPCIFC 3", SBA_PAGE, IEQ_PAGE] },
  { command: "READ_GID", at: 4, back: ["UNREG_IEQ", "UNREG_SBA", "MPCIFC 3", SBA_PAGE, IEQ_PAGE] },
  { command: "ADD_VLAN_ID", at: 5, back: ["UNREG_IEQ", "UNREG_SBA", "MPCIFC 3", SBA_PAGE, IEQ_PAGE] },
])(
  "start() that fails at $command takes back what it did, the pages last (ism.driver.start)",
  ({ at, back }) => {
    const host = hostOf(1);
    const [{ driver, fn, guest, adapter }] = host.functions as [HostFunction];
    driver.open("group");
    const { allocated } = guest.partition.storage;
    failCommand(host, at, { kind: "status", status: 40 });
    const lines = record(host, () => assertEquals(errnoOf(() => driver.start()), "EIO"));
    const undone = asked(lines).filter((line) => !line.startsWith("config"));
    assertEquals(undone.slice(-back.length), [...back]);
    assertEquals([adapter.sba, adapter.ieq, fn.state], [undefined, undefined, "enabled"], "no error event");
    assertEquals([guest.partition.storage.allocated, driver.isStarted], [allocated, false]);
    driver.start();
    assertEquals(driver.isStarted, true);
  },
);

Deno.test("start() goes on without the answer of QUERY_INFO, which is only logged (ism.info.layout)", () => {
  const host = hostOf(1);
  const [{ driver }] = host.functions as [HostFunction];
  // The lowest bit of the return code in the third response header.
  host.faults.add({ kind: "flip", bit: 47 }, { op: "PCILG", space: 2, to: 0 }, 3);
  host.applyFaults();
  driver.start();
  assertEquals([driver.isStarted, driver.registrations!.gid, driver.registrations!.isV2], [
    true,
    "0xa1",
    true,
  ]);
});

Deno.test("a command is one payload store, one header store, one load, then the rest of the response (ism.cmd.sequence)", () => {
  const { host, owner } = pair();
  const { channel } = owner.driver;
  assertEquals(trace(host, () => channel.send("ADD_VLAN_ID", { vlanId: 7 })), [
    "PCISTB 2 0x8 8",
    "PCISTB 2 0x0 8",
    "ADD_VLAN_ID",
    "PCILG 2 0x0 8",
  ]);
  const gid = trace(host, () => channel.send("READ_GID", {}));
  assertEquals(gid, ["PCISTB 2 0x0 8", "READ_GID", "PCILG 2 0x0 8", "PCILG 2 0x8 8"]);
  const info = trace(host, () => channel.send("QUERY_INFO", {}));
  assertEquals(info.filter((line) => line.startsWith("PCILG")).length, 200 / 8);
  const refused = trace(
    host,
    () => assertThrows(() => channel.send("DEL_VLAN_ID", { vlanId: 99 }), CommandError),
  );
  assertEquals(refused.at(-1), "PCILG 2 0x0 8", "nothing more is read after a failure");
});

Deno.test.each([
  { what: "nothing", offset: 0, length: 0, pieces: [] },
  { what: "one byte", offset: 5, length: 1, pieces: ["800005 1"] },
  { what: "a page", offset: 4096, length: 4096, pieces: ["801000 4096"] },
  { what: "a page from its second byte on", offset: 1, length: 4096, pieces: ["000001 4095", "801000 1"] },
  {
    what: "all of it",
    offset: 0,
    length: 16384,
    pieces: ["000000 4096", "001000 4096", "002000 4096", "803000 4096"],
  },
  { what: "three pieces", offset: 4000, length: 5000, pieces: ["000fa0 96", "001000 4096", "802000 808"] },
])(
  "move() of $what splits at 4 KiB and signals with the last piece only (ism.data.chunks)",
  ({ offset, length, pieces }) => {
    const { host, owner, writer, token } = pair();
    const data = pattern(length);
    const lines = trace(host, () => writer.driver.move(token, offset, data, { signal: true, idx: 2 }));
    const expected = pieces.map((piece) => `PCISTB 0 0x${(token / 2 ** 28).toString(16)}2${piece}`);
    assertEquals(stores(lines), expected);
    assertEquals(dmbBytes(owner, token).slice(offset, offset + length), data);
    assertEquals(owner.driver.handleInterrupt().interrupts, length === 0 ? 0 : 1);
  },
);

Deno.test("move() keeps what was stored before a refused piece (ism.data.chunks)", () => {
  const { owner, writer, token } = pair(8192);
  assertEquals(errnoOf(() => writer.driver.move(token, 4096, pattern(8192), { signal: true })), "EIO");
  assertEquals(dmbBytes(owner, token).slice(4096), pattern(8192).slice(0, 4096));
  assertEquals(owner.driver.handleInterrupt().dmbs, []);
});

Deno.test("handleInterrupt() clears s, the DMB bits and the masks that it found, and no others (ism.sba.walk)", () => {
  const { owner, writer, token, index } = pair();
  const low = owner.driver.registerDmb({ size: 4096, rgid: 0xa2n, index: 31 });
  writer.driver.move(token, 0, pattern(8), { signal: true, idx: 1 });
  writer.driver.move(low.token, 0, pattern(8), { signal: true });
  const walk = owner.driver.handleInterrupt();
  assertEquals(walk, { interrupts: 1, dmbs: [{ index, token, mask: 0x0800 }], events: [] });
  const sba = owner.driver.view(owner.driver.registrations!.sba, 0, 4096);
  const left = [...sba].flatMap((byte, at) => byte === 0 ? [] : [`${at}=${byte.toString(16)}`]);
  assertEquals(left, ["7=1", "318=10"], "indices 0 to 31 are never scanned (ism.dmb.register)");
  assertEquals(owner.driver.handleInterrupt(), { interrupts: 0, dmbs: [], events: [] });
});

Deno.test("handleInterrupt() reports bits of DMBs that are gone without a token (ism.sba.walk)", () => {
  const { owner, writer, token, index } = pair();
  writer.driver.move(token, 0, pattern(8), { signal: true });
  owner.driver.unregisterDmb(token);
  assertEquals(owner.driver.handleInterrupt().dmbs, [{ index, token: undefined, mask: 0x1000 }]);
});

Deno.test("events come once each and in order over several rounds of the queue (ism.ieq.order)", () => {
  const { owner, writer } = pair();
  let code = 0;
  for (const burst of [1, 14, 14, 3, 14, 0, 1]) {
    const expected = Array.from({ length: burst }, (_, i) => code + i + 1);
    for (let i = 0; i < burst; i++) writer.driver.signal(0xa1n, ++code, 0xf1f2f3f4f5f6f7f8n);
    const { events, interrupts } = owner.driver.handleInterrupt();
    assertEquals(events.map((event) => event.code), expected);
    assertEquals(interrupts, burst === 0 ? 0 : 1);
    for (const { type, tok, info } of events) {
      assertEquals([type, tok, info], [2, "0xa2", "0xf1f2f3f4f5f6f7f8"]);
    }
  }
});

Deno.test("takeEvents() finds what came without a trigger (ism.event.trigger)", () => {
  const { owner, writer } = pair();
  writer.driver.signal(0xa1n, 5, 0n, false);
  assertEquals(owner.driver.takeEvents().map((event) => event.code), [5]);
  assertEquals(owner.driver.handleInterrupt(), { interrupts: 0, dmbs: [], events: [] });
});

Deno.test("a token that is no place in BAR 0 is not taken (ism.token.format)", () => {
  // A bit of the token is inverted on its way: two that are outside of BAR 0, two below 2^28.
  for (const bit of [0, 15, 36, 63]) {
    const { host, owner } = pair();
    host.faults.add({ kind: "flip", bit }, { op: "PCILG", space: 2, from: 8 }, 1);
    host.applyFaults();
    const register = () => owner.driver.registerDmb({ size: 4096, rgid: 0xa2n });
    assertThrows(register, DriverError, "which is no place in BAR 0");
    assertEquals(owner.driver.dmbs.length, 1);
  }
});

Deno.test("UNREG_DMB with another return code keeps the DMB and its memory (ism.dmb.unregister)", () => {
  const { host, owner, token } = pair();
  const { allocated } = owner.guest.partition.storage;
  // A token that the device does not know: a bit of the payload is inverted on its way.
  host.faults.add({ kind: "flip", bit: 20 }, { op: "PCISTB", space: 2, from: 8 }, 1);
  host.applyFaults();
  const error = assertThrows(() => owner.driver.unregisterDmb(token), CommandError);
  assertEquals([error.ret, owner.driver.dmbs.length], [0x0005, 1]);
  assertEquals(owner.guest.partition.storage.allocated, allocated);
  owner.driver.unregisterDmb(token);
  assertEquals(owner.driver.dmbs, []);
});

Deno.test("a command's answer is 0xFFFF when nothing comes back, the driver's own value (ism.cmd.sequence, ism.cmd.preset)", () => {
  const answers = (release: string) => {
    const { owner, token } = pair(16384, { kernel: { release } });
    const { guest, zdev, driver } = owner;
    driver.close();
    const binding = guest.kernel.binding(zdev);
    binding.override = "vfio-pci";
    binding.unbind();
    binding.probe();
    let refused: unknown;
    try {
      driver.channel.send("READ_GID", {});
    } catch (error) {
      refused = error instanceof CommandError ? error.ret : error instanceof ErrnoError ? error.code : error;
    }
    return [refused, driver.channel.unregister("UNREG_DMB", { token })];
  };
  // The generic driver of 7.1 reaches an ISM BAR with MIO instructions only: loads give all ones.
  assertEquals(answers("7.1"), [0xffff, 0xffff]);
  assertEquals(answers("7.3"), ["ENODEV", 0xffff]);
});

Deno.test("UNREG_DMB without an answer counts as done, and frees the memory (ism.cmd.preset, ism.dmb.unregister)", () => {
  const { owner, token } = pair();
  const { storage } = owner.guest.partition;
  owner.fn.fail(0x02, 0, true);
  const before = storage.allocated;
  owner.driver.unregisterDmb(token);
  assertEquals([before - storage.allocated, owner.driver.dmbs], [16384, []]);
});

Deno.test("registerDmb() gives memory of zeros that nobody had, and frees it when refused (ism.dmb.limits, ism.dmb.owner)", () => {
  const { owner, writer, token, index } = pair(4096);
  writer.driver.move(token, 0, pattern(4096));
  owner.driver.unregisterDmb(token);
  const again = owner.driver.registerDmb({ size: 4096, rgid: 0xa2n });
  assertNotEquals(again.token, token);
  assertEquals([again.index, dmbBytes(owner, again.token).every((byte) => byte === 0)], [index, true]);
  const { allocated } = owner.guest.partition.storage;
  assertThrows(() => owner.driver.registerDmb({ size: 4096, rgid: 0xa2n, index }), CommandError);
  assertThrows(() => owner.driver.registerDmb({ size: 2 ** 20 + 4096, rgid: 0xa2n }), CommandError);
  assertEquals(owner.guest.partition.storage.allocated, allocated);
});

Deno.test("mapMemory() needs memory first, then DMA addresses, and frees the memory without them", () => {
  const [{ driver, guest }] = hostOf(1, { machine: { endDma: 0x1_0000_ffff } }).functions as [HostFunction];
  const { storage } = guest.partition;
  driver.mapMemory(15 * 4096);
  const { allocated } = storage;
  assertThrows(() => driver.mapMemory(2 * 4096), DriverError, "No DMA addresses are left");
  assertEquals(errnoOf(() => driver.mapMemory(2 ** 33)), "ENOMEM");
  assertEquals(storage.allocated, allocated);
  driver.mapMemory(4096);
});

Deno.test("reset() drops everything; the peer hears of it and the driver starts again (ism.reset.forgets, ism.reset.events)", () => {
  const { owner, writer, token } = pair();
  const before = owner.fn.fh;
  owner.driver.reset();
  assertEquals([owner.driver.isStarted, owner.adapter.dmbs.size, owner.fn.fh === before], [false, 0, false]);
  assertEquals(errnoOf(() => writer.driver.move(token, 0, pattern(8))), "EIO");
  const heard = writer.driver.handleInterrupt().events.map(({ type, code, tok }) => `${type} ${code} ${tok}`);
  assertEquals(heard, [`0 4 0x${token.toString(16)}`, "1 7 0xa1"]);
  const again = owner.driver.registerDmb({ size: 4096, rgid: 0xa2n });
  writer.driver.move(again.token, 0, pattern(8), { signal: true });
  assertEquals(owner.driver.handleInterrupt().dmbs.length, 1);
});
