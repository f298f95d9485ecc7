/**
 * Runs golden lines and writes down what they print, so that it is the same on each machine and each day. Most of them
 * are run by the program's own `main` in this process, hundreds in the time that a few processes take. It gives
 * permissions back that it does not need, so that nothing can be started in the same process afterwards.
 */
import { assertEquals } from "@std/assert";
import { main } from "../../cmd/main.ts";
import { VERSION } from "../../cmd/build_info.ts";
import { ProcessTerminal } from "../../cmd/output/terminal.ts";
import type { GoldenLines } from "../golden/lines/table.ts";
import { type Document, Program } from "./program.ts";
import { checkDocuments } from "./schemas.ts";

/** The width of everything in golden files. */
const COLUMNS = 80;
/** The longest line of a document that is laid out over lines, but for texts. */
const LINE = 100;
/** Where files are, in golden files. */
const FOLDER = "/dir";
/** Files that lines find in their folder. */
const FILES: Readonly<Record<string, string>> = {
  "file": "some bytes\n",
  "bad.json": '{"guests":[{"name":"a","functions":[{"fid":0,"uid":1}]}]}',
  "good.ism": "# two lines\nlet peer gid -d 1\nrgid $peer\n",
  "refused.ism": "gid\nrgid 0x1  # nobody\ngid -d 1\n",
  "trace.jsonl":
    '{"seq":1,"time":5,"end":6,"layer":"insn","op":"PCILG","guest":"guest0","cc":0,"text":"PCILG -> cc 0"}\n',
  "wrong.ism": "gid\nrgidd 0x1\nstb bar0\n",
};

/** Keeps what is printed, in the order in which it comes; messages have a mark in front of their lines. */
class GoldenTerminal extends ProcessTerminal {
  #text = "";
  documents = "";

  override setSurroundings(): void {
    super.setSurroundings({ columns: String(COLUMNS), locale: "C.UTF-8" });
  }

  override get outIsTerminal(): boolean {
    return false;
  }

  override get errIsTerminal(): boolean {
    return false;
  }

  override outBytes(bytes: Uint8Array): void {
    const text = new TextDecoder().decode(bytes);
    this.documents += text;
    this.#text += text;
  }

  override errBytes(bytes: Uint8Array): void {
    this.#text += marked(new TextDecoder().decode(bytes));
  }

  /** Everything, the last line ended. */
  get text(): string {
    return ended(this.#text);
  }
}

/** Lines of standard error as golden files show them. */
function marked(text: string): string {
  return text.replaceAll(/^(?=.)/gm, "! ");
}

function ended(text: string): string {
  return text === "" || text.endsWith("\n") ? text : `${text}\n`;
}

/** What a line came to. */
interface Run {
  readonly code: number;
  /** What was printed, as golden files show it. */
  readonly text: string;
  readonly documents: readonly Document[];
}

/** The golden file of a command, or of a row of other lines. */
export function goldenFile(name: string): URL {
  return new URL(`../golden/${name.replaceAll(" ", "-")}.txt`, import.meta.url);
}

/** The text of a command's golden file; its lines succeed and fail as they should, with documents of the command. */
export async function goldenText(name: string, lines: GoldenLines): Promise<string> {
  using place = new GoldenPlace(lines);
  await place.prepare();
  let text = "";
  const { done, text: plain = [], refused } = lines;
  for (const [expected, list] of [["done", done], ["done", plain], ["refused", refused]] as const) {
    for (const line of list) {
      let above = "";
      for (const json of list === plain ? [false] : [false, true]) {
        const { code, text: printed, documents } = await place.run(line, json, above);
        above = printed;
        const shown = lines.shell === true
          ? withJson(line, json)
          : `ism ${json ? "--json " : ""}${line.replaceAll("{dir}", FOLDER)}`;
        text += `\n$ ${shown}\n${printed}${code === 0 ? "" : `exit ${code}\n`}`;
        if (name === "options") continue;
        if (name !== "exec") assertEquals(code === 0, expected === "done", `${shown}\n${printed}`);
        if (json) checkOutcome(name, expected === "done", documents, shown);
      }
    }
  }
  return (lines.before ?? []).map((line) => `# before: ${line}\n`).join("") + text;
}

/** Each line of a command shows at least one document of it, done or refused as expected. */
function checkOutcome(name: string, done: boolean, documents: readonly Document[], shown: string): void {
  // What they run has documents of its own, and they have none when all goes well.
  if (name === "run" || name === "source" || name === "shell") return;
  const own = documents.filter(({ command, ok }) => ok === done && (command === name || !done));
  assertEquals(own.length > 0, true, `a document of "${name}" is expected from ${shown}`);
}

function withJson(line: string, json: boolean): string {
  return line.replaceAll("{json}", json ? " --json" : "");
}

/** Words of a line, as a shell splits it: quotes hold words together. */
function wordsOf(line: string): string[] {
  return [...line.matchAll(/'([^']*)'|\S+/g)].map(([word, quoted]) => quoted ?? word);
}

/** A folder with files and a host, made anew for each line. */
class GoldenPlace implements Disposable {
  readonly #program = new Program();
  readonly #lines: GoldenLines;
  #host: Uint8Array = new Uint8Array();
  #exported: Uint8Array = new Uint8Array();
  #above = "";

  constructor(lines: GoldenLines) {
    this.#lines = lines;
  }

  /** Makes the host that every line finds. */
  async prepare(): Promise<void> {
    await this.#must("host create");
    await this.#must("host export {dir}/exported.json");
    this.#exported = this.#program.read("exported.json");
    for (const line of this.#lines.before ?? []) await this.#must(line);
    this.#host = this.#program.read("host.db");
  }

  async #must(line: string): Promise<void> {
    const words = wordsOf(line).map((word) => word.replace("{dir}", this.#program.dir));
    const { code } = this.#lines.shell === true
      ? await this.#program.run(words)
      : await this.#inProcess(words);
    assertEquals(code, 0, line);
  }

  /** Runs a line, as text or with `--json`; a document does not say again what stands `above`. */
  async run(line: string, json: boolean, above: string): Promise<Run> {
    this.#above = above;
    const { dir } = this.#program;
    for (const { name } of Deno.readDirSync(dir)) Deno.removeSync(`${dir}/${name}`, { recursive: true });
    for (const [name, text] of Object.entries(FILES)) this.#program.write(name, text);
    this.#program.write("host.db", this.#host);
    this.#program.write("exported.json", this.#exported);
    return this.#lines.shell === true
      ? await this.#inShell(withJson(line, json))
      : await this.#inProcess([...(json ? ["--json"] : []), ...wordsOf(line)]);
  }

  async #inShell(line: string): Promise<Run> {
    const { code, stdout, stderr } = await this.#program.shell(line);
    return { code, ...this.#shown(marked(stderr) + ended(stdout), stdout) };
  }

  async #inProcess(words: readonly string[]): Promise<Run> {
    const terminal = new GoldenTerminal();
    // As for whoever works on one host: what the program proposes names none.
    Deno.env.set("ISM_HOST", this.#program.host);
    Deno.env.delete("ISM_DEVICE");
    try {
      const code = await main(words.map((word) => word.replace("{dir}", this.#program.dir)), terminal);
      await checkDocuments(terminal.documents);
      return { code, ...this.#shown(terminal.text, terminal.documents) };
    } finally {
      Deno.env.delete("ISM_HOST");
    }
  }

  #shown(text: string, stdout: string): Pick<Run, "text" | "documents"> {
    const isDocument = (line: string) => line.startsWith('{"schema":');
    const lines = steady(text.replaceAll(this.#program.dir, FOLDER)).split("\n");
    return {
      text: lines.map((line) => isDocument(line) ? this.#laidOut(line) : line).join("\n"),
      documents: stdout.split("\n").filter(isDocument).map((line) => JSON.parse(line)),
    };
  }

  #laidOut(line: string): string {
    const long = JSON.stringify(this.#above);
    return long.length > LINE && line.includes(long)
      ? laidOut(JSON.parse(line.replace(long, () => '"(the text above)"')))
      : laidOut(JSON.parse(line));
  }

  [Symbol.dispose](): void {
    this.#program[Symbol.dispose]();
  }
}

/** What differs from machine to machine and from run to run, taken out. */
function steady(text: string): string {
  const { deno, v8, typescript } = Deno.version;
  return text
    .replaceAll(/ in [\d.]+ s(, [\d.,]+ [KMG]?i?B\/s)?(?=\n|;)/g, " in T s")
    .replaceAll(/"seconds":[\d.]+(?=,"(?:out|back)")/g, '"seconds":0')
    .replaceAll(/"calls":\d+/g, '"calls":0')
    .replaceAll(/"milliseconds":[\d.]+/g, '"milliseconds":0')
    .replaceAll(Deno.build.target, "TARGET")
    .replaceAll(`Deno ${deno}`, "Deno N")
    .replaceAll(
      `"deno":"${deno}","v8":"${v8}","typescript":"${typescript}"`,
      '"deno":"N","v8":"N","typescript":"N"',
    )
    .replaceAll(VERSION, "VERSION");
}

/** A document over lines, so that a diff shows what changed: what fits into one line stays in it. */
function laidOut(value: unknown, indent = "", before = 0): string {
  const line = flat(value);
  if (indent.length + before + line.length <= LINE) return line;
  if (typeof value === "string") return value.split(/(?<=\n)(?=.)/s).map(inner).join(`\n${indent}`);
  if (typeof value !== "object" || value === null) return line;
  const within = `${indent}  `;
  const parts = Array.isArray(value)
    ? value.map((item) => within + laidOut(item, within))
    : Object.entries(value).map(([key, item]) => {
      const name = `${JSON.stringify(key)}: `;
      return within + name + laidOut(item, within, name.length);
    });
  const [open, close] = Array.isArray(value) ? "[]" : "{}";
  return `${open}\n${parts.join(",\n")}\n${indent}${close}`;
}

/** A line of a long text, with the quotes at its ends. */
function inner(line: string, at: number, all: readonly string[]): string {
  const text = JSON.stringify(line);
  return text.slice(at === 0 ? 0 : 1, at === all.length - 1 ? undefined : -1);
}

function flat(value: unknown): string {
  if (typeof value !== "object" || value === null) return JSON.stringify(value);
  if (Array.isArray(value)) return `[${value.map(flat).join(", ")}]`;
  const fields = Object.entries(value).map(([key, item]) => `${JSON.stringify(key)}: ${flat(item)}`);
  return fields.length === 0 ? "{}" : `{ ${fields.join(", ")} }`;
}
