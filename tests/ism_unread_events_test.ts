/** Events that a driver leaves in the IEQ: 14 are seen, 15 look like none (row k of what drivers get wrong). */
import { assertEquals, assertMatch } from "@std/assert";
import { Program } from "./support/program.ts";

Deno.test("a driver sees 14 unread events, and with 15 it is warned that it sees none", async () => {
  using program = new Program();
  const first = ["events -d 1", "let g gid -d 1", "signal $g --code 1", "events -d 1"];
  const lines = [...first, "repeat 14 signal $g --code 2", "status -d 1", "events -d 1", "status -d 1"];
  const documents = await program.documents([...lines, "repeat 15 signal $g --code 3", "status -d 1"]);
  assertEquals(documents.filter(({ ok }) => !ok), []);
  const [fourteen, taken, none, , fifteen] = documents.slice(5).map(({ result }) => result);
  assertEquals([fourteen.ieq.unread, fourteen.ieq.hidden, fourteen.ieq_full], [14, 0, 0]);
  assertEquals([taken.events.length, taken.hidden_events], [14, 0]);
  assertEquals([none.ieq.unread, none.ieq.hidden], [0, 0]);
  assertEquals([fifteen.ieq.unread, fifteen.ieq.hidden, fifteen.ieq_full], [15, 15, 1]);
  const warning = /^warning: 15 events wait in the IEQ, and the driver sees none of them: idx is/m;
  assertMatch((await program.run(["status", "-d", "1"])).stdout, warning);
  const shown = await program.run(["-n", "irq", "-d", "1"]);
  assertMatch(shown.stdout, warning);
  const lost = await program.result("events", "-d", "1");
  assertEquals([lost.events, lost.hidden_events], [[], 15]);
  // From there on it sees events again.
  const gid = await program.result("gid", "-d", "1");
  await program.result("signal", gid.gid, "--code", "4");
  const { events, hidden_events } = await program.result("events", "-d", "1");
  assertEquals([events.length, events[0].code, hidden_events], [1, 4, 0]);
  assertEquals((await program.run(["host", "check"])).code, 0);
});

Deno.test("the first 15 events of a driver are all seen: it has no place in the queue yet", async () => {
  using program = new Program();
  const lines = [
    "events -d 1",
    "let g gid -d 1",
    "repeat 15 signal $g --code 3",
    "status -d 1",
    "events -d 1",
  ];
  const documents = await program.documents([...lines, "status -d 1"]);
  const [full, taken, after] = documents.slice(3).map(({ result }) => result);
  assertEquals([full.ieq.unread, full.ieq.hidden], [15, 0]);
  assertEquals([taken.events.length, after.ieq.unread], [15, 0]);
});
