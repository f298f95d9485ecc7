/**
 * Two to four guests register, move, signal, join VLANs, fail and reset at random; a small model, written from the
 * facts alone, says what everybody's memory, bits, queue and interrupts must be (docs/reference/ism/data.md,
 * ism/signals.md, ism/adapter.md and recovery.md, ism.ieq.overflow, ism.reset.events).
 */
import { assertEquals } from "@std/assert";
import fc from "fast-check";
import { Host } from "../lib/host/host.ts";
import { parseTopology } from "../lib/host/topology.ts";
import { CommandError } from "../lib/ism/driver/errors.ts";
import { ErrnoError } from "../lib/vfio/errno.ts";
import { kernelPages } from "./support/host.ts";

const PAGE = 4096;
const SLOTS = 15;
/** Event codes of a disable or reset (ism.reset.events), and of an error state (ism.error.events). */
const RESET = { toWriter: 4, toOwner: 8, toPeer: 7 } as const;
const ERROR = { toWriter: 2, toOwner: 3, toPeer: 1 } as const;

/** Numbers of a step pick among what there is. */
const NUMBERS = {
  guest: fc.nat(3),
  other: fc.nat(3),
  pick: fc.nat(7),
  pages: fc.integer({ min: 1, max: 3 }),
  vlan: fc.nat(3),
  offset: fc.nat(3 * PAGE),
  length: fc.nat(6000),
  signal: fc.boolean(),
  trigger: fc.boolean(),
  idx: fc.nat(15),
  code: fc.nat(255),
};
const WEIGHTS = {
  register: 4,
  unregister: 2,
  move: 12,
  event: 8,
  burst: 1,
  walk: 5,
  join: 3,
  leave: 2,
  fail: 1,
  disable: 1,
  reset: 2,
} as const;
type Action = keyof typeof WEIGHTS;
const ACTION: fc.Arbitrary<Action> = fc.oneof(
  ...Object.entries(WEIGHTS).map(([action, weight]) => ({
    weight,
    arbitrary: fc.constant(action as Action),
  })),
);
const STEP = fc.record({ do: ACTION, ...NUMBERS });
type Step = typeof STEP extends fc.Arbitrary<infer Of> ? Of : never;

/** What the model knows of a DMB. */
interface ModelDmb {
  readonly token: number;
  readonly owner: number;
  readonly writer: number;
  readonly index: number;
  readonly vlan: number;
  readonly bytes: Uint8Array;
}

/** One guest: its SBA, its IEQ as ism.ieq.layout describes it, and what its function is in. */
class ModelGuest {
  started = false;
  /** The function failed or was disabled; the driver's memory is still there. */
  lost: "error" | "disable" | undefined = undefined;
  readonly vlans = new Set<number>();
  masks = new Map<number, number>();
  summary = false;
  event = false;
  interrupts = 0;
  readonly #slots: string[] = [];
  #next = 0;
  #idx = 0;
  #last = -1;

  /** The device sets `s`, and interrupts if it was 0. */
  #notify(): void {
    if (!this.summary) this.interrupts++;
    this.summary = true;
  }

  post(text: string, trigger = true): void {
    if (!this.started || this.lost !== undefined) return;
    this.#slots[this.#next] = text;
    this.#idx = this.#next + 1;
    this.#next = (this.#next + 1) % SLOTS;
    this.event = true;
    if (trigger) this.#notify();
  }

  signal(index: number, mask: number): void {
    this.masks.set(index, (this.masks.get(index) ?? 0) | mask);
    this.#notify();
  }

  /** What an interrupt handler finds: `s` first, then the DMB bits, then the queue if `e` is set. */
  walk() {
    const found = { interrupts: this.interrupts, masks: this.masks, events: [] as string[] };
    this.interrupts = 0;
    this.summary = false;
    this.masks = new Map();
    if (!this.event) return found;
    this.event = false;
    while (this.#last + 1 !== this.#idx && found.events.length < SLOTS) {
      this.#last = this.#last + 1 === SLOTS ? 0 : this.#last + 1;
      found.events.push(this.#slots[this.#last]!);
    }
    return found;
  }
}

/** Host and model, side by side. */
class Run {
  readonly #host: Host;
  readonly #count: number;
  readonly #guests: ModelGuest[];
  readonly #dmbs = new Map<number, ModelDmb>();
  readonly #tokens = new Set<number>();

  constructor(count: number) {
    this.#count = count;
    this.#host = Host.create(parseTopology({
      guests: Array.from({ length: count }, (_, i) => ({
        name: `g${i}`,
        functions: [{ fid: 16 + i, uid: 1 + i }],
      })),
    }));
    this.#guests = Array.from({ length: count }, () => new ModelGuest());
    // Opening a function resets it, which its peers would notice; so everybody opens before anything else happens.
    for (let guest = 0; guest < count; guest++) this.#start(guest);
  }

  #driver(guest: number) {
    return this.#host.functions[guest]!.driver;
  }

  #gid(guest: number): bigint {
    return this.#host.functions[guest]!.adapter.gid;
  }

  #start(guest: number): void {
    const model = this.#guests[guest]!;
    if (model.started || model.lost !== undefined) return;
    // Opening resets the function: whoever registered a DMB for it meanwhile hears of that.
    if (!this.#driver(guest).isOpen) this.#lose(guest, RESET);
    this.#driver(guest).start();
    this.#guests[guest] = Object.assign(new ModelGuest(), { started: true });
  }

  /** How a call ended: its return code, its errno, or "ok". */
  #outcome(act: () => unknown): string {
    try {
      act();
      return "ok";
    } catch (error) {
      if (error instanceof CommandError) return `ret ${error.ret}`;
      if (error instanceof ErrnoError) return error.code;
      throw error;
    }
  }

  perform(step: Step): void {
    const guest = step.guest % this.#count;
    if (step.do !== "reset" && step.do !== "walk") this.#start(guest);
    this[step.do](guest, step);
    for (const { token, owner, bytes } of this.#dmbs.values()) {
      const driver = this.#driver(owner);
      assertEquals(driver.view(driver.dmb(token), 0, bytes.length), bytes);
    }
  }

  register(guest: number, { other, pages, vlan }: Step): void {
    const [driver, model, writer] = [this.#driver(guest), this.#guests[guest]!, other % this.#count];
    const options = { size: pages * PAGE, rgid: this.#gid(writer), ...(vlan === 0 ? {} : { vlan }) };
    if (model.lost !== undefined || (vlan !== 0 && !model.vlans.has(vlan))) {
      const expected = model.lost === undefined ? "ret 8" : "EIO";
      assertEquals(this.#outcome(() => driver.registerDmb(options)), expected);
      return;
    }
    const dmb = driver.registerDmb(options);
    assertEquals(this.#tokens.has(dmb.token), false, "a token is never given twice");
    this.#tokens.add(dmb.token);
    const bytes = new Uint8Array(dmb.size);
    assertEquals(driver.view(dmb, 0, dmb.size), bytes, "memory is zeroed");
    this.#dmbs.set(dmb.token, { token: dmb.token, owner: guest, writer, index: dmb.index, vlan, bytes });
  }

  unregister(guest: number, { pick }: Step): void {
    const own = [...this.#dmbs.values()].filter(({ owner }) => owner === guest);
    const dmb = own[pick % own.length];
    if (dmb === undefined) return;
    this.#driver(guest).unregisterDmb(dmb.token);
    this.#dmbs.delete(dmb.token);
    // The bits of a buffer that is gone stay in the SBA until the next walk clears them.
    this.#guests[dmb.writer]!.post(`0:4:${dmb.token}`);
  }

  move(guest: number, { pick, offset, length, signal, idx }: Step): void {
    const dmb = [...this.#dmbs.values()][pick % this.#dmbs.size];
    if (dmb === undefined) return;
    const at = offset % dmb.bytes.length;
    const count = Math.min(length, dmb.bytes.length - at);
    const data = Uint8Array.from({ length: count }, (_, i) => (offset + i * 7 + 1) & 0xff);
    const answer = this.#outcome(() => this.#driver(guest).move(dmb.token, at, data, { signal, idx }));
    if (count === 0) return assertEquals(answer, "ok", "nothing is sent");
    const { lost, vlans } = this.#guests[guest]!;
    const allowed = lost === undefined && dmb.writer === guest && (dmb.vlan === 0 || vlans.has(dmb.vlan));
    assertEquals(answer, allowed ? "ok" : "EIO");
    if (!allowed) return;
    dmb.bytes.set(data, at);
    // 0x1000 rotated right by idx in 16 bits (ism.data.element).
    if (signal) this.#guests[dmb.owner]!.signal(dmb.index, (0x1000_1000 >>> idx) & 0xffff);
  }

  event(guest: number, { other, code, trigger }: Step): void {
    const to = other % this.#count;
    const answer = this.#outcome(() => this.#driver(guest).signal(this.#gid(to), code, 0n, trigger));
    if (this.#guests[guest]!.lost !== undefined) return assertEquals(answer, "EIO");
    assertEquals(answer, this.#guests[to]!.lost === undefined ? "ok" : "ret 6");
    this.#guests[to]!.post(`2:${code}:g${guest}`, trigger);
  }

  /** More events than the queue holds. */
  burst(guest: number, step: Step): void {
    for (let i = 0; i < SLOTS + step.pick - 2; i++) this.event(guest, { ...step, code: i });
  }

  walk(guest: number): void {
    const model = this.#guests[guest]!;
    if (!model.started) return;
    const { interrupts, dmbs, events } = this.#driver(guest).handleInterrupt();
    const expected = model.walk();
    assertEquals(interrupts, expected.interrupts);
    assertEquals(
      dmbs.map(({ index, mask }) => [index, mask]),
      [...expected.masks].sort(([a], [b]) => a - b),
    );
    assertEquals(events.map(({ type, code, tok }) => `${type}:${code}:${this.#name(tok)}`), expected.events);
  }

  /** A token as its number, a GID as the guest's name. */
  #name(tok: string): string {
    const guest = this.#host.functions.findIndex(({ adapter }) => adapter.gid === BigInt(tok));
    return guest < 0 ? String(Number(tok)) : `g${guest}`;
  }

  join(guest: number, { vlan }: Step): void {
    const model = this.#guests[guest]!;
    const answer = this.#outcome(() => this.#driver(guest).setVlan(vlan, true));
    if (model.lost !== undefined) return assertEquals(answer, "EIO");
    assertEquals(answer, vlan === 0 ? "ret 8" : "ok");
    if (vlan !== 0) model.vlans.add(vlan);
  }

  leave(guest: number, { vlan }: Step): void {
    const model = this.#guests[guest]!;
    const answer = this.#outcome(() => this.#driver(guest).setVlan(vlan, false));
    if (model.lost !== undefined) return assertEquals(answer, "EIO");
    assertEquals(answer, model.vlans.delete(vlan) ? "ok" : "ret 8");
    if (answer !== "ok") return;
    const tagged = [...this.#dmbs.values()].filter((dmb) => dmb.vlan === vlan && dmb.owner !== dmb.writer);
    for (const { owner, writer, token } of tagged) {
      if (owner === guest) this.#guests[writer]!.post(`0:5:${token}`);
    }
    for (const { owner, writer, token } of tagged) {
      if (writer === guest) this.#guests[owner]!.post(`0:6:${token}`);
    }
  }

  fail(guest: number): void {
    if (this.#guests[guest]!.lost !== undefined) return;
    this.#host.functions[guest]!.fn.fail(0x3a, 0, true);
    this.#lose(guest, ERROR);
    this.#guests[guest]!.lost = "error";
  }

  disable(guest: number): void {
    if (this.#guests[guest]!.lost !== undefined) return;
    this.#host.functions[guest]!.fn.disable();
    this.#lose(guest, RESET);
    this.#guests[guest]!.lost = "disable";
  }

  reset(guest: number): void {
    const { lost } = this.#guests[guest]!;
    const { driver, zdev, guest: { kernel } } = this.#host.functions[guest]!;
    if (lost === "disable") {
      // The kernel's handle is stale: only sysfs recover helps, and that needs the function to be closed.
      driver.close();
      kernel.binding(zdev).recover();
      assertEquals([...kernel.process.files()], []);
    } else {
      // A function that is not open is opened for it, which is a reset of its own.
      if (!driver.isOpen) this.#lose(guest, RESET);
      driver.reset();
      this.#lose(guest, RESET);
    }
    this.#guests[guest] = new ModelGuest();
  }

  /**
   * Everything that the function had registered is gone, and its peers hear of it (ism.reset.events, ism.error.events).
   */
  #lose(guest: number, codes: { toWriter: number; toOwner: number; toPeer: number }): void {
    const peers = new Set<number>();
    for (const { owner, writer, token } of [...this.#dmbs.values()]) {
      if (owner !== guest) continue;
      this.#dmbs.delete(token);
      if (writer === guest) continue;
      peers.add(writer);
      this.#guests[writer]!.post(`0:${codes.toWriter}:${token}`);
    }
    for (const { owner, writer, token } of this.#dmbs.values()) {
      if (writer !== guest) continue;
      peers.add(owner);
      this.#guests[owner]!.post(`0:${codes.toOwner}:${token}`);
    }
    for (const peer of peers) this.#guests[peer]!.post(`1:${codes.toPeer}:g${guest}`);
    this.#guests[guest]!.vlans.clear();
  }

  /** Everybody looks once more, closes, and nothing is left. */
  end(): void {
    for (let guest = 0; guest < this.#count; guest++) this.walk(guest);
    for (let guest = 0; guest < this.#count; guest++) this.#driver(guest).close();
    for (const { adapter, guest } of this.#host.functions) {
      assertEquals([adapter.dmbs.size, adapter.sba, adapter.ieq], [0, undefined, undefined]);
      assertEquals(guest.partition.storage.buffers.length, kernelPages(guest.kernel));
    }
  }
}

Deno.test("two to four guests agree with the model, whatever they do", () => {
  const runs = fc.tuple(
    fc.integer({ min: 2, max: 4 }),
    fc.array(STEP, { minLength: 10, maxLength: 80, size: "max" }),
  );
  const property = fc.property(runs, ([count, steps]) => {
    const run = new Run(count);
    for (const step of steps) run.perform(step);
    run.end();
  });
  fc.assert(property, { seed: 4, numRuns: Deno.env.get("ISM_SOAK") === "1" ? 5000 : 400 });
});
