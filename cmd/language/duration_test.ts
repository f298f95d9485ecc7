import { assertEquals, assertMatch, assertThrows } from "@std/assert";
import { parseDuration } from "./duration.ts";
import { UsageError } from "./usage_error.ts";

const TIMES: readonly (readonly [text: string, seconds: number])[] = [
  ["0", 0],
  ["10", 10],
  ["0x10", 16],
  ["0.5", 0.5],
  ["0.000001", 0.000001],
  ["10.250000", 10.25],
  ["99.999999", 99.999999],
  ["100", 100],
  ["100.0", 100],
  ["500ms", 0.5],
  ["0.5ms", 0.0005],
  ["0.001ms", 0.000001],
  ["1us", 0.000001],
  ["2s", 2],
  ["1.5m", 90],
  ["1min", 60],
  ["100s", 100],
  ["0h", 0],
  ["0.0000000h", 0],
];
for (const [text, seconds] of TIMES) {
  Deno.test(`parseDuration() reads ${text}`, () =>
    assertEquals(parseDuration(text, "timeout", 100), seconds));
}
Deno.test("parseDuration() reads hours", () => assertEquals(parseDuration("1h", "timeout", 86_400), 3600));

const NO_TIMES: readonly (readonly [text: string, message: RegExp])[] = [
  ["100.000001", /is too large; the most is 100 seconds$/],
  ["101", /is too large; the most is 100 seconds$/],
  ["101s", /is too large; the most is 100 seconds$/],
  ["2m", /is too large; the most is 100 seconds$/],
  ["9".repeat(100) + "h", /is too large; the most is 100 seconds$/],
  ["0.0000001", /is finer than a microsecond/],
  ["0.0001ms", /is finer than a microsecond/],
  ["0.5us", /is finer than a microsecond/],
  ["0." + "1".repeat(300), /is too long for a number$/],
  [".", /is not a time; try 0$/],
  [".5", /is not a time; try 0\.5$/],
  ["5.", /is not a time; try 5$/],
  ["01.5", /is not a time; try 1\.5$/],
  ["1.5k", /is not a time; try 10, 0\.5, 500ms, 3m or 1h$/],
  ["1d", /is not a time; the longest unit is h, try 24h$/],
  ["5 sec", /is not a time; the units are us, ms, s, m and h, try 5s$/],
  ["2Hours", /try 2h$/],
  ["1M", /try 1m$/],
  ["-0.5", /a time has no sign here$/],
  ["1.5.2", /is not a time/],
  ["ms", /is not a time/],
  ["", /is not a time/],
];
for (const [text, message] of NO_TIMES) {
  Deno.test(`parseDuration() refuses "${text.slice(0, 12)}"`, () => {
    assertMatch(assertThrows(() => parseDuration(text, "timeout", 100), UsageError).message, message);
  });
}
