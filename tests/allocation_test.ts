/** A million stores and a million 8-byte reads allocate nothing that grows, in a transaction and outside of one. */
import { assert } from "@std/assert";
import { HostStore, MEMORY_HOST } from "../lib/host/file/store.ts";
import { defaultTopology } from "../lib/host/default_topology.ts";
import { dataOffset } from "../lib/ism/protocol.ts";

const MILLION = 1_000_000;
/** Less than 16 bytes an operation: a number or an object for each would be more. */
const MOST = 12 * 2 ** 20;

/** Bytes by which the memory in use grows while `work` runs a million times; the least of three times. */
function growth(work: () => void): number {
  const used = () => {
    const { heapUsed, external } = Deno.memoryUsage();
    return heapUsed + external;
  };
  for (let i = 0; i < MILLION / 10; i++) work();
  let least = Infinity;
  for (let round = 0; round < 3; round++) {
    const before = used();
    for (let i = 0; i < MILLION; i++) work();
    least = Math.min(least, used() - before);
  }
  return least;
}

for (const isOpen of [true, false]) {
  Deno.test(`a million stores and reads ${isOpen ? "in" : "outside of"} a transaction leave memory as it was`, () => {
    using store = HostStore.create(MEMORY_HOST, defaultTopology());
    const host = store.begin("write");
    const [writer, owner] = host.functions;
    const { token } = owner!.driver.registerDmb({ size: 64 * 1024, rgid: writer!.adapter.gid });
    writer!.driver.start();
    if (!isOpen) store.commit(host);
    const { process } = writer!.guest.kernel;
    const { fd } = writer!.driver.descriptor;
    const data = new Uint8Array(4096);
    const position = dataOffset(token, 0, false, 0);
    const command = writer!.driver.descriptor.positionOf(2, 64);
    const stores = growth(() => void process.pwrite(fd, data, data.length, position));
    const reads = growth(() => void process.pread(fd, data, 8, command));
    assert(stores < MOST && reads < MOST, `${stores} bytes for the stores, ${reads} for the reads`);
  });
}
