/** Help: there for every command, with examples that are understood and that work on a fresh host. */
import { assert, assertEquals, assertMatch } from "@std/assert";
import type { AnyCommand } from "../cmd/language/command.ts";
import { literalWord } from "../cmd/language/options.ts";
import { parseLine } from "../cmd/language/parse.ts";
import { parseScript } from "../cmd/run/lines/compile.ts";
import { COMMANDS as TABLE } from "../cmd/table.ts";
import { TOPIC_NAMES } from "../cmd/language/topics.ts";
import { splitWords } from "../cmd/language/words.ts";
import { inParallel, Program } from "./support/program.ts";
import { NO_TERMINAL, plain, TerminalRun } from "./support/terminal.ts";

const COMMANDS = await TABLE.all();

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

Deno.test("ism help all lists every command, and help on a command ends with its examples", async () => {
  using program = new Program();
  const overview = await program.run(["help", "all"]);
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

for (const columns of [40, 60, 80, 200]) {
  Deno.test({
    name: `ism help has no line that is wider than a terminal of ${columns} columns, but for examples`,
    ignore: NO_TERMINAL,
    async fn() {
      using program = new Program();
      const script = program.write(
        "help.ism",
        [
          "help",
          "help all",
          ...TOPIC_NAMES.map((name) => `help ${name}`),
          ...ALL.map(({ name }) => `help ${name}`),
        ].join("\n"),
      );
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

Deno.test("ism help fits a screen of 24 lines with its prompt, and names every command and topic", async () => {
  using program = new Program();
  for (const args of [[], ["help"], ["help", "ism"], ["--help"]]) {
    const { code, stdout } = await program.run(args);
    assertEquals(code, 0);
    const lines = stdout.split("\n").slice(0, -1);
    assert(lines.length <= 23, `${lines.length} lines`);
    assert(lines.every((line) => line.length < 80));
    const words = new Set(stdout.split(/\s+/));
    for (const { name } of ALL) assert(words.has(name.split(" ")[0]!), name);
    for (const name of TOPIC_NAMES.filter((each) => each !== "all")) assert(words.has(name), name);
  }
});

Deno.test("no usage line shows a default by an equals sign, and what is left out has a default that help tells", async () => {
  using program = new Program();
  const documents = await program.documents(ALL.map(({ name }) => `help ${name}`));
  for (const [i, { name }] of ALL.entries()) {
    const { commands: [command], text } = documents[i]!.result;
    // `[--audit[=FILE]]` shows no default, but where the value stands.
    assert(!/\[[^ \]]+=/.test(command.usage.replaceAll("[=", "[")), command.usage);
    for (const { default: value, help } of [...command.arguments, ...command.options]) {
      if (value === null || value === "") continue;
      assert(/default/.test(help) || text.replaceAll(/\s+/g, " ").includes(`; ${value} by default`), name);
    }
  }
});

Deno.test("ism help --json is the command table as data", async () => {
  using program = new Program();
  const { text, commands, options } = await program.result("help");
  assertEquals(text, (await program.run(["help"])).stdout);
  assertEquals(commands.map(({ name }: { name: string }) => name), ALL.map(({ name }) => name));
  const find = (name: string) => commands.find((each: { name: string }) => each.name === name);
  assertEquals(
    find("peek").arguments.map(({ name, required, default: value }: Record<string, unknown>) => [
      name,
      required,
      value,
    ]),
    [["region", true, null], ["offset", true, null], ["count", false, "8"]],
  );
  assertEquals(find("list").columns.slice(0, 2), ["index", "address"]);
  const watch = find("list").options.find(({ long }: { long: string }) => long === "--watch");
  assertEquals([watch.placeholder, watch.implied, watch.required], ["SECONDS", "2", false]);
  assertEquals([find("repeat").prefix, find("gid").has_value, find("peek").has_bytes], [true, true, true]);
  const device = options.find(({ long }: { long: string }) => long === "--device");
  assertEquals([device.short, device.placeholder, device.choices, device.in_lines], [
    "-d",
    "WHICH",
    "device",
    true,
  ]);
  // Every option of the table is one that the parser knows.
  const { commands: [own] } = await program.result("help", "dmb", "register");
  assertEquals(own, find("dmb register"));
  const family = await program.result("help", "dmb");
  assertEquals(family.commands.length, 4);
});

Deno.test("topics of help are there, and a family with a topic has both", async () => {
  using program = new Program();
  const said: Readonly<Record<string, RegExp>> = {
    data: /rand:1\*4096/,
    numbers: /octal/,
    "exit-codes": /^ {2}4 +a file could not be used/m,
    environment: /^ {2}COLUMNS /m,
    host: /transaction[^]*ism host create/,
    script: /^ {2}expect WHAT COMMAND…/m,
    json: /"ok":false/,
  };
  for (const [topic, shown] of Object.entries(said)) {
    const { code, stdout } = await program.run(["help", topic]);
    assertEquals(code, 0, topic);
    assertMatch(stdout, shown);
  }
});

Deno.test("help on a command that begins a family shows the members", async () => {
  using program = new Program();
  assertMatch(
    (await program.run(["help", "irq"])).stdout,
    /^ {2}ism help irq wait {2}Wait for an interrupt/m,
  );
  const config = (await program.run(["help", "config"])).stdout;
  for (const member of ["get", "set", "dump"]) {
    assertMatch(config, new RegExp(`^ {2}ism help config ${member} `, "m"));
  }
});
