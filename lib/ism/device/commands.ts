/**
 * The command engine of BAR 2: from a header to a response. The table of commands is in protocol.ts (ism.cmd.table),
 * what each does in the files that begin with commands_.
 */
import type { FieldRow, StructValue } from "../../base/struct.ts";
import {
  type CommandLayout,
  commandName,
  COMMANDS,
  HEADER_BYTES,
  REQUEST_CODE,
  REQUEST_LENGTH,
  RESPONSE_CODE,
  RESPONSE_LENGTH,
  RESPONSE_RET,
  RET,
} from "../protocol.ts";
import type { IsmAdapter } from "./adapter.ts";
import type { Handlers } from "./command_handlers.ts";
import { DMB_COMMANDS } from "./commands_dmb.ts";
import { PEER_COMMANDS } from "./commands_peer.ts";
import { SETUP_COMMANDS } from "./commands_setup.ts";
import { VLAN_COMMANDS } from "./commands_vlan.ts";
import type { IsmOptions } from "./options.ts";

const HANDLERS: Handlers = { ...SETUP_COMMANDS, ...DMB_COMMANDS, ...VLAN_COMMANDS, ...PEER_COMMANDS };

/** Whether a header may have a length for a command of `documented` bytes (ism.cmd.length). */
const LENGTH_FITS: Readonly<
  Record<IsmOptions["headerLength"], (length: number, documented: number) => boolean>
> = {
  documented: (length, documented) => length === documented,
  any: (length) => length >= HEADER_BYTES,
};

/** What a failure answers (ism.cmd.codes). */
const FAILURE_CODES: Readonly<Record<IsmOptions["returnCodes"], (ret: number) => number>> = {
  private: (ret) => ret,
  one: () => RET.FAILED,
};

/** Runs the command whose header and payload lie in the command area; the response takes their place. */
export function executeCommand(adapter: IsmAdapter): void {
  adapter.touch();
  const { options, commandArea } = adapter;
  const code = REQUEST_CODE.get(commandArea, 0);
  const length = REQUEST_LENGTH.get(commandArea, 0);
  const name = commandName(code);
  if (name === undefined) return refuse(adapter, code, RET.UNKNOWN_COMMAND);
  const layout: CommandLayout = COMMANDS[name];
  if (length > options.maxLength || !LENGTH_FITS[options.headerLength](length, layout.request.size)) {
    return refuse(adapter, code, RET.BAD_LENGTH, name);
  }
  const handler = HANDLERS[name] as (
    adapter: IsmAdapter,
    request: StructValue<Record<string, FieldRow>>,
  ) => readonly [number, Partial<StructValue<Record<string, FieldRow>>>?];
  const [ret, fields = {}] = handler(adapter, layout.request.decode(commandArea));
  // A function that the command put into the error state answers nothing.
  if (adapter.failed) return;
  if (ret !== RET.OK) return refuse(adapter, code, ret, name);
  const { size } = layout.response;
  commandArea.fill(0, 0, size);
  layout.response.encode(fields, commandArea);
  writeHeader(commandArea, code, ret, size);
  adapter.trace("command", () => ({ command: name, ret }));
}

/** A failed command answers with a bare header. */
function refuse(adapter: IsmAdapter, code: number, reason: number, name = "unknown"): void {
  const ret = FAILURE_CODES[adapter.options.returnCodes](reason);
  writeHeader(adapter.commandArea, code, ret, HEADER_BYTES);
  adapter.trace("command", () => ({ command: name, code, ret }));
}

function writeHeader(area: Uint8Array, code: number, ret: number, length: number): void {
  RESPONSE_CODE.set(area, 0, code);
  RESPONSE_RET.set(area, 0, ret);
  RESPONSE_LENGTH.set(area, 0, length);
}
