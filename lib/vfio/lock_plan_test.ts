/** When a device lock is taken: attempts are counted per fault, by call and function. */
import { assertEquals } from "@std/assert";
import { LockPlan } from "./lock_plan.ts";

const FID = 0x10;

Deno.test.each([
  { at: 1, times: 1, taken: "x---" },
  { at: 1, times: 2, taken: "xx--" },
  { at: 2, times: 1, taken: "-x--" },
  { at: 3, times: 9, taken: "--xx" },
  { at: 5, times: 1, taken: "----" },
])("from attempt $at on, $times times: $taken", ({ at, times, taken }) => {
  const plan = new LockPlan();
  plan.add({ id: 1, at, times });
  assertEquals([1, 2, 3, 4].map(() => plan.taken("reset", FID) ? "x" : "-").join(""), taken);
  assertEquals(plan.faults[0]!.seen, 4);
});

Deno.test("an attempt counts only for faults of its call and its function", () => {
  const plan = new LockPlan();
  plan.add({ id: 1, op: "open", at: 1, times: 1 });
  plan.add({ id: 2, fid: FID, at: 1, times: 1 });
  assertEquals([plan.taken("reset", 0x11), plan.taken("reset", FID)], [false, true]);
  assertEquals(plan.faults.map(({ seen }) => seen), [0, 1]);
  assertEquals([plan.taken("open", 0x11), plan.taken("open", FID)], [true, false]);
});

Deno.test("faults are cleared one by one or all, and are the same in a restored plan", () => {
  const plan = new LockPlan();
  for (const id of [1, 2, 3]) plan.add({ id, at: 1, times: 3 });
  assertEquals([plan.clear(2), plan.clear(2), plan.taken("hot-reset", FID)], [1, 0, true]);
  const copy = new LockPlan();
  copy.restore(JSON.parse(JSON.stringify(plan.save())));
  assertEquals(copy.faults, plan.faults);
  assertEquals([copy.clear(), copy.taken("reset", FID), plan.taken("reset", FID)], [2, false, true]);
});
