/** Schemas follow the interfaces of saved state in both directions: what differs does not compile. */
import { assertEquals } from "@std/assert";
import * as v from "valibot";
import { COUNT, everyKind, everyWord, FLAG, object, optional, TEXT } from "./schema_values.ts";

interface Saved {
  readonly count: number;
  readonly name?: string;
}

const SAVED = object<Saved>({ count: COUNT, name: optional(TEXT) });

Deno.test("a schema that lacks a field, has one too many, or another type does not compile", () => {
  // @ts-expect-error -- a field is missing
  object<Saved>({ count: COUNT });
  // @ts-expect-error -- the interface has no such field
  object<Saved>({ count: COUNT, name: optional(TEXT), more: FLAG });
  // @ts-expect-error -- another type
  object<Saved>({ count: FLAG, name: optional(TEXT) });
  // @ts-expect-error -- the field may be absent
  object<Saved>({ count: COUNT, name: TEXT });
  // @ts-expect-error -- a word is missing
  everyWord<"a" | "b">({ a: true });
  type Kinds = { readonly kind: "a" } | { readonly kind: "b" };
  const a = object<{ readonly kind: "a" }>({ kind: v.literal("a") });
  // @ts-expect-error -- a kind is missing
  const kinds = everyKind<Kinds>({ a });
  assertEquals([{ kind: "a" }, { kind: "b" }, 5, null].map((value) => v.is(kinds, value)), [
    true,
    false,
    false,
    false,
  ]);
});

Deno.test.each([
  [{ count: 0 }, true],
  [{ count: 2 ** 53 - 1, name: "" }, true],
  [{ count: 2 ** 53 }, false],
  [{ count: -1 }, false],
  [{ count: 0.5 }, false],
  [{ count: "0" }, false],
  [{ count: 0, name: null }, false],
  [{ count: 0, more: 1 }, false],
  [{ name: "" }, false],
  [[0], false],
  [[], false],
  [null, false],
])("an object of saved state: %j fits is %j", (value, fits) => {
  assertEquals(v.is(SAVED, value), fits);
});
