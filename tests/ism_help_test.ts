/** Help: there for every command, with examples that are understood and that work on a fresh host. */
import { assert, assertEquals, assertMatch } from "@std/assert";
import type { AnyCommand } from "../cmd/language/command.ts";
import { literalWord } from "../cmd/language/options.ts";
import { parseLine } from "../cmd/language/parse.ts";
import { parseScript } from "../cmd/run/script.ts";
import { COMMANDS } from "../cmd/table.ts";
import { splitWords } from "../cmd/language/words.ts";
import { inParallel, Program } from "./support/program.ts";
import { NO_TERMINAL, plain, TerminalRun } from "./support/terminal.ts";

const ALL: readonly AnyCommand[] = [...COMMANDS.values()];
const ROOT = new URL("../", import.meta.url);
/** Families of commands whose first word is no command. */
const FAMILIES = [...new Set(ALL.map(({ name }) => name.split(" ")[0]!))].filter((word) =>
  !COMMANDS.has(word)
);

/** An example as the shell hands it over. */
function words(example: string): string[] {
  return splitWords(example, { file: "example", line: 1 }).map(({ text }) => text);
}

Deno.test("ism help lists every command, and help on a command ends with its examples", async () => {
  using program = new Program();
  const overview = await program.run(["help"]);
  assertEquals([overview.code, overview.stderr], [0, ""]);
  // Summaries are wrapped to the width of the terminal.
  const words = overview.stdout.replaceAll(/\s+/g, " ");
  for (const { name, summary } of ALL) assert(words.includes(` ${name} ${summary}`), name);
  const documents = await program.documents(
    [...ALL.map(({ name }) => name), ...FAMILIES].map((name) => `help ${name}`),
  );
  for (const [i, { name, examples }] of ALL.entries()) {
    const { text } = documents[i]!.result;
    assert(text.startsWith(`ism ${name}`), name);
    assert(examples.length > 0, `${name} has an example`);
    assert(text.endsWith(`\nExamples\n${examples.map((line) => `  ism ${line}\n`).join("")}`), name);
  }
  for (const { ok, result } of documents.slice(ALL.length)) {
    assert(ok && result.text.includes("\nExamples\n"));
  }
});

for (const columns of [40, 60, 80, 132]) {
  Deno.test({
    name: `ism help has no line that is wider than a terminal of ${columns} columns, but for examples`,
    ignore: NO_TERMINAL,
    async fn() {
      using program = new Program();
      const script = program.write("help.ism", ["help", ...ALL.map(({ name }) => `help ${name}`)].join("\n"));
      await using run = new TerminalRun(program, ["run", script], { columns });
      assertEquals(await run.end(), 0);
      const examples = new Set(ALL.flatMap(({ examples }) => examples.map((line) => `  ism ${line}`)));
      const lines = plain(run.output).split("\n");
      assert(lines.length > 2 * ALL.length);
      const wide = lines.filter((line) => line.length > columns && !examples.has(line));
      assertEquals(wide.filter((line) => /\S\s+\S/.test(line.trim())), [], "a longer word stands alone");
    },
  });
}

Deno.test("ism COMMAND --help and ism help COMMAND say the same", async () => {
  using program = new Program();
  for (const name of ["stb", "dmb register", "dmb", "expect", "explain"]) {
    const [one, two] = await Promise.all([
      program.run(["help", ...name.split(" ")]),
      program.run([...name.split(" "), "--help"]),
    ]);
    assertEquals([two.code, two.stdout], [0, one.stdout]);
    assertMatch(one.stdout, /^ism /);
  }
  const behind = await program.run(["expect", "ok", "stb", "--help"]);
  assertEquals([behind.code, behind.stderr], [0, ""], "help stands for the command that is prefixed");
  const [bare, flag] = await Promise.all([program.run([]), program.run(["-h"])]);
  assertEquals([bare.code, bare.stdout], [0, flag.stdout]);
  assertEquals([...Deno.readDirSync(program.dir)], [], "help needs no host");
});

Deno.test("ism understands every example of its help", () => {
  for (const { name, examples } of ALL) {
    for (const example of examples) {
      const invocation = parseLine(words(example).map((word, i) => literalWord(word, i + 1)), COMMANDS, {
        inScript: false,
      });
      assert(invocation.command !== undefined, `${name}: ${example}`);
    }
  }
});

/** True for a line that may stand in a script. */
function isScriptLine(example: string): boolean {
  try {
    return parseScript(example, "example", COMMANDS).length === 1;
  } catch {
    return false;
  }
}

Deno.test("ism help shows examples that work as they are on a fresh host", async () => {
  const examples = ALL.flatMap(({ examples }) => [...examples]);
  // What a program prints is no document.
  const lines = examples.filter((example) => isScriptLine(example) && !example.startsWith("exec "));
  using fresh = new Program();
  await fresh.result("host", "create");
  await fresh.result("gid", "--host", ":memory:", "--trace-file", "trace.jsonl");
  // What the examples name, and the fresh host.
  const files = {
    "README.md": Deno.readFileSync(new URL("README.md", ROOT)),
    "examples/tour.ism": Deno.readFileSync(new URL("examples/tour.ism", ROOT)),
    "saved.json": (await fresh.run(["host", "export"])).bytes,
    "host.db": fresh.read("host.db"),
    "trace.jsonl": fresh.read("trace.jsonl"),
  };
  const place = () => {
    const program = new Program();
    Deno.mkdirSync(program.path("examples"));
    for (const [name, content] of Object.entries(files)) program.write(name, content);
    return program;
  };
  // One process for each would be slow: what works both before and after all others needs none of them.
  const doubtful = new Set(examples.filter((example) => !lines.includes(example)));
  await inParallel([lines, lines.toReversed()], async (order) => {
    using program = place();
    const documents = await program.documents(order);
    documents.forEach(({ ok }, i) => ok || doubtful.add(order[i]!));
  });
  const failures = await inParallel([...doubtful], async (example) => {
    using program = place();
    const { code, stderr } = await program.run(words(example));
    return code === 0 ? [] : [`${example}: ${code} ${stderr.trimEnd().split("\n").at(-1)}`];
  });
  assertEquals(failures.flat(), []);
});
