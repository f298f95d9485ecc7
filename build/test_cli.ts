/**
 * `deno task test:cli`: the tests that start the program, and no others. `ISM_BIN=dist/ism deno task test:cli` has them
 * start that executable. Words behind the task go to `deno test`.
 */
import { ROOT } from "./bundle.ts";

/** Paths of the test files that start the program, in the project's folder. */
export function programTests(): string[] {
  return [...Deno.readDirSync(`${ROOT}tests`)].map(({ name }) => `tests/${name}`).filter((path) => {
    if (!path.endsWith("_test.ts")) return false;
    const text = Deno.readTextFileSync(`${ROOT}${path}`);
    // A part of the source in a process of its own is no program.
    return /\bnew Program\(|\bSTARTER\b/.test(text) && !text.includes(".spawnFile(");
  }).toSorted();
}

if (import.meta.main) {
  const { code } = await new Deno.Command(Deno.execPath(), {
    args: [
      "test",
      "--quiet",
      "--parallel",
      "-RWE",
      "--allow-run",
      "--allow-sys=uid",
      ...Deno.args,
      ...programTests(),
    ],
    cwd: ROOT,
    stdout: "inherit",
    stderr: "inherit",
  }).output();
  Deno.exit(code);
}
