import { assertEquals } from "@std/assert";
import fc from "fast-check";
import { remainder } from "./bits.ts";

Deno.test("remainder() is that of a division, for all offsets there are and every power of two", () => {
  fc.assert(
    fc.property(fc.maxSafeNat(), fc.integer({ min: 0, max: 30 }), (value, exponent) => {
      assertEquals(remainder(value, 2 ** exponent), value % 2 ** exponent);
    }),
  );
  for (
    const value of [0, 2 ** 31 - 1, 2 ** 31, 2 ** 32 - 1, 2 ** 32, 2 ** 48 + 4095, Number.MAX_SAFE_INTEGER]
  ) {
    for (let exponent = 0; exponent <= 30; exponent++) {
      assertEquals(remainder(value, 2 ** exponent), value % 2 ** exponent);
    }
  }
});
