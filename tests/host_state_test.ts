/** A host as a value: the defaults of zPCI sheet section 13, and state that can be taken away and brought back. */
import { assertEquals, assertNotEquals } from "@std/assert";
import { Host, type StateSource } from "../lib/host/host.ts";
import { defaultTopology, gidOf } from "../lib/host/topology.ts";
import type { Json } from "../lib/base/json.ts";
import { pattern } from "./support/bytes.ts";
import { snapshot, startedHost } from "./support/host.ts";

Deno.test("the default topology chooses what zPCI sheet section 13 proposes", () => {
  const { ism, machine } = defaultTopology();
  assertEquals([machine.maxstbl, machine.storeBlock], [4096, "relaxed"]);
  const { bar2Size: _, ...choices } = ism;
  assertEquals(choices, {
    version: 2,
    bar0Loads: "refuse",
    bar0Status: 36,
    bar0Failure: "status",
    bar2Stores: "refuse",
    msiOn: "summary",
    busMaster: "enforced",
  });
});

Deno.test("GIDs are 64 bits, not 0, and differ from function to function and from seed to seed (10)", () => {
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

/** A host in the middle of its work. */
function busyHost(): { host: Host; token: number } {
  const host = startedHost(2);
  const [first, second] = host.functions;
  const { token } = first!.driver.registerDmb({ size: 8192, rgid: 0xa2n, index: 77 });
  second!.driver.move(token, 10, pattern(5000), { signal: true, idx: 4 });
  first!.driver.setVlan(7, true);
  second!.driver.signal(0xa1n, 0x83, 1n);
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

/** What a host does next: signals taken, data read, a reset. */
function goOn(host: Host, token: number): unknown[] {
  const [first, second] = host.functions;
  const walk = first!.driver.handleInterrupt();
  second!.driver.move(token, 4000, pattern(300, 9), { signal: true });
  const data = first!.driver.view(first!.driver.dmb(token), 0, 8192).toHex();
  second!.driver.reset();
  return [walk, data, first!.driver.handleInterrupt(), host.clock.microseconds];
}

Deno.test("restore() brings back the very same host, which goes on as the first one would", () => {
  const { host, token } = busyHost();
  const restored = Host.restore(host.topology, stored(host));
  assertEquals(snapshot(restored), snapshot(host));
  assertEquals(goOn(restored, token), goOn(host, token));
  assertEquals(snapshot(restored), snapshot(host));
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
