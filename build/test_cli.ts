/**
 * `deno task test:cli`: the tests that start the program, and no others. `ISM_BIN=dist/ism deno task test:cli` has them
 * start that executable. Words behind the task go to `deno test`.
 */
import { ROOT } from "./bundle.ts";

/** Folders with tests of the program; the long runs of `deno task soak` are elsewhere. */
const FOLDERS = ["tests", "tests/exec"];

/** Paths of the test files that start the program, in the project's folder. */
export function programTests(): string[] {
  const paths = FOLDERS.flatMap((folder) =>
    [...Deno.readDirSync(`${ROOT}${folder}`)].map(({ name }) => `${folder}/${name}`)
  );
  return paths.filter((path) => {
    if (!path.endsWith("_test.ts")) return false;
    const text = Deno.readTextFileSync(`${ROOT}${path}`);
    if (/\bSTARTER\b/.test(text)) return true;
    // A part of the source in a process of its own is no program.
    return /\bnew Program\(/.test(text) &&
      /\.(?:run|spawn\w*(?<!File)|result|script|documents|shell)\(/.test(text);
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
