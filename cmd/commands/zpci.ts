/** The platform side: CLP blocks, configuring, and events, as an operator or the firmware would cause them. */
import { hex } from "../../lib/base/hex.ts";
import type { FieldRow, Struct } from "../../lib/base/struct.ts";
import type { HostFunction } from "../../lib/host/host.ts";
import { clpBlock } from "../../lib/vfio/zdev.ts";
import * as clp from "../../lib/zpci/clp.ts";
import {
  AVAILABILITY,
  giveBack,
  sclpConfigure,
  sclpDeconfigure,
  takeAway,
} from "../../lib/zpci/service_processor.ts";
import { argument, defineCommand, flag, optional } from "../command.ts";
import { choice, number } from "../kinds.ts";
import { structFields } from "../struct_fields.ts";
import { UsageError } from "../text/usage_error.ts";

const REQUEST_BYTES = 32;

/** Executes a CLP command and shows what came back. */
function execute(target: HostFunction, code: number, request: Uint8Array, responseLength: number) {
  const block = clpBlock(code, responseLength);
  block.set(request.subarray(16, REQUEST_BYTES), 16);
  const cc = clp.clp(target.guest.partition, block);
  const header = clp.CLP_HEADER.decode(block, REQUEST_BYTES);
  const response = block.slice(REQUEST_BYTES, REQUEST_BYTES + header.length);
  return { cc, response: hex(header.code, 4), length: header.length, bytes: response };
}

const NO_REQUEST = new Uint8Array(REQUEST_BYTES);

function listFunctions(target: HostFunction) {
  const { bytes, ...answer } = execute(target, clp.CLP.LIST_PCI, NO_REQUEST, 4064);
  const header = structFields(clp.LIST_RESPONSE as unknown as Struct<Record<string, FieldRow>>, bytes, 0);
  const entries: Record<string, string>[] = [];
  for (let at = clp.LIST_RESPONSE.size; at < bytes.length; at += clp.LIST_ENTRY.size) {
    entries.push(structFields(clp.LIST_ENTRY as unknown as Struct<Record<string, FieldRow>>, bytes, at));
  }
  return { ...answer, fields: header, entries, data: bytes.toHex() };
}

function query(target: HostFunction, what: "function" | "group") {
  const [code, request, struct] = what === "function"
    ? [
      clp.CLP.QUERY_FUNCTION,
      clp.QUERY_FUNCTION_REQUEST.encode({ fh: target.fn.fh }),
      clp.QUERY_FUNCTION_RESPONSE,
    ]
    : [
      clp.CLP.QUERY_GROUP,
      clp.QUERY_GROUP_REQUEST.encode({ pfgid: target.fn.group.pfgid }),
      clp.QUERY_GROUP_RESPONSE,
    ];
  const { bytes, ...answer } = execute(target, code, request, struct.size);
  const decoded = structFields(struct as unknown as Struct<Record<string, FieldRow>>, bytes, 0);
  return { ...answer, fields: decoded, entries: [], data: bytes.toHex() };
}

export const zpciClp = defineCommand({
  name: "zpci clp",
  group: "host",
  summary: "Execute a CLP request and show the response block field by field",
  args: { request: argument(choice("REQUEST", ["list", "function", "group"]), "list, function or group") },
  options: {},
  access: "write",
  examples: ["zpci clp list", "zpci clp function", "zpci clp group --raw"],
  run: ({ target }, { request }) => request === "list" ? listFunctions(target) : query(target, request),
  text({ cc, response, fields, entries }) {
    let text = `cc ${cc}, response ${response}\n`;
    for (const [name, value] of Object.entries(fields)) text += `  ${name.padEnd(14)} ${value}\n`;
    for (const entry of entries) {
      text += `  entry          ${
        Object.entries(entry).map(([name, value]) => `${name} ${value}`).join("  ")
      }\n`;
    }
    return text;
  },
  raw: ({ data }) => Uint8Array.fromHex(data),
});

function stateOf({ zdev, fn }: HostFunction) {
  return { address: zdev.name, state: fn.state, fh: hex(fn.fh, 8), kernel_fh: hex(zdev.fh, 8) };
}

/** Set PCI Function, behind the kernel's back: its handle is stale then. */
function setFunction(target: HostFunction, operation: number, dmaSpaces: number) {
  const request = clp.SET_FUNCTION_REQUEST.encode({ fh: target.fn.fh, operation, dmaSpaces });
  const { response } = execute(target, clp.CLP.SET_FUNCTION, request, clp.SET_FUNCTION_RESPONSE.size);
  return { response, ...stateOf(target) };
}

export const zpciEnable = defineCommand({
  name: "zpci enable",
  group: "host",
  summary: "Enable the function by Set PCI Function; its handle changes",
  args: {},
  options: {},
  access: "write",
  examples: ["zpci enable"],
  run: ({ target }) => setFunction(target, clp.SET_FUNCTION.ENABLE, 1),
  text: ({ response, state, fh }) => `response ${response}: ${state}, handle ${fh}`,
});

export const zpciDisable = defineCommand({
  name: "zpci disable",
  group: "host",
  summary: "Disable the function behind the kernel's back: its handle is stale then",
  args: {},
  options: {},
  access: "write",
  examples: ["zpci disable"],
  run: ({ target }) => setFunction(target, clp.SET_FUNCTION.DISABLE, 0),
  text: ({ response, state, fh }) => `response ${response}: ${state}, handle ${fh}`,
});

export const zpciConfigure = defineCommand({
  name: "zpci configure",
  group: "host",
  summary: "Configure a function in standby (SCLP); the kernel takes it and looks for a driver",
  args: {},
  options: {},
  access: "write",
  examples: ["zpci configure"],
  run({ target }) {
    const response = sclpConfigure(target.guest.partition, target.zdev.facts.fid);
    if (target.fn.state === "disabled") giveBack(target.fn);
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
    if (gone && target.fn.state !== "standby") takeAway(target.fn, "standby");
    else if (!gone) target.guest.partition.availabilityEvent(target.fn, AVAILABILITY.DECONFIGURE_REQUESTED);
    const waiting = target.guest.kernel.binding(target.zdev).removing;
    if (!gone && !waiting) sclpDeconfigure(target.guest.partition, target.zdev.facts.fid);
    return { ...stateOf(target), waiting };
  },
  text: ({ state, waiting }) =>
    waiting ? `${state}; the driver waits for the last descriptor to be closed` : state,
});

/** Event codes that put a function into the error state; FMB events are only logged (zPCI sheet 12.2). */
const LOGGED_ONLY = [0x2a, 0x2b, 0x2c];
const PERMANENT = [0x3b, 0x40];

export const zpciEvent = defineCommand({
  name: "zpci event",
  group: "host",
  summary: "Let the function have an error event",
  details:
    `Event codes of the machine, for example 0x02 (DMA address out of range) and 0x3a (service action): the
function is in the error state, accesses are EIO until a reset. 0x3b and 0x40 are permanent errors.`,
  args: { pec: argument(number("PEC", { min: 1, max: 0xff }), "event code") },
  options: { address: optional(number("ADDRESS"), "failing DMA address") },
  access: "write",
  examples: ["zpci event 0x3a"],
  run({ target }, { pec, address }) {
    const { fn } = target;
    if (LOGGED_ONLY.includes(pec)) fn.partition.errorEvent(fn, pec, address ?? 0, false);
    else if (fn.state !== "enabled" && fn.state !== "blocked") {
      throw new UsageError(`The function is ${fn.state}; only an enabled function has error events`);
    } else {
      fn.fail(pec, address ?? 0, true);
      if (PERMANENT.includes(pec)) fn.state = "permanent-error";
    }
    return { pec: hex(pec), ...stateOf(target) };
  },
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
