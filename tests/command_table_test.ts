/** The table of commands against their definitions, and what a start of the program loads. */
import { assert, assertEquals, assertThrows } from "@std/assert";
import type { AnyCommand } from "../cmd/language/command.ts";
import { COMMANDS } from "../cmd/table.ts";

const FOLDER = new URL("../cmd/commands/", import.meta.url);

// First, while no test has loaded any: the table is one for the whole process.
Deno.test("a command is not there before it is loaded, and there when it was asked for", async () => {
  assert(COMMANDS.has("peek") && COMMANDS.has("dmb list"));
  assertThrows(() => COMMANDS.get("peek"), Error, 'The command "peek" is not loaded');
  assertEquals(COMMANDS.get("pek"), undefined);
  let calls = 0;
  const found = await COMMANDS.loading(() => {
    calls++;
    return [COMMANDS.get("peek"), COMMANDS.get("poke"), COMMANDS.get("dmb list")].map((each) => each?.name);
  });
  assertEquals(found, ["peek", "poke", "dmb list"]);
  // Once for each module, and once with all of them: peek and poke have one.
  assertEquals(calls, 3);
  assertThrows(() => COMMANDS.get("list"), Error, 'The command "list" is not loaded');
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
