/** Facts, ism.token.format and ism.dmb.limits: tokens and who is on a fabric. */
import { assertEquals } from "@std/assert";
import { stations } from "../../../tests/support/stations.ts";
import { IsmFabric } from "./fabric.ts";

const UNIT = 2 ** 28;

Deno.test("takeToken() counts up, wraps after 2^48 - 2^28 and never gives 0 (ism.token.format)", () => {
  const fabric = new IsmFabric(0x7e1, 2 ** 20 - 2);
  const tokens = [1, 2, 3, 4].map(() => fabric.takeToken() / UNIT);
  assertEquals(tokens, [2 ** 20 - 2, 2 ** 20 - 1, 1, 2]);
});

Deno.test("takeToken() skips tokens that are in use (ism.token.format)", () => {
  const fabric = new IsmFabric(0x7e1, 1);
  const [station] = stations(1, {}, fabric);
  const dmb = { owner: station!.adapter, iova: 0, length: 4096, sbaIndex: 32, vlanId: undefined, rgid: 1n };
  for (const number of [1, 2, 4]) fabric.addDmb({ ...dmb, token: number * UNIT });
  assertEquals([fabric.takeToken(), fabric.takeToken(), fabric.takeToken()], [3 * UNIT, 5 * UNIT, 6 * UNIT]);
});

Deno.test("save() and restore() keep the place in the sequence", () => {
  const before = new IsmFabric(0x7e1, 77);
  before.takeToken();
  const after = new IsmFabric(0x7e1, 1);
  after.restore(before.save());
  assertEquals(after.takeToken(), before.takeToken());
});

Deno.test("byGid() finds the functions of its own channel only (ism.gid.channel)", () => {
  const fabric = new IsmFabric(0x7e1, 1);
  const other = new IsmFabric(0x7e2, 1);
  stations(2, {}, fabric);
  stations(3, {}, other);
  assertEquals([fabric.byGid(0xa2n)?.gid, fabric.byGid(0xa3n), other.byGid(0xa3n)?.gid], [
    0xa2n,
    undefined,
    0xa3n,
  ]);
});
