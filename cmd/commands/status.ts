import { hex } from "../../lib/base/hex.ts";
import type { HostFunction } from "../../lib/host/host.ts";
import { SBA } from "../../lib/ism/protocol.ts";
import { defineCommand } from "../language/command.ts";
import { HIDDEN_EVENTS, hiddenEvents, unreadEvents } from "../run/unread_events.ts";
import { plural, sizeText } from "../output/units.ts";

/** Looks without touching: no system call, no instruction. */
function describe(target: HostFunction) {
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
  const pending = eventfds.map(([, file]) => Number(guest.kernel.eventFd(file.id).count))[0] ?? 0;
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
    sba: adapter.sba === undefined ? null : { iova: hex(adapter.sba) },
    ieq: adapter.ieq === undefined ? null : {
      iova: hex(adapter.ieq),
      slot: adapter.ieqSlot,
      unread: unreadEvents(target),
      hidden: hiddenEvents(target),
    },
    ieq_full: adapter.statistics.ieqFull,
    ieq_overflows: adapter.statistics.ieqOverflows,
    dmbs: adapter.sortedDmbs.map(({ token, sbaIndex, iova, length, rgid }) => ({
      token: hex(token),
      index: sbaIndex,
      iova: hex(iova),
      size: length,
      rgid: hex(rgid),
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

export const status = defineCommand({
  name: "status",
  group: "look",
  summary: "Show open descriptors, DMA mappings, DMBs, SBA, IEQ and pending interrupts",
  args: {},
  options: {},
  access: "read",
  examples: ["status", "status -d 1 --json"],
  run: ({ target }) => describe(target),
  text(result, { terminal: { style } }) {
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
    const lines = [
      `${style.bold(address)}  guest ${guest}, ${state}, handle ${fh}`,
      `descriptors  ${descriptors.map(({ fd, kind }) => `${fd} ${kind}`).join(", ") || "none"}`,
      `sba          ${sba === null ? "not registered" : sba.iova}`,
      `ieq          ${
        ieq === null
          ? "not registered"
          : `${ieq.iova}, next slot ${ieq.slot}, ${plural(ieq.unread, "unread event")}`
      }`,
      ...(ieq !== null && ieq.hidden > 0 ? [HIDDEN_EVENTS] : []),
      `interrupts   ${interrupts.pending} pending, summary ${interrupts.summary ? 1 : 0}, event ${
        interrupts.event ? 1 : 0
      }`,
      ...(channel === "permanent-failure" ? ["channel      given up by the kernel; see zpci recover"] : []),
      ...errors.map(({ pec, address }) => `error event  ${pec} at ${address}`),
      ...(errors_dropped === 0 ? [] : [`error events ${errors_dropped} more, the queue is full`]),
      `mappings     ${mappings.length}`,
      ...mappings.map(({ iova, size, read, write }) =>
        `  ${iova}  ${sizeText(size)}  ${[read ? "read" : "", write ? "write" : ""].join(" ").trim()}`
      ),
      `dmbs         ${dmbs.length}`,
      ...dmbs.map(({ token, index, size, rgid }) =>
        `  ${token}  index ${index}, ${sizeText(size)}, writer ${rgid}`
      ),
    ];
    return lines.join("\n");
  },
});
