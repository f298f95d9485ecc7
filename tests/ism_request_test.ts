/** The kernel asks for a device that is to go (vfio.unplug.wait), and several processes on one host file see it. */
import { assert, assertEquals, assertMatch } from "@std/assert";
import { documentsOf, Program } from "./support/program.ts";

/** How often the kernel asked since the last look. */
async function requests(program: Program): Promise<number> {
  return (await program.result("irq", "--index", "REQ")).interrupts;
}

Deno.test("an unbind asks at once and then every 10 seconds of the machine's clock, across processes", async () => {
  using program = new Program();
  assertEquals(await requests(program), 0, "this opens the function and installs the eventfd");
  assertEquals((await program.result("unbind")).waiting, true);
  assertEquals([await requests(program), await requests(program)], [1, 0]);
  await program.result("sleep", "9");
  assertEquals(await requests(program), 0);
  await program.result("sleep", "1");
  assertEquals(await requests(program), 1);
  await program.result("sleep", "30");
  assertEquals(await requests(program), 3);
  await program.result("close");
  const { functions } = await program.result("list");
  assertEquals(functions[0].driver, null, "the unbind went on");
  assertEquals((await program.run(["host", "check"])).code, 0);
});

Deno.test("irq wait --index REQ in one process ends when another one unbinds, or lets time pass", async () => {
  using program = new Program();
  assertEquals(await requests(program), 0);
  const waiting = () => program.run(["irq", "wait", "--index", "REQ", "--timeout", "60", "--json"]);
  const first = waiting();
  assertEquals((await program.result("unbind")).waiting, true);
  assertEquals(documentsOf(await first)[0]!.result.interrupts, 1);
  const second = waiting();
  const started = Date.now();
  await program.result("sleep", "10");
  assertEquals(documentsOf(await second)[0]!.result.interrupts, 1);
  assert(Date.now() - started < 10_000, "nobody waited for 10 real seconds");
});

Deno.test("irq wait --index REQ gives up after its time", async () => {
  using program = new Program();
  const { code, stderr } = await program.run(["irq", "wait", "--index", "REQ", "--timeout", "0"]);
  assertEquals(code, 1);
  assertMatch(stderr, /^ism: irq wait: A request did not come within 0 seconds/);
  assertEquals((await program.result("unbind")).waiting, true);
  assertEquals(await requests(program), 1);
  const late = await program.run(["irq", "wait", "--index", "REQ", "--timeout", "1"]);
  assertMatch(late.stderr, /^ism: irq wait: A request did not come within 1 second/);
});

Deno.test("in a script, where nobody else can act, the 10 seconds pass at once", async () => {
  using program = new Program();
  const documents = await program.documents([
    "irq --index REQ",
    "irq wait --index REQ",
    "unbind",
    "irq wait --index REQ",
    "irq wait --index REQ --timeout 9",
    "irq wait --index REQ --timeout 10",
    "sleep 9",
    "irq wait --index REQ --timeout 1",
  ]);
  const counts = documents.map(({ ok, result, error }) => ok ? result.interrupts : error!.code);
  assertEquals(counts, [0, "DRIVER", undefined, 1, "DRIVER", 1, undefined, 1]);
});
