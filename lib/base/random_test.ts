/** Reference outputs of SplitMix64 for seed 0, as published with its C source. */
import { assertEquals } from "@std/assert";
import { SPLIT_MIX_STEP, splitMix64 } from "./random.ts";

Deno.test("splitMix64() gives the published sequence for seed 0", () => {
  const published = [0xe220a8397b1dcdafn, 0x6e789e6aa1b965f4n, 0x06c45d188009454fn, 0xf88bb8a8724c81ecn];
  const given = published.map((_, i) => splitMix64(BigInt.asUintN(64, BigInt(i) * SPLIT_MIX_STEP)));
  assertEquals(given, published);
});
