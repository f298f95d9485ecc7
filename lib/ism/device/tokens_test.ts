/** Facts, ism.token.format: the order of DMB tokens. */
import { assert, assertEquals, assertNotEquals } from "@std/assert";
import { IsmFabric } from "./fabric.ts";
import { TOKEN_NUMBERS, TOKEN_ORDERS } from "./tokens.ts";

const UNIT = 2 ** 28;

for (const [name, orderOf] of Object.entries(TOKEN_ORDERS)) {
  Deno.test(`${name} tokens: no number comes twice before all others came, and 0 never (ism.token.format)`, () => {
    for (const seed of [0, 1, 0x1234_5678_9abc]) {
      const order = orderOf(seed);
      const seen = new Uint8Array(TOKEN_NUMBERS);
      for (let position = 1; position < TOKEN_NUMBERS; position++) {
        const number = order(position);
        if (seen[number] !== 0) throw new Error(`Number ${number} comes twice with seed ${seed}`);
        seen[number] = 1;
      }
      assertEquals([seen.length, seen[0]], [TOKEN_NUMBERS, 0]);
    }
  });

  Deno.test(`${name} tokens are multiples of 2^28 below 2^48 (ism.token.format)`, () => {
    const fabric = new IsmFabric(0x7e1, 1, orderOf(7));
    for (let i = 0; i < 1000; i++) {
      const token = fabric.takeToken();
      assert(token % UNIT === 0 && token > 0 && token < 2 ** 48);
    }
  });
}

Deno.test("sequential tokens are neighbours, random ones are not, and depend on the seed (ism.token.format)", () => {
  const first = (tokens: keyof typeof TOKEN_ORDERS, seed: number) => {
    const fabric = new IsmFabric(0x7e1, 100, TOKEN_ORDERS[tokens](seed));
    return Array.from({ length: 64 }, () => fabric.takeToken() / UNIT);
  };
  assertEquals(first("sequential", 1), Array.from({ length: 64 }, (_, i) => 100 + i));
  const random = first("random", 1);
  assertEquals(random.filter((token, i) => i > 0 && Math.abs(token - random[i - 1]!) < 16), []);
  assertEquals(random, first("random", 1));
  assertNotEquals(random, first("random", 2));
});
