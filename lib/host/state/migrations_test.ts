/** Steps between formats of saved state: new fields and rows come where they belong, and nothing else changes. */
import { assertEquals, assertThrows } from "@std/assert";
import type { Json } from "../../base/json.ts";
import {
  FORMAT,
  migrate,
  MigrationError,
  type NewField,
  OLDEST_FORMAT,
  type Step,
  STEPS,
} from "./migrations.ts";

const OLD: Readonly<Record<string, Json>> = {
  topology: { ism: { version: 2 }, guests: [] },
  clock: 5,
  "guest/0/kernel": { files: [{ fd: 3, kind: "device" }, { fd: 4, kind: "group" }], devices: [] },
  "guest/1/kernel": { files: [], devices: [{ fid: 1, config: null }, { fid: 2, config: { shadow: "00" } }] },
  "adapter/16": { statistics: { ieqOverflows: 2 }, vlans: [] },
  "adapter/17": { statistics: { ieqOverflows: 0, sent: 9 }, vlans: [7] },
};

function taken(fields: readonly NewField[], rows: Step["rows"] = []): Record<string, Json> {
  return Object.fromEntries(migrate(new Map(Object.entries(OLD)), 1, [{ to: 2, fields, rows }]));
}

const [kernel0, kernel1] = [OLD["guest/0/kernel"] as object, OLD["guest/1/kernel"] as object];

Deno.test.each<{ what: string; field: NewField; changed: Readonly<Record<string, Json>> }>([
  {
    what: "a field of one row",
    field: ["topology", "ism.tokens", "random"],
    changed: { topology: { ism: { version: 2, tokens: "random" }, guests: [] } },
  },
  {
    what: "a field of rows of a kind, where it is not there yet",
    field: ["adapter/*", "statistics.sent", 0],
    changed: { "adapter/16": { statistics: { ieqOverflows: 2, sent: 0 }, vlans: [] } },
  },
  {
    what: "a field of every element of a list",
    field: ["guest/*/kernel", "files[].flags", 2],
    changed: {
      "guest/0/kernel": {
        ...kernel0,
        files: [{ fd: 3, kind: "device", flags: 2 }, { fd: 4, kind: "group", flags: 2 }],
      },
    },
  },
  {
    what: "a field of an object that may be null",
    field: ["guest/*/kernel", "devices[].config.mask", "ff"],
    changed: {
      "guest/1/kernel": {
        ...kernel1,
        devices: [{ fid: 1, config: null }, { fid: 2, config: { shadow: "00", mask: "ff" } }],
      },
    },
  },
  {
    what: "a field that follows from the others",
    field: ["guest/*/kernel", "files[].name", ({ kind }) => `/dev/${kind}`],
    changed: {
      "guest/0/kernel": {
        ...kernel0,
        files: [{ fd: 3, kind: "device", name: "/dev/device" }, { fd: 4, kind: "group", name: "/dev/group" }],
      },
    },
  },
  { what: "a field of a row that no older host has", field: ["journal/*", "x", 1], changed: {} },
  { what: "a field of an object that no older host has", field: ["adapter/*", "extra.deep", 1], changed: {} },
])("a step adds $what", ({ field, changed }) => {
  assertEquals(taken([field]), { ...OLD, ...changed });
});

Deno.test("a step adds rows, one for each row of a kind", () => {
  const rows = [
    { key: "sessions", beside: "clock", value: [] },
    { key: "log/*", beside: "adapter/*", value: { lines: 0 } },
    { key: "guest/*/log", beside: "guest/*/kernel", value: 1 },
    { key: "never/*", beside: "guest/*", value: 1 },
  ];
  assertEquals(taken([["log/*", "size", 3]], rows), {
    ...OLD,
    sessions: [],
    "log/16": { lines: 0, size: 3 },
    "log/17": { lines: 0, size: 3 },
    "guest/0/log": 1,
    "guest/1/log": 1,
  });
});

Deno.test("a host goes through the steps that it has not seen, and no others", () => {
  const steps = [2, 3, 4].map((to): Step => ({ to, fields: [["topology", `step${to}`, to]], rows: [] }));
  for (const from of [1, 2, 3, 4]) {
    const topology = migrate(new Map([["topology", {}]]), from, steps).get("topology");
    assertEquals(
      Object.keys(topology as object),
      [2, 3, 4].filter((to) => to > from).map((to) => `step${to}`),
    );
  }
});

Deno.test.each<{ field: NewField }>([
  { field: ["clock", "zone", 0] },
  { field: ["topology", "guests.name", 0] },
  { field: ["adapter/*", "vlans[].flags", 0] },
  { field: ["adapter/*", "statistics[].flags", 0] },
])("a row that is not what its format says ends the step: $field", ({ field }) => {
  const before = structuredClone(OLD);
  assertThrows(() => taken([field]), MigrationError);
  assertEquals(OLD, before);
});

Deno.test("the steps lead from the oldest format to this one, one at a time", () => {
  assertEquals(
    STEPS.map(({ to }) => to),
    Array.from({ length: FORMAT - OLDEST_FORMAT }, (_, i) => OLDEST_FORMAT + 1 + i),
  );
});
