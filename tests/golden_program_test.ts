/** Golden lines that a shell runs, with the program in a process of its own (golden_test.ts has the others). */
import { GOLDEN_LINES } from "./golden/lines/all.ts";
import { assertGolden } from "./support/golden.ts";
import { goldenFile, goldenText } from "./support/golden_run.ts";

for (const [name, lines] of Object.entries(GOLDEN_LINES).filter(([, { shell }]) => shell === true)) {
  Deno.test(`${name}: what is printed is as in tests/golden`, async () => {
    assertGolden(goldenFile(name), await goldenText(name, lines));
  });
}
