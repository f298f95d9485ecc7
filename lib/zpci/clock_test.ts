/** Facts, ism.event.time: the TOD clock counts microseconds times 4096 since 1900. */
import { assertEquals } from "@std/assert";
import { Clock, microsecondsSince1900 } from "./clock.ts";

Deno.test("tod is 0x7d91048bca000000 at the Unix epoch, as in arch/s390/include/asm/timex.h", () => {
  assertEquals(new Clock(microsecondsSince1900("1970-01-01T00:00:00Z")).tod, 0x7d91048bca000000n);
});

Deno.test("advance() moves tod by 4096 a microsecond, without rounding in this century", () => {
  const clock = new Clock(microsecondsSince1900("2042-09-17T23:53:47Z"));
  const before = clock.tod;
  clock.advance(1);
  assertEquals(clock.tod - before, 4096n);
});

Deno.test("microsecondsSince1900() is NaN for text that is no date", () => {
  assertEquals(microsecondsSince1900("tomorrow"), NaN);
});
