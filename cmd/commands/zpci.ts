/** The platform side: configuring, and events, as an operator or the firmware would cause them. */
import { hex } from "../../lib/base/hex.ts";
import type { HostFunction } from "../../lib/host/host.ts";
import { MachineError } from "../../lib/zpci/answer.ts";
import { errorBlock, pecText, reportError } from "../../lib/zpci/error_events.ts";
import {
  AVAILABILITY,
  availabilityBlock,
  availabilityText,
  changeAvailability,
  isAvailabilityEvent,
  SCLP,
  sclp,
  SCLP_RESPONSE,
} from "../../lib/zpci/service_processor.ts";
import { argument, defineCommand, flag, optional } from "../language/command.ts";
import { number } from "../language/kinds.ts";

/** What the machine and the kernel think of the function. */
export function stateOf({ zdev, fn }: HostFunction) {
  return {
    address: zdev.name,
    state: fn.state,
    fh: hex(fn.fh, 8),
    kernel_fh: hex(zdev.fh, 8),
    kernel_state: zdev.state,
  };
}

export const zpciConfigure = defineCommand({
  name: "zpci configure",
  group: "host",
  summary: "Configure a function in standby (SCLP); the kernel takes it and looks for a driver",
  details: `As a 1 written to the function's slot in sysfs. Response 0x0020: done, 0x0120: nothing to do.
A reserved function cannot be configured; "zpci event 0x0301" gives it back.`,
  args: {},
  options: {},
  access: "write",
  examples: ["zpci configure"],
  run({ target }) {
    const { guest, zdev, fn } = target;
    const response = sclp(guest.partition, SCLP.CONFIGURE, zdev.facts.fid);
    if (response === SCLP_RESPONSE.DONE) guest.kernel.binding(zdev).arrived(fn.fh);
    else if (response !== SCLP_RESPONSE.NO_ACTION) {
      throw new MachineError(
        `SCLP configure answered response code ${hex(response, 4)}: the function is ${fn.state}`,
        "zpci.sclp.responses",
        { response },
      );
    }
    return { response: hex(response, 4), ...stateOf(target) };
  },
  text: ({ response, state }) => `response ${response}: ${state}`,
});

export const zpciDeconfigure = defineCommand({
  name: "zpci deconfigure",
  group: "host",
  summary: "Ask for the function (event 0x0303), or take it away at once (--gone, event 0x0304)",
  details:
    `The kernel removes the driver, which waits while the function is open: REQ is signalled. With --gone the
function is in standby before anybody is asked, as in a surprise unplug.`,
  args: {},
  options: { gone: flag("take it away at once") },
  access: "write",
  examples: ["zpci deconfigure", "zpci deconfigure --gone"],
  run({ target }, { gone }) {
    changeAvailability(target.fn, gone ? AVAILABILITY.GONE : AVAILABILITY.DECONFIGURE_REQUESTED);
    return { ...stateOf(target), waiting: target.guest.kernel.binding(target.zdev).removing };
  },
  text: ({ state, waiting }) =>
    waiting ? `${state}; the driver waits for the last descriptor to be closed` : state,
});

export const zpciEvent = defineCommand({
  name: "zpci event",
  group: "host",
  summary: "Let the machine report an error of the function, or a change of its availability",
  details:
    `Error events, up to 0xff: for example 0x02 (DMA address out of range) or 0x3a (service action); the
function is in the error state and accesses are EIO until a reset. 0x2a to 0x2c concern the measurement block and are
only logged. 0x3b and 0x40 are permanent errors. Of a function that is open, 4 events are kept for user space ("feature
13 --get" takes one, "recover" all); Linux 7.1 recovers by itself. While a removal of the driver waits, events do too.
Availability events: 0x0301 configured, 0x0302 reserved to standby, 0x0303 deconfiguration requested, 0x0304 gone,
0x0306 several functions changed, 0x0308 standby to reserved.`,
  args: { pec: argument(number("PEC", { min: 1, max: 0xffff }), "event code") },
  options: { address: optional(number("ADDRESS"), "failing DMA address") },
  access: "write",
  examples: ["zpci event 0x3a", "zpci event 0x0303"],
  run({ target }, { pec, address = 0 }) {
    const { fn, guest: { kernel }, zdev } = target;
    const binding = kernel.binding(zdev);
    const event = { fh: fn.fh, fid: fn.identity.fid, pec };
    const ref = isAvailabilityEvent(pec) ? "recovery.avail.codes" : "recovery.event.codes";
    const wrongState = () =>
      new MachineError(`There is no event ${hex(pec)} for a function that is ${fn.state}`, ref);
    if (isAvailabilityEvent(pec)) {
      if (!changeAvailability(fn, pec)) throw wrongState();
      return {
        pec: hex(pec),
        event: availabilityText(pec),
        reaction: null,
        ...stateOf(target),
        waiting: binding.removing,
        data: availabilityBlock({ ...event, fh: fn.fh }).toHex(),
      };
    }
    if (pec > 0xff) throw new MachineError(`There is no event ${hex(pec)}; see "ism help zpci event"`, ref);
    if (!reportError(fn, pec, address, true)) throw wrongState();
    return {
      pec: hex(pec),
      event: pecText(pec),
      reaction: kernel.events.lastReaction ?? null,
      queued: binding.errors.events.length,
      dropped: binding.errors.dropped,
      ...stateOf(target),
      data: errorBlock({ ...event, address, write: true }).toHex(),
    };
  },
  text({ pec, event, reaction, state, ...rest }) {
    const head = `${pec} ${event}: ${state}`;
    if (reaction === null) {
      return "waiting" in rest && rest.waiting ? `${head}, waiting for the last close` : head;
    }
    const full = "dropped" in rest && rest.dropped > 0 ? `; ${rest.dropped} dropped, the queue is full` : "";
    return `${head}, ${reaction.replaceAll("-", " ")}${full}`;
  },
  raw: ({ data }) => Uint8Array.fromHex(data),
});

export const zpciRecover = defineCommand({
  name: "zpci recover",
  group: "host",
  summary: "Recover the function as sysfs recover does: remove the driver, disable, enable, probe",
  details: `Waits while the function is open, as every removal of a driver does.`,
  args: {},
  options: {},
  access: "write",
  examples: ["zpci recover"],
  run({ target }) {
    const binding = target.guest.kernel.binding(target.zdev);
    binding.recover();
    return { ...stateOf(target), waiting: binding.removing };
  },
  text: ({ state, fh, waiting }) =>
    waiting ? "waiting for the last descriptor to be closed" : `${state}, handle ${fh}`,
});
