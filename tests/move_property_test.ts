/**
 * Random moves between random DMBs, compared with a plain map from token to bytes. What is accepted reads back from the
 * owner's DMB, what is refused changes nothing. Facts: docs/reference/ism/data.md; vfio.read.loads and vfio.write.once.
 */
import { Buffer } from "node:buffer";
import { assertEquals } from "@std/assert";
import fc from "fast-check";
import type { Host, HostFunction } from "../lib/host/host.ts";
import { loadWidth } from "../lib/vfio/variant/load_width.ts";
import { pattern } from "./support/bytes.ts";
import { dmbBytes, errnoOf, startedHost } from "./support/host.ts";

const GUESTS = 3;
const PAGE = 4096;

/** A DMB as the model knows it. */
interface ModelDmb {
  readonly owner: HostFunction;
  readonly writer: HostFunction;
  readonly index: number;
  readonly bytes: Uint8Array;
}

interface Model {
  readonly host: Host;
  readonly dmbs: Map<number, ModelDmb>;
  /** Per function, element masks by SBA index since its last walk. They stay when their DMB goes. */
  readonly signals: ReadonlyMap<HostFunction, Map<number, number>>;
}

/** One step: what to do, with numbers that are taken modulo what there is. */
const STEP = fc.record({
  kind: fc.constantFrom("register", "unregister", "walk", "store", "store", "store", "move", "move"),
  guest: fc.nat(GUESTS - 1),
  writer: fc.nat(GUESTS - 1),
  /** Mostly the writer that the DMB names, sometimes any. */
  authorised: fc.nat(4).map((n) => n > 0),
  /** Mostly a token that exists. */
  bogus: fc.nat(9).map((n) => n === 0),
  pages: fc.oneof(fc.integer({ min: 1, max: 4 }), fc.constantFrom(16, 33, 256)),
  pick: fc.nat(30),
  offset: fc.nat(),
  length: fc.oneof(fc.integer({ min: 1, max: 40 }), fc.integer({ min: 1, max: 3 * PAGE })),
  idx: fc.nat(15),
  signal: fc.boolean(),
  seed: fc.nat(255),
});
type Step = typeof STEP extends fc.Arbitrary<infer Value> ? Value : never;

/** 0x1000 rotated right by idx, one bit at a time (ism.data.element). */
function elementBit(idx: number): number {
  let mask = 0x1000;
  for (let i = 0; i < idx; i++) mask = mask === 1 ? 0x8000 : mask >> 1;
  return mask;
}

/** One store block: the model's answer, applied to the model if it is a success. */
function modelStore(
  model: Model,
  writer: HostFunction,
  token: number,
  at: number,
  data: Uint8Array,
  { idx, signal }: Step,
): string {
  if (at % PAGE + data.length > PAGE) return "EINVAL";
  const dmb = model.dmbs.get(token);
  if (dmb === undefined || dmb.writer !== writer || at + data.length > dmb.bytes.length) return "EIO";
  dmb.bytes.set(data, at);
  if (!signal) return "ok";
  const signals = model.signals.get(dmb.owner)!;
  signals.set(dmb.index, (signals.get(dmb.index) ?? 0) | elementBit(idx));
  return "ok";
}

function target(model: Model, step: Step): readonly [token: number, dmb: ModelDmb | undefined] {
  const entry = [...model.dmbs][step.pick % Math.max(model.dmbs.size, 1)];
  return entry === undefined || step.bogus ? [2 ** 47, undefined] : entry;
}

function perform(model: Model, step: Step): void {
  const { host, dmbs } = model;
  const guest = host.functions[step.guest]!;
  const [token, dmb] = target(model, step);
  const writer = step.authorised && dmb !== undefined ? dmb.writer : host.functions[step.writer]!;
  switch (step.kind) {
    case "register": {
      const chosen = host.functions[step.writer]!;
      const { token: taken, index, size } = guest.driver.registerDmb({
        size: step.pages * PAGE,
        rgid: chosen.adapter.gid,
      });
      assertEquals(dmbs.has(taken), false);
      dmbs.set(taken, { owner: guest, writer: chosen, index, bytes: new Uint8Array(size) });
      return;
    }
    case "unregister":
      if (dmb === undefined) return;
      dmb.owner.driver.unregisterDmb(token);
      dmbs.delete(token);
      return;
    case "walk": {
      const walk = guest.driver.handleInterrupt();
      const expected = [...model.signals.get(guest)!].sort(([a], [b]) => a - b);
      assertEquals(walk.dmbs.map(({ index, mask }) => [index, mask]), expected);
      model.signals.get(guest)!.clear();
      return;
    }
    case "store": {
      const size = dmb?.bytes.length ?? PAGE;
      const at = step.offset % (size + PAGE);
      const data = pattern(1 + (step.length - 1) % (PAGE + 1), step.seed);
      const position = token + step.idx * 2 ** 24 + (step.signal ? 2 ** 23 : 0) + at;
      const before = state(host);
      const answer = errnoOf(() => writer.driver.descriptor.write(0, position, data));
      const expected = data.length > PAGE ? "EINVAL" : modelStore(model, writer, token, at, data, step);
      assertEquals(answer, expected);
      if (answer !== "ok") assertEquals(state(host), before);
      return;
    }
    case "move": {
      const size = dmb?.bytes.length ?? PAGE;
      const offset = step.offset % size;
      const data = pattern(step.length, step.seed);
      const answer = errnoOf(() => writer.driver.move(token, offset, data, step));
      assertEquals(answer, modelMove(model, writer, token, offset, data, step));
      return;
    }
  }
}

/**
 * A move is one store a target page; sf goes with the last, and what was stored before a refusal stays
 * (ism.data.chunks).
 */
function modelMove(
  model: Model,
  writer: HostFunction,
  token: number,
  offset: number,
  data: Uint8Array,
  step: Step,
): string {
  for (let done = 0; done < data.length;) {
    const end = Math.min(data.length, done + PAGE - (offset + done) % PAGE);
    const piece = { ...step, signal: step.signal && end === data.length };
    const answer = modelStore(model, writer, token, offset + done, data.subarray(done, end), piece);
    if (answer !== "ok") return answer;
    done = end;
  }
  return "ok";
}

/** Saved state without the clock, as text. */
function state(host: Host): string {
  return JSON.stringify([...host.save()].filter(([key]) => key !== "clock"));
}

/** Every DMB holds what the model holds, and every SBA the signals that no walk took yet. */
function agree({ dmbs, signals }: Model): void {
  for (const [token, { owner, bytes }] of dmbs) {
    assertEquals(Buffer.compare(dmbBytes(owner, token), bytes), 0, `DMB 0x${token.toString(16)}`);
  }
  for (const [{ driver }, masks] of signals) {
    const expected = new Uint8Array(PAGE);
    for (const [index, mask] of masks) {
      expected[4 + (index >> 3)]! |= 0x80 >> (index & 7);
      expected.set([mask >> 8, mask & 0xff], 256 + index * 2);
    }
    const sba = driver.view(driver.registrations!.sba, 0, PAGE).slice();
    if (masks.size > 0) assertEquals(sba[0]! & 0x80, 0x80);
    sba[0] = 0; // Events, which an unregistered DMB causes, have a part in it.
    assertEquals(Buffer.compare(sba, expected), 0, "SBA");
  }
}

Deno.test("moves: what is accepted reads back, what is refused changes nothing (ism.data.offset, ism.data.store)", () => {
  const property = fc.property(fc.array(STEP, { minLength: 5, maxLength: 40 }), (steps) => {
    const host = startedHost(GUESTS);
    const signals = new Map(host.functions.map((fn) => [fn, new Map<number, number>()]));
    const model: Model = { host, dmbs: new Map(), signals };
    for (const guest of [0, 1]) {
      perform(model, { ...steps[guest]!, kind: "register", guest, writer: 1 - guest });
    }
    for (const step of steps) {
      perform(model, step);
      agree(model);
    }
  });
  fc.assert(property, { seed: 0x15a, numRuns: 250 });
});

/** The loads of a read, one after the other, as the driver goes through them. */
function* planLoads(offset: number, count: number): Generator<{ offset: number; width: number }> {
  for (let done = 0; done < count;) {
    const width = loadWidth(offset + done, count - done);
    yield { offset: offset + done, width };
    done += width;
  }
}

Deno.test("loadWidth() covers each byte once, in order, with aligned loads of 8, 4, 2 or 1 (vfio.read.loads)", () => {
  const property = fc.property(fc.nat(2 ** 47), fc.nat(300), (offset, count) => {
    let next = offset;
    for (const load of planLoads(offset, count)) {
      assertEquals([load.offset, load.offset % load.width], [next, 0]);
      assertEquals([8, 4, 2, 1].includes(load.width), true);
      next += load.width;
    }
    assertEquals(next, offset + count);
  });
  fc.assert(property, { seed: 0x8421, numRuns: 500 });
});

Deno.test("loadWidth() is the widest of 8, 4, 2, 1 that is aligned and fits, all small cases (vfio.read.loads)", () => {
  for (let offset = 0; offset < 16; offset++) {
    for (let left = 1; left < 24; left++) {
      const widest = [8, 4, 2, 1].find((width) => width <= left && offset % width === 0);
      assertEquals<number | undefined>(loadWidth(offset, left), widest);
    }
  }
});

Deno.test("a plan never crosses a doubleword, so that every load is legal (zpci.pcilg.length)", () => {
  for (let offset = 0; offset < 24; offset++) {
    for (const { offset: at, width } of planLoads(offset, 24)) assertEquals(at % 8 + width <= 8, true);
  }
});
