/**
 * The hot paths as functions, for `deno task bench` and for one tiny run in the tests. Each scenario sets itself up on a
 * host in memory and returns what is to be measured.
 */
import { Host } from "../lib/host/host.ts";
import { defaultTopology } from "../lib/host/topology.ts";
import { connect } from "../lib/ism/driver/stream.ts";
import { dataOffset } from "../lib/ism/protocol.ts";

/** A scenario: a name, the bytes that one run moves, and the run. */
export interface Scenario {
  readonly name: string;
  readonly bytes: number;
  readonly run: () => void;
}

const MIB = 1024 * 1024;

/** Two guests, the second one's DMB ready to be written by the first. */
function pair() {
  const [writer, owner] = Host.create(defaultTopology()).functions;
  const dmb = owner!.driver.registerDmb({ size: MIB, rgid: writer!.adapter.gid });
  writer!.driver.start();
  return { writer: writer!, owner: owner!, dmb };
}

/** One pwrite, one PCISTB, one copy into the peer's memory. */
export function storeBlock(length: number): Scenario {
  const { writer, dmb } = pair();
  const { process } = writer.guest.kernel;
  const { fd } = writer.driver.descriptor;
  const data = new Uint8Array(length).fill(0xa5);
  const position = dataOffset(dmb.token, 0, false, 0);
  return {
    name: `pwrite of ${length} bytes to BAR 0`,
    bytes: length,
    run: () => void process.pwrite(fd, data, length, position),
  };
}

/** The driver's move of a whole DMB: 256 store blocks. */
export function move(): Scenario {
  const { writer, dmb } = pair();
  const data = new Uint8Array(MIB).fill(0x5a);
  return { name: "move of 1 MiB", bytes: MIB, run: () => void writer.driver.move(dmb.token, 0, data) };
}

/** One pread of BAR 2, cut into 8-byte loads. */
export function readCommandArea(length: number): Scenario {
  const { writer } = pair();
  const buffer = new Uint8Array(length);
  return {
    name: `pread of ${length} bytes of BAR 2`,
    bytes: length,
    run: () => void writer.driver.descriptor.read(2, 0, length, buffer),
  };
}

/** A whole command: two system calls to send it, two to read the answer. */
export function command(): Scenario {
  const { writer } = pair();
  return { name: "READ_GID", bytes: 0, run: () => void writer.driver.readGid() };
}

/** A signal and the interrupt walk that it leads to. */
export function signalAndWalk(): Scenario {
  const { writer, owner, dmb } = pair();
  const data = new Uint8Array(8);
  return {
    name: "move with signal, then the interrupt walk",
    bytes: 8,
    run: () => {
      writer.driver.move(dmb.token, 0, data, { signal: true });
      owner.driver.handleInterrupt();
    },
  };
}

/** A stream of 1 MiB through a ring of 64 KiB. */
export function stream(): Scenario {
  const [from, to] = Host.create(defaultTopology()).functions;
  const data = new Uint8Array(MIB).fill(0x3c);
  return {
    name: "stream of 1 MiB through a DMB of 64 KiB",
    bytes: MIB,
    run: () => {
      const { writer, reader } = connect(from!.driver, to!.driver, 64 * 1024);
      let done = 0;
      while (!reader.complete) {
        done += writer.write(from!.driver, data, done, data.length - done);
        writer.publish(from!.driver, done === data.length);
        reader.read(to!.driver, () => {});
        writer.acknowledge(from!.driver);
      }
      to!.driver.unregisterDmb(reader.dmb.token);
      from!.driver.unregisterDmb(writer.dmb.token);
    },
  };
}

/** All scenarios, fresh. */
export function scenarios(): Scenario[] {
  return [
    storeBlock(8),
    storeBlock(100),
    storeBlock(4096),
    move(),
    readCommandArea(8),
    readCommandArea(4096),
    command(),
    signalAndWalk(),
    stream(),
  ];
}
