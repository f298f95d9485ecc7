/** Structs for people and JSON: fields under the names of the field, numbers and bytes as hexadecimal text. */
import { hex } from "../../lib/base/hex.ts";
import { snakeCase } from "../../lib/base/names.ts";
import type { FieldRow, Struct } from "../../lib/base/struct.ts";

/** The fields of a struct that lies in `bytes` at `at`. */
export function structFields(
  struct: Struct<Record<string, FieldRow>>,
  bytes: Uint8Array,
  at = 0,
): Record<string, string> {
  const shown = Object.entries(struct.decode(bytes, at)).map(([name, value]) => {
    return [snakeCase(name), value instanceof Uint8Array ? value.toHex() : hex(value)];
  });
  return Object.fromEntries(shown);
}
