/** Tables of choices. */
import { assertEquals } from "@std/assert";
import { defaultsOf } from "./choices.ts";

Deno.test("defaultsOf() takes the first value of each choice", () => {
  assertEquals(defaultsOf({ colour: ["red", "blue"], size: [2, 1] }), { colour: "red", size: 2 });
  assertEquals(defaultsOf({}), {});
});
