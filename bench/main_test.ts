/** Each benchmark runs once, as small as can be, so that none of them rots. */
import { assert, assertEquals, assertMatch } from "@std/assert";
import { atLeast, atMost, type Figure, isReached, median, TINY } from "./figure.ts";
import { drawGrowth, measureGrowth } from "./growth.ts";
import { GROUPS, renderFigures } from "./main.ts";

for (const [group, measure] of Object.entries(GROUPS)) {
  Deno.test(`the figures of "${group}" can be measured`, async () => {
    const figures = await measure(TINY);
    assert(figures.length > 0);
    for (const { name, value } of figures) assert(!Number.isNaN(value) && value !== undefined, name);
  });
}

Deno.test("growth can be measured and drawn", async () => {
  const svg = drawGrowth(await measureGrowth(TINY));
  assertMatch(svg, /^<svg [^]*<polyline [^]*<\/svg>\n$/);
  assertEquals(svg.match(/<polyline/g)?.length, 3);
});

Deno.test("a figure reaches its goal at the limit, and not beyond it", () => {
  const figure = (value: number, goal: Figure["goal"]): Figure => ({
    name: "it",
    shown: "",
    floor: "",
    value,
    goal,
  });
  assertEquals([isReached(figure(2, atMost(2))), isReached(figure(2.01, atMost(2)))], [true, false]);
  assertEquals([isReached(figure(2, atLeast(2))), isReached(figure(1.99, atLeast(2)))], [true, false]);
  assertEquals(isReached(figure(9, undefined)), true);
  assertEquals(median([5, 1, 9]), 5);
  const table = renderFigures([
    figure(3, atMost(2)),
    figure(1500, atLeast(1000, "/s")),
    figure(3, undefined),
  ]);
  assertEquals(table.split("\n").map((line) => line.slice(0, 2)), ["  ", "--", "ok", "  "]);
});
