/** The machines of `conform`: every factor once, or all of them together. */
import { assertEquals } from "@std/assert";
import { defaultTopology, parseTopology } from "../../../lib/host/topology.ts";
import { REGION_LAYOUTS } from "../../../lib/vfio/region_layout.ts";
import { RELEASES } from "../../../lib/vfio/release.ts";
import { FACTORS, machines } from "./machines.ts";

Deno.test("one difference at a time: the reference, then each other value of each factor", () => {
  const found = machines(defaultTopology(), false);
  assertEquals(found[0], { name: "reference", topology: defaultTopology() });
  const values = FACTORS.reduce((sum, { values }) => sum + values.length - 1, 1);
  assertEquals(found.length, values);
  assertEquals(new Set(found.map(({ name }) => name)).size, values);
  assertEquals(new Set(found.map(({ topology }) => JSON.stringify(topology))).size, values, "all differ");
  const layouts = found.filter(({ name }) => name.startsWith("regionLayout=")).map(({ topology }) =>
    topology.kernel.regionLayout
  );
  assertEquals(layouts, REGION_LAYOUTS.slice(1));
});

Deno.test("all combinations: the product of all values, no two alike", () => {
  const found = machines(defaultTopology(), true);
  const product = FACTORS.reduce((product, { values }) => product * values.length, 1);
  assertEquals(found.length, product);
  assertEquals(new Set(found.map(({ topology }) => JSON.stringify(topology))).size, product);
});

Deno.test("what the reference has already is not run again, and what no factor names stays", () => {
  const { guests } = defaultTopology();
  const base = parseTopology({
    guests,
    kernel: { release: RELEASES[1] },
    machine: { maxstbl: 512 },
    seed: 7,
  });
  const names = machines(base, false).map(({ name }) => name);
  assertEquals(names.filter((name) => name.startsWith("release=")), [`release=${RELEASES[0]}`]);
  assertEquals(names.filter((name) => name.startsWith("maxstbl=")), ["maxstbl=4096", "maxstbl=128"]);
  assertEquals(machines(base, false).every(({ topology }) => topology.seed === 7), true);
});
