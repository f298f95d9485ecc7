/** A host as a value: the defaults of docs/fidelity.md, and state that can be taken away and brought back. */
import { assertEquals, assertNotEquals, assertThrows } from "@std/assert";
import { Host, type StateSource } from "../lib/host/host.ts";
import { defaultTopology, gidOf, parseTopology } from "../lib/host/topology.ts";
import type { Json } from "../lib/base/json.ts";
import { ISM_CHOICES } from "../lib/ism/device/options.ts";
import { WouldHangError } from "../lib/vfio/s390/would_hang.ts";
import { FIB } from "../lib/zpci/fib.ts";
import { mpcifc } from "../lib/zpci/mpcifc.ts";
import { MACHINE_CHOICES } from "../lib/zpci/options.ts";
import { bytes, pattern } from "./support/bytes.ts";
import { snapshot, startedHost } from "./support/host.ts";

Deno.test("the default topology chooses what docs/fidelity.md has as default", () => {
  const { ism, machine } = defaultTopology();
  assertEquals([machine.maxstbl, machine.storeBlock], [4096, "relaxed"]);
  assertEquals([machine.handleInstance, machine.unmappedDma], ["bump", "error-state"]);
  const { bar2Size: _, ...choices } = ism;
  assertEquals(choices, {
    version: 2,
    returnCodes: "private",
    headerLength: "documented",
    bar2Initial: "zeros",
    wholeCommandStores: "execute",
    partialHeaderStores: "store",
    bar2Outside: "ignore",
    bar2Stores: "refuse",
    concurrency: "mix",
    bar0Loads: "refuse",
    bar0Failure: "status",
    elementMask: "rotate",
    tokens: "sequential",
    msiOn: "summary",
    untriggeredEvents: "queue",
    ieqOverflow: "overwrite",
    eventTime: "tod",
    unregSbaWithDmbs: "refuse",
    unknownWriter: "accept",
    selfCommunication: "allow",
    vlanRequired: "enforced",
    resetEvents: "send",
    errorEvents: "send",
    unregisterEvents: "send",
    vlanEvents: "send",
    busMaster: "enforced",
    maxLength: 4096,
    ismState: 0,
    responseDelay: 0,
    bar0Status: 36,
    dmbNeedsSba: true,
  });
});

Deno.test("GIDs are 64 bits, not 0, and differ from function to function and from seed to seed (ism.gid.own)", () => {
  const gids = new Set<bigint>();
  for (const seed of [1, 2]) {
    const topology = { ...defaultTopology(), seed };
    for (const { functions } of topology.guests) {
      for (const fn of functions) gids.add(gidOf(topology, fn));
    }
  }
  assertEquals([gids.size, gids.has(0n)], [4, false]);
  for (const gid of gids) assertEquals(gid < 2n ** 64n, true);
});

/** A host in the middle of its work: signals and too many events wait, and so does a response. */
function busyHost(options: Record<string, unknown> = {}): { host: Host; token: number } {
  const host = startedHost(2, options);
  const [first, second] = host.functions;
  const { token } = first!.driver.registerDmb({ size: 8192, rgid: 0xa2n, index: 77 });
  second!.driver.move(token, 10, pattern(5000), { signal: true, idx: 4 });
  first!.driver.setVlan(7, true);
  for (let code = 1; code <= 17; code++) second!.driver.signal(0xa1n, code, 1n);
  second!.driver.descriptor.write(2, 0, bytes("00000003" + "0000" + "0008"));
  mpcifc(first!.guest.processor, first!.fn.fh, 10, FIB.encode({ fmba: 0x12_3400 }));
  return { host, token };
}

/** State and pages of a host, as the host file keeps them. */
function stored(host: Host): StateSource {
  const state = new Map<string, Json>(JSON.parse(JSON.stringify([...host.save()])));
  return {
    get: (key) => state.get(key),
    page(guest, address) {
      const buffer = host.guests[guest]!.partition.storage.find(address, 4096);
      const at = address - (buffer?.address ?? 0);
      return buffer?.touch(at, 4096, false).slice(at, at + 4096);
    },
  };
}

/** What a host does next: signals taken, data and a response read, a reset. */
function goOn(host: Host, token: number): unknown[] {
  const [first, second] = host.functions;
  const walk = first!.driver.handleInterrupt();
  second!.driver.move(token, 4000, pattern(300, 9), { signal: true });
  const data = first!.driver.view(first!.driver.dmb(token), 0, 8192).toHex();
  const response = new Uint8Array(16);
  second!.driver.descriptor.read(2, 0, 16, response);
  second!.driver.reset();
  const { token: next } = first!.driver.registerDmb({ size: 4096, rgid: 0xa2n });
  return [walk, data, response.toHex(), next, first!.driver.handleInterrupt(), host.clock.microseconds];
}

/** Every option with a value that is not its default. */
const ALTERNATIVES = [
  ...Object.entries({ ism: ISM_CHOICES, machine: MACHINE_CHOICES }).flatMap(([section, table]) =>
    Object.entries(table).flatMap(([name, [, ...others]]) =>
      others.map((value: string | number) => ({ section, name, value }))
    )
  ),
  { section: "ism", name: "bar2Size", value: 4096 },
  { section: "ism", name: "maxLength", value: 40 },
  { section: "ism", name: "ismState", value: 5 },
  { section: "ism", name: "responseDelay", value: 3 },
  { section: "ism", name: "bar0Status", value: 40 },
  { section: "ism", name: "dmbNeedsSba", value: false },
];

Deno.test("restore() brings back the very same host, which goes on as the first one would", () => {
  const { host, token } = busyHost();
  const restored = Host.restore(host.topology, stored(host));
  assertEquals(snapshot(restored), snapshot(host));
  assertEquals(goOn(restored, token), goOn(host, token));
  assertEquals(snapshot(restored), snapshot(host));
});

Deno.test.each(ALTERNATIVES)(
  "with $section option $name $value the driver works, and restore() brings back the same host (13)",
  ({ section, name, value }) => {
    const { host, token } = busyHost({ [section]: { [name]: value } });
    const topology = parseTopology(JSON.parse(JSON.stringify(host.topology)));
    assertEquals(topology, host.topology);
    const restored = Host.restore(topology, stored(host));
    assertEquals(snapshot(restored), snapshot(host));
    assertEquals(goOn(restored, token), goOn(host, token));
    assertEquals(snapshot(restored), snapshot(host));
  },
);

Deno.test("a response that is busy for longer than the kernel waits is a call that hangs (ism.cmd.start, zpci.insn.busy)", () => {
  const host = startedHost(2, { ism: { responseDelay: 5 }, kernel: { busyRetryLimit: 6 } });
  assertEquals(host.functions[0]!.driver.readGid(), 0xa1n);
  assertThrows(
    () => startedHost(2, { ism: { responseDelay: 6 }, kernel: { busyRetryLimit: 6 } }),
    WouldHangError,
  );
});

Deno.test("the same topology and the same acts give the same bytes", () => {
  const [first, second] = [busyHost(), busyHost()];
  assertEquals(goOn(first.host, first.token), goOn(second.host, second.token));
  assertEquals(snapshot(first.host), snapshot(second.host));
});

Deno.test("another seed gives other tokens", () => {
  const tokens = [1, 2].map((seed) => {
    const { driver } = startedHost(2, { seed }).functions[0]!;
    return driver.registerDmb({ size: 4096, rgid: 0xa2n }).token;
  });
  assertNotEquals(tokens[0], tokens[1]);
});
