/** Choices of a topology (docs/fidelity.md): defaults, alternatives, refusals, and that the documents have them. */
import { assertEquals, assertMatch, assertThrows } from "@std/assert";
import { DEFAULT_ISM_OPTIONS, ISM_CHOICES } from "../ism/device/options.ts";
import { microsecondsSince1900 } from "../zpci/clock.ts";
import { DEFAULT_MACHINE_OPTIONS, MACHINE_CHOICES } from "../zpci/options.ts";
import { defaultTopology, parseTopology } from "./topology.ts";
import { TopologyError } from "./errors.ts";

const GUESTS = [{ name: "guest0", functions: [{ fid: 0x10, uid: 1 }] }];

/** Every choice between named values: section, name, values. */
const CHOICES = Object.entries({ ism: ISM_CHOICES, machine: MACHINE_CHOICES }).flatMap(([section, table]) =>
  Object.entries(table).map(([name, values]) => ({ section, name, values: values as readonly unknown[] }))
);

function chosen(section: string, name: string, value?: unknown): unknown {
  const options = value === undefined ? {} : { [section]: { [name]: value } };
  const topology = parseTopology({ guests: GUESTS, ...options }) as unknown as Record<string, object>;
  return (topology[section] as Record<string, unknown>)[name];
}

Deno.test.each(CHOICES)(
  "$section option $name: the first value is the default, and others are taken",
  (row) => {
    const { section, name, values } = row;
    assertEquals([values.length >= 2, chosen(section, name)], [true, values[0]]);
    for (const value of values) assertEquals(chosen(section, name, value), value);
  },
);

Deno.test.each(CHOICES)(
  "$section option $name refuses what is no value of it",
  ({ section, name, values }) => {
    for (const value of [`${values[0]}x`, "", 7, true, null, [values[0]], {}]) {
      const error = assertThrows(() => chosen(section, name, value), TopologyError);
      assertMatch(error.message, new RegExp(`^${section}\\.${name}: `));
    }
  },
);

Deno.test.each([
  { name: "bar2Size", good: [4096, "0x1000", 2 ** 31], bad: [2048, 4097, 12288, 2 ** 32, "4k"] },
  { name: "maxLength", good: [40, 4096], bad: [39, 4097, 40.5, -1] },
  { name: "ismState", good: [0, 2 ** 53 - 1, "0xffffffffffff"], bad: [-1, 2 ** 53, "one"] },
  { name: "responseDelay", good: [0, 1, 2 ** 31], bad: [-1, 0.5, 2 ** 31 + 1, true] },
  { name: "bar0Status", good: [1, 255], bad: [0, 256, "status"] },
  { name: "dmbNeedsSba", good: [true, false], bad: ["true", 1, null] },
])("ism.$name has its limits", ({ name, good, bad }) => {
  for (const value of good) {
    assertEquals(chosen("ism", name, value), typeof value === "string" ? Number(value) : value);
  }
  for (const value of bad) assertThrows(() => chosen("ism", name, value), TopologyError, `ism.${name}`);
});

Deno.test("the clock starts at a time that can be counted in whole microseconds", () => {
  const good = [
    "1900-01-01T00:00:00Z",
    "2184-12-31T23:59:59.999Z",
    "2026-01-01T00:00:00.123Z",
    "2026-01-01T02:00:00+02:00",
  ];
  for (const clock of good) {
    const { clock: taken } = parseTopology({ guests: GUESTS, clock });
    assertEquals([taken, Number.isSafeInteger(microsecondsSince1900(taken))], [clock, true]);
  }
  const bad = [
    "1899-12-31T23:59:59Z",
    "2185-01-01T00:00:00Z",
    "9999-12-31T23:59:59Z",
    "2026-13-01T00:00:00Z",
    "now",
    5,
    "",
  ];
  for (const clock of bad) {
    assertThrows(() => parseTopology({ guests: GUESTS, clock }), TopologyError, "clock: ");
  }
});

Deno.test("what a topology is refused with is short, however long the document is", () => {
  const long = "x".repeat(1_000_000);
  const deep = JSON.parse("[".repeat(50_000) + "]".repeat(50_000));
  for (const more of [{ clock: long }, { [long]: 1 }, { seed: deep }, { machine: { storeBlock: long } }]) {
    const { message } = assertThrows(() => parseTopology({ guests: GUESTS, ...more }), TopologyError);
    assertEquals(message.length <= 301, true, message);
  }
});

Deno.test("options that nobody knows are refused", () => {
  for (const section of ["ism", "machine", "kernel"]) {
    assertThrows(() => parseTopology({ guests: GUESTS, [section]: { tokenz: "random" } }), TopologyError);
  }
});

Deno.test("a topology's defaults are those of the device and of the machine", () => {
  const { ism, machine } = defaultTopology();
  assertEquals(ism, DEFAULT_ISM_OPTIONS);
  assertEquals({ ...machine, ...DEFAULT_MACHINE_OPTIONS }, machine);
});

Deno.test("the documents name every option of ism and machine, with its default and its other values", () => {
  const read = (name: string) => Deno.readTextFileSync(new URL(`../../docs/${name}`, import.meta.url));
  const [fidelity, topology] = [read("fidelity.md"), read("topology.md")];
  const { ism, machine } = defaultTopology();
  const names = Object.entries({ ism, machine }).flatMap(([section, options]) =>
    Object.keys(options).map((name) => `\`${section}.${name}\``)
  );
  assertEquals(names.filter((name) => !fidelity.includes(name)), [], "docs/fidelity.md");
  assertEquals(names.filter((name) => !topology.includes(name)), [], "docs/topology.md");
  for (const { section, name, values } of CHOICES) {
    const row = topology.split("\n").find((line) => line.includes(`\`${section}.${name}\``))!;
    for (const value of values) assertMatch(row, new RegExp(`\\b${value}\\b`), `${section}.${name}`);
  }
});
