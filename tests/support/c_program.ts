/** Programs of the project, built once for a test file. */
import { assertEquals } from "@std/assert";

const ROOT = new URL("../../", import.meta.url).pathname;

/** What gcc is told: a warning is an error. */
export function gccArguments(to: string, source: string, flags: readonly string[] = ["-O2"]): string[] {
  return [...flags, "-Wall", "-Wextra", "-Werror", "-o", to, source];
}

/** A built program; removed at the end of a `using` block. */
export class CProgram implements Disposable {
  readonly #dir = Deno.makeTempDirSync({ prefix: "ism-c-" });
  readonly path: string;

  /** Builds a source file of the project: a warning is an error. A machine without gcc fails here. */
  constructor(source: string, flags: readonly string[] = ["-O1"]) {
    this.path = `${this.#dir}/${source.slice(source.lastIndexOf("/") + 1, -2)}`;
    const { code, stderr } = new Deno.Command("gcc", {
      args: gccArguments(this.path, `${ROOT}${source}`, flags),
    }).outputSync();
    assertEquals([code, new TextDecoder().decode(stderr)], [0, ""]);
    // Programs are run as other users, too.
    Deno.chmodSync(this.#dir, 0o755);
  }

  [Symbol.dispose](): void {
    Deno.removeSync(this.#dir, { recursive: true });
  }
}
