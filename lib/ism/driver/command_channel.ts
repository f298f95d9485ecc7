/**
 * The command channel of an ISM function from the driver's side: payload first, header second (which starts the
 * command), then the response. One command at a time. Facts: ism.cmd.sequence (drivers/s390/net/ism_drv.c: ism_cmd).
 */
import type { FieldRow, StructValue } from "../../base/struct.ts";
import {
  COMMAND_BAR,
  type CommandLayout,
  type CommandName,
  COMMANDS,
  HEADER_BYTES,
  NO_ANSWER,
  REQUEST_CODE,
  REQUEST_LENGTH,
  RESPONSE_LENGTH,
  RESPONSE_RET,
} from "../protocol.ts";
import type { VfioDescriptor } from "./descriptor.ts";
import { ErrnoError } from "../../vfio/errno.ts";
import { CommandError } from "./errors.ts";

/** Linux reads the response in doublewords without a bounds check; no command answers with more than this. */
const RESPONSE_LIMIT = 4096;
const NO_PAYLOAD = new Uint8Array(0);

/** The bytes of a response, header included, and its return code. */
export interface RawResponse {
  readonly ret: number;
  readonly bytes: Uint8Array;
}

/** Sends commands over BAR 2. */
export class CommandChannel {
  readonly #descriptor: VfioDescriptor;
  /** Request and response headers, used again by every command. */
  readonly #header = new Uint8Array(HEADER_BYTES);

  constructor(descriptor: VfioDescriptor) {
    this.#descriptor = descriptor;
  }

  /**
   * Any command: payload of `payload.length` bytes at offset 8, then the header.
   *
   * @throws {ErrnoError} what the kernel refuses with; nothing is sent after a refused payload
   */
  raw(code: number, payload: Uint8Array): RawResponse {
    if (payload.length > 0) this.#descriptor.write(COMMAND_BAR, HEADER_BYTES, payload);
    const header = this.#header;
    header.fill(0);
    REQUEST_CODE.set(header, 0, code);
    REQUEST_LENGTH.set(header, 0, HEADER_BYTES + payload.length);
    this.#descriptor.write(COMMAND_BAR, 0, header);
    // What is still in the buffer when nothing was read: a driver takes it for "no answer" (ism.cmd.preset).
    header.fill(0);
    RESPONSE_RET.set(header, 0, NO_ANSWER);
    this.#descriptor.read(COMMAND_BAR, 0, HEADER_BYTES, header);
    const ret = RESPONSE_RET.get(header, 0);
    const length = RESPONSE_LENGTH.get(header, 0);
    if (ret !== 0 || length <= HEADER_BYTES || length > RESPONSE_LIMIT) return { ret, bytes: header.slice() };
    const bytes = new Uint8Array(length);
    for (let i = 0; i < HEADER_BYTES; i++) bytes[i] = header[i]!;
    this.#descriptor.read(COMMAND_BAR, HEADER_BYTES, length - HEADER_BYTES, bytes, HEADER_BYTES);
    return { ret, bytes };
  }

  /**
   * A command of the protocol's table.
   *
   * @throws {CommandError} if the device answers a return code other than 0
   * @throws {ErrnoError} what the kernel refuses with
   */
  send<Name extends CommandName>(
    name: Name,
    fields: RequestFields<(typeof COMMANDS)[Name]>,
  ): ResponseFields<(typeof COMMANDS)[Name]> {
    const layout: CommandLayout = COMMANDS[name];
    const payload = layout.request.size === HEADER_BYTES
      ? NO_PAYLOAD
      : layout.request.encode(fields as Partial<StructValue<Record<string, FieldRow>>>).subarray(
        HEADER_BYTES,
      );
    const { ret, bytes } = this.raw(layout.code, payload);
    if (ret !== 0) throw new CommandError(name, ret);
    return layout.response.decode(bytes) as ResponseFields<(typeof COMMANDS)[Name]>;
  }

  /** As {@linkcode send} for unregistering: no answer counts as done (ism.cmd.preset). @returns the return code */
  unregister<Name extends CommandName>(name: Name, fields: RequestFields<(typeof COMMANDS)[Name]>): number {
    try {
      this.send(name, fields);
      return 0;
    } catch (error) {
      if (error instanceof CommandError) return error.ret;
      if (error instanceof ErrnoError) return NO_ANSWER;
      throw error;
    }
  }
}

type RequestFields<Layout> = Layout extends CommandLayout<infer Request, infer _Response>
  ? Partial<StructValue<Request>>
  : never;
type ResponseFields<Layout> = Layout extends CommandLayout<infer _Request, infer Response>
  ? StructValue<Response>
  : never;
