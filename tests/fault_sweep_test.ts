/**
 * Fault sweep: a driver's whole life is run again and again, and each time another instruction fails. Whatever fails,
 * the caller sees the errno of VFIO sheet 4.5, nothing else breaks, and everything can be taken down.
 */
import { assert, assertEquals } from "@std/assert";
import { Host } from "../lib/host/host.ts";
import { defaultTopology } from "../lib/host/topology.ts";
import { CommandError } from "../lib/ism/driver/command_channel.ts";
import type { FaultKind } from "../lib/zpci/faults.ts";
import { ErrnoError } from "../lib/vfio/errno.ts";

/** Open, register, move, signal, walk, unregister: the first function writes, the second one receives. */
function life(host: Host): void {
  const [writer, owner] = host.functions;
  owner!.driver.start();
  writer!.driver.start();
  const dmb = owner!.driver.registerDmb({ size: 16 * 1024, rgid: writer!.adapter.gid });
  writer!.driver.move(dmb.token, 100, new Uint8Array(9000).fill(7), { signal: true });
  writer!.driver.signal(owner!.adapter.gid, 0x80, 1n);
  const walk = owner!.driver.handleInterrupt();
  assertEquals(walk.dmbs.map(({ token }) => token), [dmb.token]);
  assertEquals(walk.events.map(({ code }) => code), [0x80]);
  owner!.driver.unregisterDmb(dmb.token);
}

/** Instructions of one undisturbed life. */
function countInstructions(): number {
  const host = Host.create(defaultTopology());
  let count = 0;
  const ops = new Set(["PCILG", "PCISTG", "PCISTB", "MPCIFC", "RPCIT"]);
  host.tracer.sink = {
    enter: (event) => void (event.layer === "insn" && ops.has(event.op) && count++),
    leave: () => {},
  };
  life(host);
  return count;
}

const KINDS: readonly {
  readonly name: string;
  readonly fault: FaultKind;
  readonly codes: readonly string[];
}[] = [
  { name: "cc 1", fault: { kind: "status", status: 40 }, codes: ["EIO", "ENODEV"] },
  { name: "cc 3", fault: { kind: "invalid-handle" }, codes: ["EIO", "ENODEV"] },
  {
    name: "program exception",
    fault: { kind: "exception", exception: "operand" },
    codes: ["ENXIO", "EIO", "ENODEV"],
  },
  { name: "error event", fault: { kind: "event", pec: 0x3a }, codes: ["EIO", "ENODEV"] },
  { name: "busy", fault: { kind: "busy", times: 3 }, codes: [] },
];

for (const { name, fault, codes } of KINDS) {
  Deno.test(`a driver's life survives ${name} at each of its instructions`, () => {
    const instructions = countInstructions();
    assert(instructions > 100);
    let refused = 0;
    for (let at = 1; at <= instructions; at++) {
      const host = Host.create(defaultTopology());
      host.faults.add(fault, {}, at);
      host.applyFaults();
      try {
        life(host);
      } catch (error) {
        refused++;
        const where = `${name} at instruction ${at}: ${error}`;
        // A failed response that was cut off is a return code of the driver's own; everything else has its errno.
        assert(error instanceof ErrnoError || error instanceof CommandError, where);
        if (error instanceof ErrnoError) assert(codes.includes(error.code), where);
      }
      teardown(host, `${name} at instruction ${at}`);
    }
    assertEquals(refused > 0, codes.length > 0);
  });
}

/** After whatever happened: close both, open them again, live a whole life, and leave nothing behind. */
function teardown(host: Host, where: string): void {
  host.faults.clear();
  host.applyFaults();
  for (const { driver } of host.functions) driver.close();
  for (const { guest, adapter } of host.functions) {
    assertEquals([...guest.kernel.process.files()], [], where);
    assertEquals(guest.partition.storage.buffers.length, 1, `${where}: memory is left`);
    assertEquals(adapter.dmbs.size, 0, where);
  }
  life(host);
  for (const { driver } of host.functions) driver.close();
}
