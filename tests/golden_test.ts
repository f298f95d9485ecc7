/**
 * What every command prints, done and refused, as text and as JSON, at one width: tests/golden has it, tests/golden/lines
 * the lines. `deno task golden` writes the files anew; the diff shows what a change did to the output. Lines that a shell
 * runs are in golden_program_test.ts.
 */
import { assert, assertEquals } from "@std/assert";
import { COMMANDS } from "../cmd/table.ts";
import { GOLDEN_LINES, OTHER_LINES } from "./golden/lines/all.ts";
import { assertGolden, RENEWS } from "./support/golden.ts";
import { goldenFile, goldenText } from "./support/golden_run.ts";

const FOLDER = new URL("golden/", import.meta.url);
const ALL = Object.entries({ ...GOLDEN_LINES, ...OTHER_LINES });

Deno.test("every command has golden lines that succeed and golden lines that fail", () => {
  const commands = [...COMMANDS.keys()];
  const missing = commands.filter((name) => GOLDEN_LINES[name] === undefined);
  assertEquals(missing, [], "add rows to a table of tests/golden/lines, then: deno task golden");
  for (const [name, { done, refused, never }] of Object.entries(GOLDEN_LINES)) {
    assert(commands.includes(name), `"${name}" is no command`);
    assert(
      (done.length > 0 && refused.length > 0) || never !== undefined,
      `"${name}" lacks lines of one kind`,
    );
  }
});

for (const [name, lines] of ALL.filter(([, { shell }]) => shell !== true)) {
  Deno.test(`${name}: what is printed is as in tests/golden`, async () => {
    assertGolden(goldenFile(name), await goldenText(name, lines));
  });
}

Deno.test("tests/golden has a file for each row of the tables and no other", () => {
  const expected = ALL.map(([name]) => goldenFile(name).pathname.split("/").at(-1)!).toSorted();
  const files = [...Deno.readDirSync(FOLDER)].map(({ name }) => name).filter((name) => name.endsWith(".txt"));
  const surplus = files.filter((name) => !expected.includes(name));
  if (RENEWS) { for (const name of surplus) Deno.removeSync(new URL(name, FOLDER)); }
  else assertEquals(files.toSorted(), expected, "deno task golden");
});
