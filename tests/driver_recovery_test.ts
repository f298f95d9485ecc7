/** The user-space driver's recovery (recovery.event.order): over real descriptors of a simulated host. */
import { assertEquals, assertThrows } from "@std/assert";
import type { Host } from "../lib/host/host.ts";
import { DriverError } from "../lib/ism/driver/errors.ts";
import { reportError } from "../lib/zpci/error_events.ts";
import { errnoOf, startedHost } from "./support/host.ts";

const HOSTS = [
  { name: "7.3", kernel: {}, blocks: [0x02, 0x3a] },
  { name: "7.3 without zdev", kernel: { capabilityChain: false }, blocks: [] },
  { name: "7.1", kernel: { release: "7.1" }, blocks: [] },
];

/** Writer and owner, with two DMBs of the owner, one of them in a VLAN. */
function story(kernel: Record<string, unknown>) {
  const host = startedHost(2, { kernel });
  const [writer, owner] = host.functions as [Host["functions"][0], Host["functions"][0]];
  for (const { driver } of host.functions) driver.setVlan(7, true);
  const dmbs = [undefined, 7].map((vlan) =>
    owner.driver.registerDmb({
      size: 4096,
      rgid: writer.adapter.gid,
      ...(vlan === undefined ? {} : { vlan }),
    })
  );
  for (const [i, { token }] of dmbs.entries()) writer.driver.move(token, 0, Uint8Array.of(i + 1));
  return { host, writer, owner, dmbs };
}

Deno.test.each(HOSTS)(
  "$name: after an error the DMBs are back under other tokens, with their data",
  ({ kernel, blocks }) => {
    const { writer, owner, dmbs } = story(kernel);
    for (const pec of [0x02, 0x3a]) reportError(owner.fn, pec, 0x1_0000_0000, true);
    for (const { token } of dmbs) {
      assertEquals(errnoOf(() => writer.driver.move(token, 0, Uint8Array.of(9))), "EIO");
    }
    const recovery = owner.driver.recover(() => {});
    assertEquals(recovery.blocks.map(({ pec }) => pec), blocks);
    assertEquals([recovery.resets, recovery.dmbs.map(({ from }) => from)], [
      1,
      dmbs.map(({ token }) => token),
    ]);
    assertEquals(recovery.dmbs.map(({ to }) => to), owner.driver.dmbs.map(({ token }) => token));
    for (const [i, { index, from, to }] of recovery.dmbs.entries()) {
      assertEquals([index, from === to], [dmbs[i]!.index, false]);
      assertEquals(owner.driver.view(owner.driver.dmb(to), 0, 1), Uint8Array.of(i + 1), "the memory stays");
      assertEquals(
        errnoOf(() => writer.driver.move(from, 0, Uint8Array.of(9))),
        "EIO",
        "the old token is gone",
      );
      writer.driver.move(to, 0, Uint8Array.of(i + 0x11), { signal: true });
      assertEquals(owner.driver.view(owner.driver.dmb(to), 0, 1), Uint8Array.of(i + 0x11));
    }
    // MSI is wired as before, SBA and IEQ are registered again; bus master is on.
    const walk = owner.driver.handleInterrupt();
    assertEquals(walk.dmbs.map(({ token }) => token), recovery.dmbs.map(({ to }) => to));
    writer.driver.signal(owner.adapter.gid, 0x80, 1n);
    assertEquals(owner.driver.handleInterrupt().events.map(({ code }) => code), [0x80]);
    for (const { to } of recovery.dmbs) owner.driver.unregisterDmb(to);
  },
);

Deno.test.each([0, 1, 3].map((attempts) => ({ attempts })))(
  "resets go on through EAGAIN and EIO: $attempts of each",
  ({ attempts }) => {
    const { owner } = story({ recoveryWindow: attempts });
    reportError(owner.fn, 0x3a, 0, true);
    let pauses = 0;
    const { resets } = owner.driver.recover(() => pauses++);
    assertEquals([resets, pauses], [2 * attempts + 1, 2 * attempts]);
  },
);

Deno.test("a reset that returns a condition code is no success: it is tried again", () => {
  const { host, owner } = story({});
  reportError(owner.fn, 0x3a, 0, true);
  // The second MPCIFC of the reset registers translation.
  host.faults.add({ kind: "invalid-handle" }, { op: "MPCIFC", fid: owner.fn.identity.fid }, 2);
  host.applyFaults();
  assertEquals(owner.driver.recover(() => {}).resets, 2);
  assertEquals(errnoOf(() => owner.driver.readGid()), "ok");
});

Deno.test.each([0x3b, 0x40].map((pec) => ({ pec })))(
  "a function that is lost ($pec) is closed",
  ({ pec }) => {
    const { owner } = story({});
    reportError(owner.fn, 0x02, 0, true);
    reportError(owner.fn, pec, 0, true);
    const error = assertThrows(() => owner.driver.recover(() => {}), DriverError);
    assertEquals(error.message.includes(`0x${pec.toString(16)}`), true);
    assertEquals([owner.driver.isOpen, owner.guest.kernel.device(owner.zdev)!.openCount], [false, 0]);
  },
);

Deno.test("ERR is installed before DMA starts, where the kernel has it; a saved driver goes on listening", () => {
  for (const { name, kernel } of HOSTS) {
    const { host, owner } = story(kernel);
    const listens = name !== "7.1";
    assertEquals(owner.driver.save().errorEvents !== null, listens, name);
    if (!listens) continue;
    for (const pec of [0x02, 0x3a]) reportError(owner.fn, pec, 0, true);
    const [, again] = host.fork().functions;
    assertEquals([again!.driver.takeErrorInterrupts(), again!.driver.takeErrorInterrupts()], [2, 0], name);
    owner.driver.close();
    assertEquals(owner.driver.save().errorEvents, null);
    assertEquals([...owner.guest.kernel.process.files()], []);
  }
});
