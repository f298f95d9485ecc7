/** Numbers as bytes in memory. */
import { hex } from "../../lib/base/hex.ts";
import type { ByteOrder } from "./hexdump.ts";
import { UsageError } from "../language/usage_error.ts";
import { plural } from "./units.ts";

/** The `width` bytes of a value. @throws {UsageError} if it does not fit */
export function valueBytes(value: bigint, width: number, endian: ByteOrder): Uint8Array {
  if (value >= 1n << BigInt(width * 8)) {
    throw new UsageError(`${hex(value)} does not fit ${plural(width, "byte")}`);
  }
  const bytes = Uint8Array.fromHex(value.toString(16).padStart(width * 2, "0"));
  return endian === "big" ? bytes : bytes.reverse();
}
