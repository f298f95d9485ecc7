/** The example drivers in their languages, built with what the machine has. */
import { assertEquals } from "@std/assert";
import { gccArguments } from "./c_program.ts";

const ROOT = new URL("../../", import.meta.url).pathname;
const FOLDER = `${ROOT}examples/drivers`;

/** A language of an example: its compiler, and how that makes a program of the source. */
const LANGUAGES = {
  c: { compiler: "gcc", args: (to: string) => gccArguments(to, `${FOLDER}/c/ism.c`) },
  rust: {
    compiler: "rustc",
    args: (to: string) => ["--edition", "2021", "-D", "warnings", "-O", "-o", to, `${FOLDER}/rust/ism.rs`],
  },
  go: {
    compiler: "go",
    args: (to: string) => ["build", "-o", to, `${FOLDER}/go/ism.go`, `${FOLDER}/go/open.go`],
  },
} as const;

export type Language = keyof typeof LANGUAGES;
export const LANGUAGE_NAMES = Object.keys(LANGUAGES) as Language[];

/** In CI every compiler has to be there: a test without one fails there, and is not skipped. */
const MUST_HAVE_ALL = Deno.env.get("CI") !== undefined;

function isThere(compiler: string): boolean {
  return (Deno.env.get("PATH") ?? "").split(":").some((folder) => {
    try {
      return Deno.statSync(`${folder}/${compiler}`).isFile;
    } catch {
      return false;
    }
  });
}

/** Defines a test that needs some of the example drivers; without a compiler its name says so, and it is skipped. */
export function driverTest(name: string, languages: readonly Language[], fn: () => Promise<void>): void {
  const missing = languages.map((language) => LANGUAGES[language].compiler).filter((word) => !isThere(word));
  const reason = missing.length > 0 ? ` (needs ${missing.join(", ")})` : "";
  Deno.test({ name: name + reason, ignore: missing.length > 0 && !MUST_HAVE_ALL, fn });
}

/** A built driver; removed at the end of a `using` block. */
export class DriverProgram implements Disposable {
  readonly #dir = Deno.makeTempDirSync({ prefix: "ism-driver-" });
  readonly path = `${this.#dir}/ism`;

  constructor(language: Language) {
    const { compiler, args } = LANGUAGES[language];
    const { code, stderr } = new Deno.Command(compiler, {
      args: args(this.path),
      env: { GOCACHE: `${this.#dir}/cache`, GOFLAGS: "", GO111MODULE: "off" },
    }).outputSync();
    assertEquals([code, new TextDecoder().decode(stderr)], [0, ""]);
    Deno.chmodSync(this.#dir, 0o755);
  }

  [Symbol.dispose](): void {
    Deno.removeSync(this.#dir, { recursive: true });
  }
}
