/** The line of progress fits any terminal, and says what it can. */
import { assert, assertEquals } from "@std/assert";
import { progressLine } from "./progress.ts";
import { displayWidth } from "./diagnostic.ts";

const MIB = 1024 * 1024;
const HALF = { done: 20 * MIB, total: 40 * MIB, unit: "bytes", perSecond: 2 * MIB, seconds: 10 } as const;
const at = (columns: number, unicode = false) => ({ columns, unicode });

Deno.test("a line has a bar, how much of how much, rate and time left", () => {
  assertEquals(
    progressLine(HALF, at(80)),
    `[${"#".repeat(20)}${" ".repeat(20)}] 20 MiB of 40 MiB  2 MiB/s  0:10 left`,
  );
  assertEquals(
    progressLine({ done: 30, total: 40, unit: "line", perSecond: 0.25, seconds: 120 }, at(60)),
    `[${"#".repeat(18)}${" ".repeat(6)}] 30 of 40 lines  0.3/s  0:40 left`,
  );
  assertEquals(progressLine(HALF, at(40)), "20 MiB of 40 MiB  2 MiB/s  0:10 left");
  assertEquals(progressLine(HALF, at(36)), "20 MiB of 40 MiB  0:10 left");
  assertEquals(progressLine(HALF, at(20)), "20 MiB of 40 MiB");
  assert(progressLine(HALF, at(80, true)).startsWith("[████████████████████░░"));
});

Deno.test("without a total there is the time that has passed", () => {
  const line = progressLine({ ...HALF, total: undefined, seconds: 3723 }, at(80));
  assertEquals(line, "20 MiB  2 MiB/s  1:02:03 so far");
  const lines = { done: 1, total: undefined, unit: "page", perSecond: undefined, seconds: 1 };
  assertEquals(progressLine(lines, at(80)), "1 page  0:01 so far");
});

Deno.test("no line reaches the last column of the terminal, and nothing is divided by nothing", () => {
  for (let columns = 20; columns <= 200; columns++) {
    for (const unicode of [false, true]) {
      for (const done of [0, 1, 20 * MIB, 40 * MIB, 50 * MIB]) {
        for (const perSecond of [undefined, 0, 1, 1e9]) {
          const line = progressLine({ ...HALF, done, perSecond }, at(columns, unicode));
          assert(displayWidth(line) < columns, line);
          assert(!/NaN|Infinity|-\d/.test(line), line);
        }
      }
      assertEquals(progressLine({ ...HALF, done: 0, total: 0 }, at(80)).includes("NaN"), false);
    }
  }
});
