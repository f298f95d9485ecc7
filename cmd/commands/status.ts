import { hex } from "../../lib/base/hex.ts";
import type { Host, HostFunction } from "../../lib/host/host.ts";
import { takeSignals } from "../../lib/ism/driver/signals.ts";
import { SBA } from "../../lib/ism/protocol.ts";
import { defineCommand } from "../language/command.ts";
import { renderBits, renderRing } from "../output/pictures/signals.ts";
import type { Terminal } from "../language/terminal.ts";
import { ringOf } from "../run/driver/dmb_ring.ts";
import { memoryAt } from "../run/driver/mapped_memory.ts";
import { HIDDEN_EVENTS, hiddenEvents, unreadEvents } from "../run/driver/unread_events.ts";
import { plural, sizeText } from "../output/units.ts";
import { field } from "../output/wrap.ts";
import { WATCH } from "../language/watching.ts";

/** DMB bits of the SBA that are set, with the element mask of each; none where the SBA's memory is not mapped. */
function setBits(target: HostFunction, iova: number) {
  const sba = memoryAt(target, iova, SBA.BYTES)?.slice();
  const signals = sba === undefined ? [] : takeSignals(sba);
  return signals.map(({ index, mask }) => ({
    index,
    mask: hex(mask, 4),
    idx: target.adapter.elementMasks.flatMap((bit, idx) => (mask & bit) === 0 ? [] : [idx]),
  }));
}

/** Looks without touching: no system call, no instruction. */
function describe(host: Host, target: HostFunction) {
  const { guest, fn, adapter, driver, zdev } = target;
  const { process } = guest.kernel;
  const descriptors = [...process.files()].map(([fd, file]) => ({ fd, kind: file.kind, id: file.id }));
  const registrations = driver.registrations;
  const sba = registrations === undefined
    ? undefined
    : process.memory(registrations.sba.vaddr, SBA.BYTES, false);
  // Somebody may have closed it by hand, and opened something else in its place.
  const eventfds = [...process.files()].filter(([fd, { kind }]) =>
    fd === registrations?.eventfd && kind === "eventfd"
  );
  const pending = eventfds.map(([, file]) => Number(guest.kernel.eventfds.get(file.id).count))[0] ?? 0;
  return {
    address: zdev.name,
    guest: guest.name,
    state: fn.state,
    fh: hex(fn.fh, 8),
    open: driver.isOpen,
    descriptors,
    mappings: (zdev.domain?.mappings() ?? []).map(({ iova, size, vaddr, read, write }) => ({
      iova: hex(iova),
      size,
      vaddr: hex(vaddr),
      read,
      write,
    })),
    sba: adapter.sba === undefined ? null : { iova: hex(adapter.sba), set: setBits(target, adapter.sba) },
    ieq: adapter.ieq === undefined ? null : {
      iova: hex(adapter.ieq),
      slot: adapter.ieqSlot,
      unread: unreadEvents(target),
      hidden: hiddenEvents(target),
    },
    ieq_full: adapter.statistics.ieqFull,
    ieq_overflows: adapter.statistics.ieqOverflows,
    dmbs: adapter.sortedDmbs.map((dmb) => ({
      token: hex(dmb.token),
      index: dmb.sbaIndex,
      iova: hex(dmb.iova),
      size: dmb.length,
      rgid: hex(dmb.rgid),
      ring: ringOf(host, target, dmb) ?? null,
    })),
    channel: zdev.pci.channel,
    errors: guest.kernel.binding(zdev).errors.events.map(({ pec, address }) => ({
      pec: hex(pec),
      address: hex(address),
    })),
    errors_dropped: guest.kernel.binding(zdev).errors.dropped,
    interrupts: {
      pending,
      summary: sba !== undefined && (sba[0]! & SBA.SUMMARY) !== 0,
      event: sba !== undefined && (sba[0]! & SBA.EVENT) !== 0,
    },
  };
}

/** The picture of the SBA's bits, and which elements the signals named. */
function bitLines(
  set: ReturnType<typeof setBits>,
  dmbs: readonly { readonly index: number }[],
  terminal: Terminal,
): string[] {
  const picture = renderBits(dmbs.map(({ index }) => index), set.map(({ index }) => index), terminal);
  return [
    ...picture,
    ...set.map(({ index, mask, idx }) => `  index ${index} set, elements ${mask} (idx ${idx.join(", ")})`),
  ];
}

export const status = defineCommand({
  name: "status",
  group: "look",
  summary: "Show open descriptors, DMA mappings, DMBs, SBA, IEQ and pending interrupts",
  args: {},
  options: { ...WATCH },
  access: "read",
  examples: ["status", "status -d 1 --json"],
  run: ({ host, target }) => describe(host, target),
  text(result, { terminal, wide }) {
    const { style } = terminal;
    const {
      address,
      guest,
      state,
      fh,
      descriptors,
      mappings,
      sba,
      ieq,
      dmbs,
      channel,
      errors,
      errors_dropped,
      interrupts,
    } = result;
    const width = wide ? Infinity : terminal.tableWidth;
    const about = (name: string, value: string) => field(name.padEnd(13), value, width);
    const queue = ieq === null
      ? "not registered"
      : `${ieq.iova}, next slot ${ieq.slot}, ${plural(ieq.unread, "unread event")}`;
    const [summary, event] = [interrupts.summary, interrupts.event].map(Number);
    const title = field(`${address}  `, `guest ${guest}, ${state}, handle ${fh}`, width);
    const parts = [
      style.bold(address) + title.slice(address.length),
      about("descriptors", descriptors.map(({ fd, kind }) => `${fd} ${kind}`).join(", ") || "none"),
      about("sba", sba === null ? "not registered" : sba.iova),
      ...(sba === null ? [] : bitLines(sba.set, dmbs, terminal)).map((line) => `${line}\n`),
      about("ieq", queue),
      ...(ieq !== null && ieq.hidden > 0 ? [field("", HIDDEN_EVENTS, width)] : []),
      about("interrupts", `${interrupts.pending} pending, summary ${summary}, event ${event}`),
      ...(channel === "permanent-failure"
        ? [about("channel", "given up by the kernel; see zpci recover")]
        : []),
      ...errors.map(({ pec, address }) => about("error event", `${pec} at ${address}`)),
      ...(errors_dropped === 0 ? [] : [about("error events", `${errors_dropped} more, the queue is full`)]),
      about("mappings", String(mappings.length)),
      ...mappings.map(({ iova, size, read, write }) =>
        field(
          `  ${iova}  `,
          `${sizeText(size)}  ${[read ? "read" : "", write ? "write" : ""].join(" ").trim()}`,
          width,
        )
      ),
      about("dmbs", String(dmbs.length)),
      ...dmbs.flatMap(({ token, index, size, rgid, ring }) => [
        field(`  ${token}  `, `index ${index}, ${sizeText(size)}, writer ${rgid}`, width),
        ...(ring === null ? [] : renderRing(ring, terminal)).map((line) => `${line}\n`),
      ]),
    ];
    return parts.join("");
  },
});
