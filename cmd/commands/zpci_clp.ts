/** CLP with any request, and Set PCI Function behind the kernel's back. */
import { hex } from "../../lib/base/hex.ts";
import { defineStruct, type FieldRow, type Struct } from "../../lib/base/struct.ts";
import type { HostFunction } from "../../lib/host/host.ts";
import { clpBlock } from "../../lib/vfio/s390/pci_clp.ts";
import { MachineError } from "../../lib/zpci/answer.ts";
import * as clp from "../../lib/zpci/clp.ts";
import { argument, defineCommand, optional } from "../language/command.ts";
import { choice, DATA, number } from "../language/kinds.ts";
import { structFields } from "../language/struct_fields.ts";
import type { DataSource } from "../language/data.ts";
import { UsageError } from "../language/usage_error.ts";
import { stateOf } from "./zpci.ts";
import { issue } from "./zpci_controls.ts";

type AnyStruct = Struct<Record<string, FieldRow>>;
const REQUEST_BYTES = 32;
const HEADER_BYTES = 16;
/** A block of which only the header is understood. */
const HEADER_ONLY: AnyStruct = defineStruct("be", HEADER_BYTES, {});
const LIST_RESPONSE_BYTES = 4064;
/** Room for the longest request and the longest response, legal or not. */
const MOST_BLOCK_BYTES = 2 * 65536;

/** Executes a CLP command: the blocks as they lie in storage, and what came back. */
function execute(target: HostFunction, code: number, request: Uint8Array, responseLength: number) {
  const block = clpBlock(code, responseLength);
  block.set(request.subarray(16, REQUEST_BYTES), 16);
  return executeBlock(target, block, REQUEST_BYTES);
}

/** Executes what lies in `block`: a request of that length, the response area behind it. @throws {MachineError} */
function executeBlock(target: HostFunction, block: Uint8Array, requestLength: number) {
  const sent = block.slice(0, requestLength);
  let cc = 0;
  issue("CLP", target, () => {
    cc = clp.clp(target.guest.partition, block);
    return 0;
  });
  const header = clp.CLP_HEADER.decode(block, requestLength);
  return {
    cc,
    response: header.code,
    sent,
    received: block.slice(requestLength, requestLength + header.length),
  };
}

/** A request as the user wrote it, with a response area of that length, in storage of the size that the rules allow. */
function rawBlock(request: Uint8Array, responseLength: number): Uint8Array {
  const block = new Uint8Array(MOST_BLOCK_BYTES);
  block.set(request);
  clp.CLP_HEADER.encode({ length: responseLength }, block, request.length);
  return block;
}

/** A block's header with its own names, then the fields of its struct. */
function blockFields(
  struct: AnyStruct,
  bytes: Uint8Array,
  code: "command" | "response",
): Record<string, string> {
  const header = clp.CLP_HEADER.decode(bytes);
  return {
    length: String(header.length),
    [code]: hex(header.code, 4),
    format: hex(header.format),
    ...structFields(struct, bytes),
  };
}

/** Request and response of each kind. */
const CLP_REQUESTS = {
  list: {
    code: clp.CLP.LIST_PCI,
    request: clp.LIST_REQUEST,
    response: clp.LIST_RESPONSE,
    responseLength: LIST_RESPONSE_BYTES,
  },
  function: {
    code: clp.CLP.QUERY_FUNCTION,
    request: clp.QUERY_FUNCTION_REQUEST,
    response: clp.QUERY_FUNCTION_RESPONSE,
    responseLength: clp.QUERY_FUNCTION_RESPONSE.size,
  },
  group: {
    code: clp.CLP.QUERY_GROUP,
    request: clp.QUERY_GROUP_REQUEST,
    response: clp.QUERY_GROUP_RESPONSE,
    responseLength: clp.QUERY_GROUP_RESPONSE.size,
  },
} as const;

function listed(response: Uint8Array): Record<string, string>[] {
  const entries: Record<string, string>[] = [];
  for (let at = clp.LIST_RESPONSE.size; at < response.length; at += clp.LIST_ENTRY.size) {
    entries.push(structFields(clp.LIST_ENTRY as unknown as AnyStruct, response, at));
  }
  return entries;
}

function fieldLines(fields: Record<string, string>): string {
  return Object.entries(fields).map(([name, value]) => `  ${name.padEnd(14)} ${value}\n`).join("");
}

function needed(block: DataSource | undefined): DataSource {
  if (block !== undefined) return block;
  throw new UsageError("zpci clp raw: DATA is missing: the request block, 32 bytes for every PCI request");
}

/** A request whose fields nobody looks at on this side. */
function rawRequest(target: HostFunction, given: Uint8Array, room: number) {
  if (given.length < HEADER_BYTES || given.length > 0xffff) {
    throw new UsageError(
      `A request has a header of 16 bytes, and at most 65535 in all; this is ${given.length}`,
    );
  }
  const { cc, response, sent, received } = executeBlock(target, rawBlock(given, room), given.length);
  return {
    cc,
    response: hex(response, 4),
    length: received.length,
    request: { fields: blockFields(HEADER_ONLY, sent, "command"), data: sent.toHex() },
    fields: blockFields(HEADER_ONLY, received, "response"),
    entries: [],
    data: received.toHex(),
  };
}

export const zpciClp = defineCommand({
  name: "zpci clp",
  group: "host",
  summary: "Execute a CLP request and show request and response blocks field by field",
  details:
    `Response codes: 0x0010 done, 0x0101 unknown handle, 0x010b unknown group. --fh and --pfgid ask for another
function or group than the one that --device names. "raw" takes the whole request as DATA, so that any command, length
and reserved field can be tried: Set PCI Function among them, behind the kernel's back.`,
  args: {
    request: argument(
      choice("REQUEST", ["list", "function", "group", "raw"]),
      "list, function, group or raw",
    ),
    block: optional(DATA, "the request block, for raw"),
  },
  options: {
    responseLength: optional(number("BYTES", { max: 0xffff }), "length of the response area"),
    fh: optional(number("FH", { max: 0xffff_ffff }), "function handle, for function"),
    pfgid: optional(number("PFGID", { max: 0xff }), "function group, for group"),
  },
  access: "write",
  examples: [
    "zpci clp list",
    "zpci clp function",
    "zpci clp function --fh 0x1",
    "zpci clp group --raw",
    "zpci clp raw hex:0020_0004_0000_0000_0000_0000_0000_0000_0000_0008_0000_0000_0000_0000_0000_0000 --response-length 64",
  ],
  run({ target, load }, { request, block, fh, pfgid, responseLength: room }) {
    if (request === "raw") return rawRequest(target, load(needed(block)), room ?? LIST_RESPONSE_BYTES);
    if (block !== undefined) {
      throw new UsageError(`DATA is for "raw"; "${request}" makes its own block`, { token: block.text });
    }
    const { code, request: asked, response: answered, responseLength } = CLP_REQUESTS[request];
    const given = request === "function"
      ? clp.QUERY_FUNCTION_REQUEST.encode({ fh: fh ?? target.fn.fh })
      : request === "group"
      ? clp.QUERY_GROUP_REQUEST.encode({ pfgid: pfgid ?? target.fn.group.pfgid })
      : new Uint8Array(REQUEST_BYTES);
    const { cc, response, sent, received } = execute(target, code, given, room ?? responseLength);
    return {
      cc,
      response: hex(response, 4),
      length: received.length,
      request: { fields: blockFields(asked as unknown as AnyStruct, sent, "command"), data: sent.toHex() },
      fields: blockFields(answered as unknown as AnyStruct, received, "response"),
      entries: request === "list" ? listed(received) : [],
      data: received.toHex(),
    };
  },
  text({ cc, response, request, fields, entries }) {
    let text = `request\n${fieldLines(request.fields)}cc ${cc}, response ${response}\n${fieldLines(fields)}`;
    for (const entry of entries) {
      text += `  entry          ${
        Object.entries(entry).map(([name, value]) => `${name} ${value}`).join("  ")
      }\n`;
    }
    return text;
  },
  raw: ({ data }) => Uint8Array.fromHex(data),
});

/** Set PCI Function, behind the kernel's back: its handle is stale then. @throws {MachineError} */
function setFunction(target: HostFunction, operation: number, dmaSpaces: number) {
  const request = clp.SET_FUNCTION_REQUEST.encode({ fh: target.fn.fh, operation, dmaSpaces });
  const { response } = execute(target, clp.CLP.SET_FUNCTION, request, clp.SET_FUNCTION_RESPONSE.size);
  if (response !== clp.CLP_RESPONSE.OK) {
    throw new MachineError(
      `Set PCI Function answered response code ${hex(response, 4)}: the function is ${target.fn.state}`,
      "zpci.setfn.rules",
      { response },
    );
  }
  return { response: hex(response, 4), ...stateOf(target) };
}

export const zpciEnable = defineCommand({
  name: "zpci enable",
  group: "host",
  summary: "Enable the function by Set PCI Function; its handle changes",
  args: {},
  options: {},
  access: "write",
  examples: ["expect MACHINE zpci enable"],
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
