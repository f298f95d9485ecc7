/** Programs of the tests in whatever language, built once for a test. */
import { assertEquals } from "@std/assert";
import { gccArguments } from "./c_program.ts";

const ROOT = new URL("../../", import.meta.url).pathname;

/** A built program; removed at the end of a `using` block. A machine without the compiler fails here. */
export class BuiltProgram implements Disposable {
  readonly #dir = Deno.makeTempDirSync({ prefix: "ism-built-" });
  readonly path = `${this.#dir}/program`;

  /** Builds one source file of the project, by what its name ends with; `flags` are for C. */
  constructor(source: string, { compiler = "gcc", flags = [] as readonly string[] } = {}) {
    const file = `${ROOT}${source}`;
    const ways: Readonly<Record<string, readonly [string, ...string[]]>> = {
      c: [compiler, ...gccArguments(this.path, file, ["-O2", ...flags])],
      rs: ["rustc", "--edition", "2021", "-D", "warnings", "-O", "-o", this.path, file],
      go: ["go", "build", "-o", this.path, file],
    };
    const [command, ...args] = ways[source.slice(source.lastIndexOf(".") + 1)]!;
    const { code, stderr } = new Deno.Command(command, {
      args,
      env: { GOCACHE: `${this.#dir}/cache`, GOFLAGS: "", GO111MODULE: "off" },
    }).outputSync();
    assertEquals([code, new TextDecoder().decode(stderr)], [0, ""]);
    Deno.chmodSync(this.#dir, 0o755);
  }

  [Symbol.dispose](): void {
    Deno.removeSync(this.#dir, { recursive: true });
  }
}
