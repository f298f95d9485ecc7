/** What is read of /proc, and numbers that follow from the system. */
import { assertEquals } from "@std/assert";
import { descriptorRange } from "./filter.ts";
import { mayLock, parseEventfdId, parseImage, parseLockLimit, parseProcessId } from "./proc_text.ts";

Deno.test("the process of a thread, the id of an eventfd", () => {
  assertEquals(parseProcessId("Name:\tx\nTgid:\t4711\nNgid:\t0\nPid:\t4712\n"), 4711);
  assertEquals(parseProcessId("Name:\tx\n"), undefined);
  assertEquals(
    parseEventfdId("pos:\t0\nflags:\t02004002\neventfd-count:                0\neventfd-id: 23\n"),
    23,
  );
  assertEquals(parseEventfdId("pos:\t0\nflags:\t02\n"), undefined);
});

Deno.test("a program's image is told by where it lies, whatever its name", () => {
  const stat = (name: string, start: number) => {
    const fields = Array.from({ length: 50 }, (_, i) => i < 22 ? 1 : start + i);
    return `4711 (${name}) S ${fields.join(" ")}`;
  };
  assertEquals(parseImage(stat("a", 1000)), parseImage(stat("b) S 9 (", 1000)));
  assertEquals(parseImage(stat("a", 1000)) === parseImage(stat("a", 2000)), false);
});

Deno.test("numbers of simulated files lie below 1024 and below the limit, a quarter of it at most", () => {
  const rows: readonly (readonly [limit: number, first: number, end: number])[] = [
    [20000, 800, 1024],
    [1024, 800, 1024],
    [1000, 776, 1000],
    [256, 192, 256],
    [16, 12, 16],
  ];
  for (const [limit, first, end] of rows) assertEquals(descriptorRange(limit, false), { first, end });
  assertEquals(descriptorRange(256, true), { first: 0, end: 0x7fff_ffff });
});

Deno.test("what a process may lock", () => {
  assertEquals(mayLock("CapPrm:\t0\nCapEff:\t000001ffffffffff\n"), true);
  assertEquals(mayLock("CapEff:\t0000000000004000\n"), true);
  assertEquals(mayLock("CapEff:\t0000000000008000\n"), false);
  assertEquals(mayLock(""), false);
  const row = (soft: string) =>
    `Limit  Soft Limit  Hard Limit\nMax locked memory         ${soft}   8388608   bytes\n`;
  assertEquals(parseLockLimit(row("8388608")), 8_388_608);
  assertEquals(parseLockLimit(row("unlimited")), Infinity);
});
