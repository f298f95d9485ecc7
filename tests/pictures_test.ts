/**
 * The README's pictures are what the program draws today: an access through the layers, and a run. `deno task pictures`
 * draws them anew.
 */
import { assertEquals, assertMatch } from "@std/assert";
import { assertGolden } from "./support/golden.ts";
import { Program } from "./support/program.ts";

const ROOT = new URL("../", import.meta.url);
const FOLDER = new URL("docs/pictures/", ROOT);
/** A guest's first DMB has this token on a host that nobody used before. */
const SETUP = [
  "open -d 0",
  "let writer gid -d 0",
  "let dmb dmb register --size 8k --rgid $writer -d 1",
];
const ACCESS = "move 0x22f890000000 4090 text:hello-world --signal";
const RUN_TRACE = "device:command,device:dmb-store,irq:MSI,irq:eventfd";

async function drawn(program: Program, args: readonly string[]): Promise<string> {
  const { code, stderr } = await program.run([...args, "--trace-file", "picture.svg"]);
  assertEquals(code, 0, stderr);
  return new TextDecoder().decode(program.read("picture.svg"));
}

Deno.test("docs/pictures/access.svg is an access through the layers as the program draws it", async () => {
  using program = new Program();
  const setup = await program.script(SETUP);
  assertEquals(setup.code, 0, setup.stderr);
  assertGolden(new URL("access.svg", FOLDER), await drawn(program, ["-c", ACCESS]));
});

Deno.test("docs/pictures/run.svg is a run of examples/hello.ism as the program draws it", async () => {
  using program = new Program();
  program.write("hello.ism", Deno.readTextFileSync(new URL("examples/hello.ism", ROOT)));
  const args = ["run", "hello.ism", "--host", ":memory:", `--trace=${RUN_TRACE}`];
  assertGolden(new URL("run.svg", FOLDER), await drawn(program, args));
});

Deno.test("README and docs show pictures that are there, with a text in their place", () => {
  for (const page of ["README.md", "docs/tour.md", "docs/performance.md"]) {
    const text = Deno.readTextFileSync(new URL(page, ROOT));
    for (const [, alt = "", target = ""] of text.matchAll(/!\[([^\]]*)\]\(([^)]+)\)/g)) {
      const picture = Deno.readTextFileSync(new URL(target, new URL(page, ROOT)));
      assertEquals(alt.length > 20, true, `${page}: ${target} has no text in its place`);
      assertMatch(picture, /^<svg [^]*<\/svg>\n$/);
      assertMatch(picture, /prefers-color-scheme: dark/, `${target} in the dark`);
    }
  }
  const readme = Deno.readTextFileSync(new URL("README.md", ROOT));
  const [first = ""] = readme.split(/^## /m);
  for (const name of ["access.svg", "run.svg"]) {
    assertEquals(first.includes(`docs/pictures/${name}`), true, `README opens with ${name}`);
  }
});
