/** What the handlers of commands have in common: their types, and checks that more than one of them makes. */
import type { StructValue } from "../../base/struct.ts";
import { PEC } from "../../zpci/error_events.ts";
import { PAGE_SIZE, pageRound } from "../../zpci/storage.ts";
import type { CommandLayout, CommandName, COMMANDS } from "../protocol.ts";
import type { IsmAdapter } from "./adapter.ts";

/** A handler's answer: the return code, and on success the response's fields. */
type Answer<Layout> = Layout extends CommandLayout<infer _Request, infer Response>
  ? readonly [ret: number, fields?: Partial<StructValue<Response>>]
  : never;
type RequestOf<Layout> = Layout extends CommandLayout<infer Request, infer _Response> ? StructValue<Request>
  : never;

/** Handlers of some commands, or of all. */
export type Handlers<Names extends CommandName = CommandName> = {
  readonly [Name in Names]: (
    adapter: IsmAdapter,
    request: RequestOf<(typeof COMMANDS)[Name]>,
  ) => Answer<(typeof COMMANDS)[Name]>;
};

/** Page aligned; asked of all 64 bits, because the number that follows from them may be rounded. */
export function isPageAligned(address: bigint): boolean {
  return address % BigInt(PAGE_SIZE) === 0n;
}

/**
 * The device looks at the translations of a buffer that is being registered. An address that leads nowhere is an error
 * event and the error state, as seen on real machines when a token was taken for an address (ism.cmd.serial). Where the
 * topology discards such writes, the command is only refused.
 */
export function isReachable(adapter: IsmAdapter, iova: number, length: number): boolean {
  const { dma } = adapter.fn;
  for (let at = 0; at < pageRound(length); at += PAGE_SIZE) {
    if (dma.reaches(iova + at, Math.min(PAGE_SIZE, length - at))) continue;
    dma.fault(PEC.OUT_OF_RANGE, iova + at);
    return false;
  }
  return true;
}
