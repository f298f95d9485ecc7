/** Scripts of more lines than are kept understood: the lines behind those are understood again when they run. */
import { assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { documentsOf, Program } from "./support/program.ts";

const COUNT = 1500;

/** Different lines, each of which fails if it is taken for another one. */
function different(count: number): string[] {
  return Array.from({ length: count }, (_, i) => {
    const data = i.toString(16).padStart(16, "0");
    return [
      `expect hex:${data} dma read $at 8`,
      `dma write $at hex:${(i + 1).toString(16).padStart(16, "0")}`,
      `let kept${i} gid # a variable of its own`,
      `expect ok repeat 2 echo ${i} $kept${i} $i $((${i} + i))`,
    ];
  }).flat();
}

const BEGIN = ["let at dma map --size 4k"];

Deno.test("every line of a long script runs as it stands, with the values of that time", async () => {
  using program = new Program();
  const lines = [...BEGIN, ...different(COUNT)];
  const outcome = await program.run(["--json", "run", "-"], { stdin: lines.join("\n") });
  assertEquals([outcome.code, outcome.stderr], [0, ""]);
  const documents = documentsOf(outcome);
  assertEquals(documents.map(({ line }) => line), lines.map((_, i) => i + 1));
});

Deno.test("a mistake far down is found before line 1 runs, and a failure there is told with its place", async () => {
  using program = new Program();
  const lines = [...BEGIN, ...different(COUNT)];
  const mistaken = await program.run(["run", "-"], { stdin: [...lines, "echo \\", "  $nothing"].join("\n") });
  assertEquals([mistaken.code, mistaken.stdout], [2, ""]);
  assertStringIncludes(mistaken.stderr, `stdin:${lines.length + 2}:3: there is no variable "$nothing"`);
  const failing = await program.run(["-q", "run", "-"], {
    stdin: [...lines, "stb bar0 \\", " 0xff8 seq:0*9"].join("\n"),
  });
  assertEquals(failing.code, 1);
  assertMatch(failing.stderr, new RegExp(`stdin:${lines.length + 1}:1: Length 9 at 0xff8 crosses`));
});
