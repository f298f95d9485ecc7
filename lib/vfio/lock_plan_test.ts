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
  plan.add({ id: 1, lock: "device", at, times });
  assertEquals([1, 2, 3, 4].map(() => plan.taken("device", "reset", FID) ? "x" : "-").join(""), taken);
  assertEquals(plan.faults[0]!.seen, 4);
});

Deno.test("an attempt counts only for faults of its call and its function", () => {
  const plan = new LockPlan();
  plan.add({ id: 1, lock: "device", op: "open", at: 1, times: 1 });
  plan.add({ id: 2, lock: "device", fid: FID, at: 1, times: 1 });
  assertEquals([plan.taken("device", "reset", 0x11), plan.taken("device", "reset", FID)], [false, true]);
  assertEquals(plan.faults.map(({ seen }) => seen), [0, 1]);
  assertEquals([plan.taken("device", "open", 0x11), plan.taken("device", "open", FID)], [true, false]);
});

Deno.test("an attempt counts only for faults of its lock", () => {
  const plan = new LockPlan();
  plan.add({ id: 1, lock: "device", at: 1, times: 1 });
  plan.add({ id: 2, lock: "state", at: 2, times: 1 });
  const states = [1, 2, 3].map(() => plan.taken("state", "reset", FID));
  assertEquals([states, plan.taken("device", "reset", FID)], [[false, true, false], true]);
});

Deno.test("faults are cleared one by one or all, and are the same in a restored plan", () => {
  const plan = new LockPlan();
  for (const id of [1, 2, 3]) plan.add({ id, lock: "device", at: 1, times: 3 });
  assertEquals([plan.clear(2), plan.clear(2), plan.taken("device", "hot-reset", FID)], [1, 0, true]);
  const copy = new LockPlan();
  copy.restore(JSON.parse(JSON.stringify(plan.save())));
  assertEquals(copy.faults, plan.faults);
  assertEquals([copy.clear(), copy.taken("device", "reset", FID), plan.taken("device", "reset", FID)], [
    2,
    false,
    true,
  ]);
});
