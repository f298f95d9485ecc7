/**
 * Capability chains behind an info struct. Facts: vfio.info.chain and vfio.type1.structs (drivers/vfio/vfio_main.c:
 * vfio_info_cap_add, vfio_info_cap_shift).
 */
import { CAP_HEADER } from "./uapi.ts";
import { copyToUser } from "./process/user_memory.ts";

/** Lays capabilities out behind a struct of `structSize` bytes and links them; each is padded to 8 bytes already. */
export function linkCapabilities(parts: readonly Uint8Array[], structSize: number): Uint8Array {
  const chain = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    const next = at + part.length;
    if (next < chain.length) CAP_HEADER.encode({ next: structSize + next }, part);
    chain.set(part, at);
    at = next;
  }
  return chain;
}

/** What an info struct says about its chain. */
export interface ChainFields {
  /** The caller's, or what the caller needs if the chain does not fit. */
  readonly argsz: number;
  /** 0 if the chain does not fit, or there is none. */
  readonly capOffset: number;
}

/**
 * Copies a struct and its chain out. A chain that does not fit is no error: argsz then says what it needs.
 *
 * @param encode gives the struct with the fields that the chain decides
 */
export function copyInfo(
  arg: Uint8Array,
  argsz: number,
  structSize: number,
  chain: Uint8Array,
  encode: (fields: ChainFields) => Uint8Array,
): void {
  const needed = structSize + chain.length;
  const fits = argsz >= needed;
  if (fits) copyToUser(arg, structSize, chain, 0, chain.length);
  const info = encode({
    argsz: fits || chain.length === 0 ? argsz : needed,
    capOffset: fits && chain.length > 0 ? structSize : 0,
  });
  copyToUser(arg, 0, info, 0, Math.min(argsz, structSize));
}
