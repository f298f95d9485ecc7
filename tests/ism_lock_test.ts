/**
 * Faults on the device lock (docs/reference/vfio/open.md and vfio/reset.md): added, counted, listed and cleared with
 * those of the machine.
 */
import { assertEquals } from "@std/assert";
import { documentsOf, Program } from "./support/program.ts";

/** What a command was refused with, or "ok". */
async function outcomeOf(program: Program, ...args: string[]): Promise<string> {
  const [document] = documentsOf(await program.run(["--json", ...args]));
  return document!.ok ? "ok" : document!.error!.code;
}

Deno.test("a lock is taken for so many attempts, in whatever process they are made", async () => {
  using program = new Program();
  assertEquals((await program.result("fault", "add", "lock:1", "--op", "open")).id, 1);
  assertEquals((await program.result("fault", "add", "busy:3", "--op", "PCISTB")).id, 2);
  assertEquals((await program.result("fault", "add", "lock:2", "--op", "reset", "--at", "2", "--any")).id, 3);
  const open = () => outcomeOf(program, "open");
  assertEquals([await open(), await open()], ["EAGAIN", "ok"]);
  const { faults } = await program.result("fault", "list");
  const anywhere = { space: null, from: null, to: null };
  assertEquals(faults, [
    { id: 1, fault: "lock:1", op: "open", fid: "0x10", ...anywhere, at: 1, seen: 2 },
    { id: 2, fault: "busy:3", op: "PCISTB", fid: "0x10", ...anywhere, at: 1, seen: 0 },
    { id: 3, fault: "lock:2", op: "reset", fid: null, ...anywhere, at: 2, seen: 0 },
  ]);
  const resets = [];
  for (const device of ["0", "1", "0", "1"]) resets.push(await outcomeOf(program, "reset", "-d", device));
  assertEquals(resets, ["ok", "EAGAIN", "EAGAIN", "ok"], "attempts on any function count together");
});

Deno.test("fault clear takes a lock by its number, or all faults", async () => {
  using program = new Program();
  for (const kind of ["lock:9", "cc3", "lock:9"]) await program.result("fault", "add", kind);
  assertEquals((await program.result("fault", "clear", "1")).removed, 1);
  assertEquals(await outcomeOf(program, "fault", "clear", "1"), "USAGE");
  assertEquals((await program.result("fault", "clear")).removed, 2);
  assertEquals(await outcomeOf(program, "open"), "ok");
});

Deno.test("options that do not go with a lock, or only with one, are a mistake in the line", async () => {
  using program = new Program();
  const add = (...args: string[]) => outcomeOf(program, "fault", "add", ...args);
  const refused = [
    await add("lock:0"),
    await add("lock"),
    await add("lock:1", "--space", "2"),
    await add("lock:1", "--from", "0"),
    await add("lock:1", "--op", "PCILG"),
    await add("cc3", "--op", "hot-reset"),
  ];
  assertEquals(refused, refused.map(() => "USAGE"));
  assertEquals((await program.result("fault", "list")).faults, []);
});

Deno.test("a reset through sysfs needs the state lock, whether a driver holds the function or not", async () => {
  using program = new Program();
  const reset = () => outcomeOf(program, "sysfs", "write", "/sys/bus/pci/devices/0001:00:00.0/reset", "1");
  for (const prepared of [["open"], ["close"], ["unbind"]]) {
    await program.result(...prepared);
    await program.result("fault", "add", "state-lock:1", "--op", "reset");
    assertEquals([prepared, await reset(), await reset()], [prepared, "EIO", "ok"]);
    await program.result("fault", "clear");
  }
});
