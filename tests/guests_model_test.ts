/**
 * Two to four guests register, move, signal, unregister and reset at random; a small model, written from the facts
 * alone, says what everybody's memory, bits and events must be (zPCI sheet 8.3, 9, 10, 13 #17, #19).
 */
import { assertEquals } from "@std/assert";
import fc from "fast-check";
import { Host } from "../lib/host/host.ts";
import { parseTopology } from "../lib/host/topology.ts";
import { CommandError } from "../lib/ism/driver/command_channel.ts";
import { ErrnoError } from "../lib/vfio/errno.ts";

/** One guest does something; numbers pick among what there is. */
type Step =
  | { readonly do: "register"; readonly guest: number; readonly writer: number; readonly pages: number }
  | { readonly do: "unregister"; readonly guest: number; readonly pick: number }
  | {
    readonly do: "move";
    readonly guest: number;
    readonly pick: number;
    readonly offset: number;
    readonly length: number;
    readonly signal: boolean;
    readonly idx: number;
  }
  | { readonly do: "event"; readonly guest: number; readonly to: number; readonly code: number }
  | { readonly do: "walk"; readonly guest: number }
  | { readonly do: "reset"; readonly guest: number };

/** What the model knows of a DMB. */
interface ModelDmb {
  readonly token: number;
  readonly owner: number;
  readonly writer: number;
  readonly index: number;
  readonly bytes: Uint8Array;
}

/** What waits for a guest: element masks by index, and events as text. */
interface Inbox {
  started: boolean;
  masks: Map<number, number>;
  events: string[];
}

const PAGE = 4096;
/** An IEQ holds this many events before it overwrites; the model stays below. */
const SLOTS = 15;

function deliver(inbox: Inbox, event: string): void {
  if (inbox.started) inbox.events.push(event);
}

/** The reset of a guest, as 13 #17 has it. */
function modelReset(dmbs: Map<number, ModelDmb>, inboxes: Inbox[], guest: number): void {
  const peers = new Set<number>();
  for (const dmb of [...dmbs.values()].filter(({ owner }) => owner === guest)) {
    dmbs.delete(dmb.token);
    if (dmb.writer === guest) continue;
    peers.add(dmb.writer);
    deliver(inboxes[dmb.writer]!, `0:4:${dmb.token}`);
  }
  for (const { owner, writer, token } of dmbs.values()) {
    if (writer !== guest) continue;
    peers.add(owner);
    deliver(inboxes[owner]!, `0:8:${token}`);
  }
  for (const peer of peers) deliver(inboxes[peer]!, `1:7:g${guest}`);
  Object.assign(inboxes[guest]!, { started: false, masks: new Map(), events: [] });
}

function run(guests: number, steps: readonly Step[]): void {
  const host = Host.create(parseTopology({
    guests: Array.from(
      { length: guests },
      (_, i) => ({ name: `g${i}`, functions: [{ fid: 16 + i, uid: 1 + i }] }),
    ),
  }));
  const drivers = host.functions.map(({ driver }) => driver);
  const gids = host.functions.map(({ adapter }) => adapter.gid);
  const nameOf = (tok: string) => {
    const guest = gids.indexOf(BigInt(tok));
    return guest < 0 ? String(Number(tok)) : `g${guest}`;
  };
  const dmbs = new Map<number, ModelDmb>();
  const inboxes: Inbox[] = gids.map(() => ({ started: false, masks: new Map(), events: [] }));
  const start = (guest: number) => {
    drivers[guest]!.start();
    inboxes[guest]!.started = true;
  };
  // Opening a function resets it, which its peers notice; so everybody opens before anything else happens.
  for (let guest = 0; guest < guests; guest++) start(guest);
  const walk = (guest: number) => {
    const inbox = inboxes[guest]!;
    if (!inbox.started) return;
    const { dmbs: signalled, events } = drivers[guest]!.handleInterrupt();
    assertEquals(new Map(signalled.map(({ index, mask }) => [index, mask])), inbox.masks);
    assertEquals(
      events.map(({ type, code, tok }) => `${type}:${code}:${nameOf(tok)}`).sort(),
      [...inbox.events].sort(),
    );
    inbox.masks = new Map();
    inbox.events = [];
  };
  const all = () => [...dmbs.values()];

  for (const step of steps) {
    const guest = step.guest % guests;
    if (step.do === "register") {
      start(guest);
      const writer = step.writer % guests;
      const dmb = drivers[guest]!.registerDmb({ size: step.pages * PAGE, rgid: gids[writer]! });
      assertEquals(dmbs.has(dmb.token), false, "a token is never given twice");
      const bytes = new Uint8Array(dmb.size);
      dmbs.set(dmb.token, { token: dmb.token, owner: guest, writer, index: dmb.index, bytes });
      assertEquals(drivers[guest]!.view(dmb, 0, dmb.size), bytes, "memory is zeroed");
    } else if (step.do === "unregister") {
      const own = all().filter(({ owner }) => owner === guest);
      const dmb = own[step.pick % own.length];
      if (dmb === undefined) continue;
      drivers[guest]!.unregisterDmb(dmb.token);
      dmbs.delete(dmb.token);
      deliver(inboxes[dmb.writer]!, `0:4:${dmb.token}`);
      // The signal of a buffer that is gone stays in the SBA until the next walk clears it.
    } else if (step.do === "move") {
      const dmb = all()[step.pick % dmbs.size];
      if (dmb === undefined) continue;
      start(guest);
      const offset = step.offset % dmb.bytes.length;
      const length = Math.min(step.length, dmb.bytes.length - offset);
      const data = Uint8Array.from({ length }, (_, i) => (step.offset + i * 7 + 1) & 0xff);
      let refused = false;
      try {
        drivers[guest]!.move(dmb.token, offset, data, { signal: step.signal, idx: step.idx });
      } catch (error) {
        if (!(error instanceof ErrnoError)) throw error;
        assertEquals(error.code, "EIO");
        refused = true;
      }
      assertEquals(refused, dmb.writer !== guest && length > 0);
      if (refused || length === 0) continue;
      dmb.bytes.set(data, offset);
      if (!step.signal) continue;
      const { masks } = inboxes[dmb.owner]!;
      // 0x1000 rotated right by idx in 16 bits (8.4).
      const mask = ((0x1000_1000 >>> step.idx) & 0xffff) >>> 0;
      masks.set(dmb.index, (masks.get(dmb.index) ?? 0) | mask);
    } else if (step.do === "event") {
      start(guest);
      const to = step.to % guests;
      drivers[guest]!.signal(gids[to]!, step.code, 0n);
      deliver(inboxes[to]!, `2:${step.code}:g${guest}`);
    } else if (step.do === "walk") walk(guest);
    else {
      drivers[guest]!.reset();
      modelReset(dmbs, inboxes, guest);
    }
    inboxes.forEach(({ events }, each) => events.length > SLOTS - 2 * dmbs.size - 2 && walk(each));
    for (const { token, owner, bytes } of dmbs.values()) {
      assertEquals(drivers[owner]!.view(drivers[owner]!.dmb(token), 0, bytes.length), bytes);
    }
  }
  for (let guest = 0; guest < guests; guest++) walk(guest);
  for (const driver of drivers) {
    try {
      driver.close();
    } catch (error) {
      if (!(error instanceof CommandError)) throw error;
    }
  }
  for (const { adapter } of host.functions) assertEquals(adapter.dmbs.size, 0);
}

const small = fc.nat(3);
const STEP: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 2,
    arbitrary: fc.record({
      do: fc.constant("register" as const),
      guest: small,
      writer: small,
      pages: fc.integer({ min: 1, max: 3 }),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({ do: fc.constant("unregister" as const), guest: small, pick: fc.nat(7) }),
  },
  {
    weight: 8,
    arbitrary: fc.record({
      do: fc.constant("move" as const),
      guest: small,
      pick: fc.nat(7),
      offset: fc.nat(3 * PAGE),
      length: fc.nat(6000),
      signal: fc.boolean(),
      idx: fc.nat(15),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({ do: fc.constant("event" as const), guest: small, to: small, code: fc.nat(255) }),
  },
  { weight: 2, arbitrary: fc.record({ do: fc.constant("walk" as const), guest: small }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("reset" as const), guest: small }) },
);

Deno.test("two to four guests agree with the model, whatever they do", () => {
  const property = fc.property(fc.integer({ min: 2, max: 4 }), fc.array(STEP, { maxLength: 40 }), run);
  fc.assert(property, { seed: 4, numRuns: 300 });
});
