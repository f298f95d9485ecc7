/**
 * SBA and IEQ from the driver's side. The interrupt handler of ism.ieq.layout and ism.sba.walk is written here once
 * more, step by step on the bytes of the two pages, and peers go on signalling between any two of its steps: nothing
 * may be lost, and the driver's own handler must find the same.
 */
import { assert, assertEquals } from "@std/assert";
import fc from "fast-check";
import type { Host, HostFunction } from "../lib/host/host.ts";
import { pattern } from "./support/bytes.ts";
import { startedHost } from "./support/host.ts";

const DMBS = 3;
const SLOTS = 15;

/** What a peer does: signal an element of a DMB, or send an event. */
type PeerStep = { readonly dmb: number; readonly idx: number } | { readonly code: number };
const PEER_STEP: fc.Arbitrary<PeerStep> = fc.oneof(
  fc.record({ dmb: fc.nat(DMBS - 1), idx: fc.nat(15) }),
  fc.record({ code: fc.nat(0xffff) }),
);

/** A host whose first function owns DMBs at indices 32, 33 and 1919 for the second one. */
function twoStations() {
  const host = startedHost(2);
  const [owner, writer] = host.functions as [HostFunction, HostFunction];
  const tokens = [32, 33, 1919].map((index) =>
    owner.driver.registerDmb({ size: 4096, rgid: 0xa2n, index }).token
  );
  return { host, owner, writer, tokens };
}

function act({ driver }: HostFunction, tokens: readonly number[], step: PeerStep): void {
  if ("code" in step) driver.signal(0xa1n, step.code, 0n);
  else driver.move(tokens[step.dmb]!, 0, pattern(8), { signal: true, idx: step.idx });
}

/** 0x1000 rotated right by idx. */
const elementBit = (idx: number) => (0x1000_1000 >>> idx) & 0xffff;

/** The handler of ism.sba.walk, as steps; what happens between two of them is up to the caller. */
class Walk {
  readonly #sba: Uint8Array;
  readonly #ieq: Uint8Array;
  /** Element masks by index, added up over all walks; events in their order. */
  readonly masks = new Map<number, number>();
  readonly events: number[] = [];
  #last = -1;

  constructor({ driver }: HostFunction) {
    const { sba, ieq } = driver.registrations!;
    this.#sba = driver.view(sba, 0, 4096, true);
    this.#ieq = driver.view(ieq, 0, 512, true);
  }

  get summary(): boolean {
    return (this.#sba[0]! & 0x80) !== 0;
  }

  *steps(): Generator<undefined> {
    this.#sba[0]! &= 0x7f;
    yield;
    for (let index = 32; index < 1920; index++) {
      const [byte, bit] = [4 + Math.floor(index / 8), 0x80 >> index % 8];
      if ((this.#sba[byte]! & bit) === 0) continue;
      this.#sba[byte]! &= ~bit;
      yield;
      const at = 256 + index * 2;
      const mask = this.#sba[at]! * 256 + this.#sba[at + 1]!;
      this.#sba.fill(0, at, at + 2);
      this.masks.set(index, (this.masks.get(index) ?? 0) | mask);
      yield;
    }
    if ((this.#sba[0]! & 0x40) === 0) return;
    this.#sba[0]! &= 0xbf;
    yield;
    const idx = () => Number(new DataView(this.#ieq.buffer, this.#ieq.byteOffset).getBigUint64(0));
    while (this.#last + 1 !== idx()) {
      if (++this.#last === SLOTS) this.#last = 0;
      const entry = new DataView(this.#ieq.buffer, this.#ieq.byteOffset + 32 + this.#last * 32, 32);
      assertEquals([entry.getUint32(0), entry.getBigUint64(8)], [2, 0xa2n]);
      this.events.push(entry.getUint32(4));
      yield;
    }
  }
}

Deno.test("no signal and no event is lost, whatever comes between two steps of the handler (ism.ieq.index, ism.sba.walk)", () => {
  const between = fc.array(fc.array(PEER_STEP, { maxLength: 2 }), { maxLength: 25, size: "max" });
  fc.assert(
    fc.property(between, (schedule) => {
      const { owner, writer, tokens } = twoStations();
      const walk = new Walk(owner);
      const sent = new Map<number, number>();
      const codes: number[] = [];
      const perform = (steps: readonly PeerStep[] = []) => {
        for (const step of steps) {
          act(writer, tokens, step);
          if ("code" in step) codes.push(step.code);
          else {
            const index = [32, 33, 1919][step.dmb]!;
            sent.set(index, (sent.get(index) ?? 0) | elementBit(step.idx));
          }
        }
      };
      const pending = [...schedule];
      perform(pending.shift());
      // An interrupt that is still to come stands behind `s`; a handler runs as long as there is one.
      for (let rounds = 0; walk.summary || pending.length > 0; rounds++) {
        assert(rounds < 100, "the handler is called for ever");
        perform(pending.shift());
        for (const _ of walk.steps()) perform(pending.shift());
      }
      assertEquals(walk.events, codes, "each once, in order");
      for (const [index, mask] of sent) assertEquals(walk.masks.get(index)! & mask, mask);
      assertEquals([...walk.masks.keys()].toSorted(), [...sent.keys()].toSorted());
    }),
    { seed: 94, numRuns: 300 },
  );
});

Deno.test("a signal between two steps raises an MSI if and only if s is 0 then (ism.sba.walk, zpci.irq.deliver)", () => {
  const { owner, writer, tokens } = twoStations();
  const walk = new Walk(owner);
  const interrupts = () => owner.driver.handleInterrupt(new Set()).interrupts;
  const signal = () => writer.driver.move(tokens[0]!, 0, pattern(8), { signal: true });
  signal();
  signal();
  assertEquals(interrupts(), 1);
  const steps = walk.steps();
  steps.next();
  assertEquals(walk.summary, false);
  signal();
  signal();
  assertEquals([walk.summary, interrupts()], [true, 1]);
});

Deno.test("the driver's handler finds what a handler written from the facts finds (ism.ieq.index, ism.sba.walk)", () => {
  const bursts = fc.array(fc.array(PEER_STEP, { maxLength: 14 }), { maxLength: 6 });
  fc.assert(
    fc.property(bursts, (rounds) => {
      const [one, other] = [twoStations(), twoStations()];
      const walk = new Walk(other.owner);
      for (const steps of rounds) {
        for (const { writer, tokens } of [one, other]) for (const step of steps) act(writer, tokens, step);
        walk.masks.clear();
        walk.events.length = 0;
        for (const _ of walk.steps());
        const { dmbs, events } = one.owner.driver.handleInterrupt();
        assertEquals(dmbs.map(({ index, mask }) => [index, mask]), [...walk.masks]);
        assertEquals(events.map(({ code }) => code), walk.events);
        assertEquals(pageOf(one.host, "sba"), pageOf(other.host, "sba"), "the pages are the same afterwards");
      }
    }),
    { seed: 92, numRuns: 200 },
  );
});

function pageOf({ functions }: Host, page: "sba" | "ieq"): string {
  const { driver } = functions[0]!;
  return driver.view(driver.registrations![page], 0, page === "sba" ? 4096 : 512).toHex();
}

Deno.test.each([1, 14, 15, 16, 29, 30, 31])(
  "%d events on a queue of which one was handled: what a walk finds (ism.ieq.index)",
  (count) => {
    const { owner, writer } = twoStations();
    const walk = new Walk(owner);
    act(writer, [], { code: 1 });
    for (const _ of walk.steps());
    assertEquals(walk.events.splice(0), [1]);
    const codes = Array.from({ length: count }, (_, i) => 100 + i);
    for (const code of codes) act(writer, [], { code });
    for (const _ of walk.steps());
    // Fifteen at once look like none; with more, only those since the last whole round can be told.
    assertEquals(walk.events, codes.slice(count - count % SLOTS));
  },
);
