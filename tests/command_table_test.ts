/** The table of commands against their definitions, and what a start of the program loads. */
import { assert, assertEquals, assertThrows } from "@std/assert";
import type { AnyCommand } from "../cmd/language/command.ts";
import { COMMANDS, newTable } from "../cmd/table.ts";

const FOLDER = new URL("../cmd/commands/", import.meta.url);

Deno.test("a command is not there before it is loaded, and there when it was asked for", async () => {
  const table = newTable();
  assert(table.has("peek") && table.has("dmb list"));
  assertThrows(() => table.get("peek"), Error, 'The command "peek" is not loaded');
  assertEquals(table.get("pek"), undefined);
  let calls = 0;
  const found = await table.loading(() => {
    calls++;
    return [table.get("peek"), table.get("poke"), table.get("dmb list")].map((each) => each?.name);
  });
  assertEquals(found, ["peek", "poke", "dmb list"]);
  // Peek and poke have one module: twice in vain, and once with both.
  assertEquals(calls, 3);
  assertThrows(() => table.get("list"), Error, 'The command "list" is not loaded');
});

Deno.test("the commands that words name are loaded at once, and no others", async () => {
  const table = newTable();
  await table.need(["--host", "peek", "dmb", "list", "pek"]);
  assertEquals(["peek", "poke", "dmb list", "list"].map((name) => table.get(name)?.name), [
    "peek",
    "poke",
    "dmb list",
    "list",
  ]);
  for (const name of ["info", "help", "dma list"]) {
    assertThrows(() => table.get(name), Error, `The command "${name}" is not loaded`);
  }
});

Deno.test("each command is in the module that the table names", async () => {
  for (const name of COMMANDS.keys()) {
    const table = newTable();
    assertEquals((await table.loading(() => table.get(name)))?.name, name);
  }
});

Deno.test("what fails for another reason is not tried again", async () => {
  let calls = 0;
  const failed = await COMMANDS.loading(() => {
    calls++;
    throw new RangeError("no");
  }).catch((error: unknown) => error);
  assert(failed instanceof RangeError);
  assertEquals(calls, 1);
});

Deno.test("the table says of each command what its definition says", async () => {
  const facts = [...(await COMMANDS.all()).values()].map(({ name, group, summary }) => ({
    name,
    group,
    summary,
  }));
  assertEquals([...COMMANDS.facts], facts);
  assertEquals([...COMMANDS.keys()], facts.map(({ name }) => name));
});

Deno.test("the table has every command that a module of cmd/commands defines, and each once", async () => {
  const defined: string[] = [];
  for (const { name } of Deno.readDirSync(FOLDER)) {
    const module: Record<string, unknown> = await import(new URL(name, FOLDER).href);
    for (const each of Object.values(module)) if (isCommand(each)) defined.push(each.name);
  }
  assertEquals(defined.toSorted(), [...COMMANDS.keys()].toSorted());
  assertEquals(new Set(defined).size, defined.length);
});

function isCommand(value: unknown): value is AnyCommand {
  return typeof value === "object" && value !== null && "summary" in value && "run" in value;
}
