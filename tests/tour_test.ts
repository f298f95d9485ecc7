/**
 * docs/tour.md: every command in it is run, each chapter on a host of its own, and prints what is shown there. `deno task
 * pictures` writes what comes into the page.
 */
import { assert, assertEquals } from "@std/assert";
import { assertGolden, RENEWS } from "./support/golden.ts";
import { gccArguments } from "./support/c_program.ts";
import { CONSOLE, ism, ROOT, samplesOf, withoutTimes } from "./support/samples.ts";

const PAGE = new URL("../docs/tour.md", import.meta.url);
const PROGRAMS = /^\.\/[\w-]+$/;

/** Runs the commands of a page as a reader types them at the checkout; programs are built in a directory. */
class Reader {
  readonly #directory: string;
  #chapters = 0;

  constructor(directory: string) {
    this.#directory = directory;
  }

  /** A chapter with what its commands print now; what differs in times alone stays. */
  async chapter(text: string): Promise<string> {
    const host = `${this.#directory}/host-${this.#chapters++}.db`;
    let renewed = "";
    let at = 0;
    for (const { index, 0: { length }, 1: block = "" } of text.matchAll(CONSOLE)) {
      renewed += text.slice(at, index) + "```console\n";
      at = index + length;
      for (const { line, shown } of samplesOf(block)) {
        const printed = await this.#output(line, host);
        const isSame = withoutTimes(printed) === withoutTimes(shown);
        if (!RENEWS) assertEquals(withoutTimes(printed), withoutTimes(shown), `${line}: deno task pictures`);
        renewed += `$ ${line}\n${isSame ? shown : printed}`;
      }
      renewed += "```";
    }
    return renewed + text.slice(at);
  }

  /** Standard error, then standard output of a line. @throws {Error} for a line that is no command of a tour */
  async #output(line: string, host: string): Promise<string> {
    const words = line.split(" ");
    const env: Record<string, string> = { LC_ALL: "C.UTF-8", COLUMNS: "" };
    if (words[0]!.startsWith("COLUMNS=")) env["COLUMNS"] = words.shift()!.slice("COLUMNS=".length);
    const [command, ...args] = words;
    if (command === "cat" && args.length === 1) return Deno.readTextFileSync(`${ROOT}${args[0]}`);
    if (command === "cc") return await this.#build(args);
    if (command !== "ism") throw new Error(`no command of a tour: ${line}`);
    const placed = args.map((word) => {
      if (PROGRAMS.test(word)) return `${this.#directory}/${word.slice(2)}`;
      return word.replace(/^\/tmp\//, `${this.#directory}/`);
    });
    const { code, output } = await ism(placed, host, { env });
    assert(code <= 1, `${line}: exit code ${code}: ${output}`);
    return output.replaceAll(`${this.#directory}/`, "./");
  }

  /** `cc -o PROGRAM SOURCE`. */
  async #build([, program = "", source = ""]: readonly string[]): Promise<string> {
    const args = gccArguments(`${this.#directory}/${program}`, `${ROOT}${source}`);
    const { success, stderr } = await new Deno.Command("gcc", { args }).output();
    assert(success, new TextDecoder().decode(stderr));
    return "";
  }
}

Deno.test("every command of docs/tour.md prints what is shown there", async () => {
  const directory = Deno.makeTempDirSync({ prefix: "ism-tour-" });
  try {
    const reader = new Reader(directory);
    const chapters = Deno.readTextFileSync(PAGE).split(/^(?=## )/m);
    const renewed: string[] = [];
    for (const chapter of chapters) renewed.push(await reader.chapter(chapter));
    assertGolden(PAGE, renewed.join(""));
  } finally {
    Deno.removeSync(directory, { recursive: true });
  }
});

Deno.test("the tour goes through at least ten of the scripts in examples/, and links them", () => {
  const page = Deno.readTextFileSync(PAGE);
  const shown = [...page.matchAll(/^\$ (?:\S+=\S+ )?ism .*?run .*?examples\/(\w+\.ism)/gm)].map(([, name]) =>
    name!
  );
  assert(new Set(shown).size >= 10, `${new Set(shown).size}`);
  const scripts = [...Deno.readDirSync(`${ROOT}examples`)].map(({ name }) => name);
  assertEquals(scripts.filter((name) => name.endsWith(".ism") && !shown.includes(name)), []);
});
