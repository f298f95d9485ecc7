/** Times that a user gives: seconds, with a fraction where they want one. */
import { assert, assertEquals, assertLess, assertMatch } from "@std/assert";
import { inParallel, Program } from "./support/program.ts";

Deno.test("ism sleep moves the machine's clock by fractions of a second, to the microsecond", async () => {
  using program = new Program();
  const lines = ["sleep 0", "sleep 0.5", "sleep 0.000001", "sleep 2", "sleep 1.25"];
  const clocks = (await program.documents(lines)).map(({ result }) => result.clock);
  assertEquals(clocks.slice(1).map((clock, i) => clock - clocks[i]), [500_000, 1, 2_000_000, 1_250_000]);
});

Deno.test("ism waits for as long as it is told, fractions of a second too", async () => {
  using program = new Program();
  program.write("file", "text");
  await program.result("gid");
  const lines = ["irq wait --timeout 0.3", "recv --timeout 0.3", "send file --wait 0.3"];
  await inParallel(lines, async (line) => {
    const began = performance.now();
    const { code, stderr } = await program.run(line.split(" "));
    const seconds = (performance.now() - began) / 1000;
    assertEquals(code, 1, line);
    assertMatch(stderr, /did not come within 0\.3 seconds$/m, line);
    assert(seconds >= 0.3, line);
    assertLess(seconds, 10, line);
  });
  assert((await program.result("list")).functions.length === 2);
});
