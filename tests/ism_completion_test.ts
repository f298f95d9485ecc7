/** Completions in bash, zsh and fish themselves; the manual page through groff. */
import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { COMMANDS as TABLE } from "../cmd/table.ts";
import { completeLine, type World } from "../cmd/completion/engine.ts";
import { inParallel, Program } from "./support/program.ts";
import { KEY, NO_TERMINAL, plain, TerminalRun } from "./support/terminal.ts";

const COMMANDS = await TABLE.all();

/** True if a program of that name can be started. */
function has(name: string): boolean {
  try {
    return new Deno.Command(name, { args: ["--version"], stdout: "null", stderr: "null" }).outputSync()
      .success;
  } catch {
    return false;
  }
}

/** A test that needs other programs. */
function withPrograms(names: readonly string[], name: string, fn: () => Promise<void>): void {
  const missing = names.filter((each) => each === "script" ? NO_TERMINAL : !has(each));
  const reason = missing.length === 0 ? "" : ` (skipped: no ${missing.join(", ")} here)`;
  Deno.test({ name: name + reason, ignore: missing.length > 0, fn });
}

const NO_WORLD: World = { variables: () => ["tok"], devices: () => [], files: () => [] };

/** What the engine finds for a line of a script. */
function found(line: string, inScript = true): string[] {
  return completeLine(line, { table: COMMANDS, inScript }, NO_WORLD).candidates.map(({ word }) => word);
}

Deno.test("every command can be completed from its first letters, and so can each of its options and choices", () => {
  for (const { name, options, args, prefix } of COMMANDS.values()) {
    const [first = "", second] = name.split(" ");
    assert(found(first.slice(0, -1), false).includes(first), name);
    if (second !== undefined) assert(found(`${first} ${second.slice(0, -1)}`, false).includes(second), name);
    for (const key of Object.keys(options)) {
      const option = `--${key.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`;
      assert(found(`${name} ${option.slice(0, -1)}`).includes(option), `${name} ${option}`);
      assert(!found(`${name} ${option} x --`).includes(option), `${name} ${option} is there already`);
    }
    const [choices] = Object.values(args).map(({ kind }) => kind.choices);
    for (const choice of Array.isArray(choices) ? choices : []) {
      assert(found(`${name} ${choice.slice(0, -1)}`).includes(choice), `${name} ${choice}`);
    }
    if (prefix === true) {
      const before = [name, ...Object.keys(args).map((key) => key === "count" ? "3" : "ok")].join(" ");
      assert(found(`${before} pee`).includes("peek"), before);
    }
  }
});

Deno.test("the engine finds what can stand at the cursor, and nothing else", () => {
  const rows: readonly (readonly [line: string, words: readonly string[]])[] = [
    ["peek bar1", ["bar1"]],
    ["peek bar2 ", []],
    ["peek 'bar1", ["bar1"]],
    ['peek "bar1', ["bar1"]],
    ["peek bar2 0 8 --endian ", ["big", "little"]],
    ["peek --endian=b", ["--endian=big"]],
    ["gid --trace=insn,dev", ["--trace=insn,device"]],
    ["dmb read $", ["$tok"]],
    ["dmb read ${t", ["${tok}"]],
    ["dmb read \\$", []],
    ["vlan ", ["add", "del", "require", "list"]],
    ["vlan require o", ["on", "off"]],
    ["irq wai", ["wait"]],
    ["irq wait --ti", ["--timeout"]],
    ["expect E2BIG vlan ", ["add", "del", "require", "list"]],
    ["help vlan r", ["require"]],
    ["nonsense ", []],
    ["gid # comm", []],
    ["vlan list ", ["--format", "--columns", "--wide"]],
    ["host delete ", []],
    ["stb bar0 0 -- --acc", []],
    ["recv --dm", ["--dmb"]],
    ["-d 0 pee", ["peek"]],
    ["gid --js", []],
    ["peek bar9", []],
  ];
  for (const [line, words] of rows) assertEquals(found(line), words, line);
  assertEquals(found("gid --js", false), ["--json"]);
});

Deno.test("ism completes for other shells without a host, and creates none", async () => {
  using program = new Program();
  const rows: readonly (readonly [line: string, stdout: RegExp])[] = [
    ["ism pee", /^peek\twhole\tRead bytes[^\n]*\n$/],
    ["ism gid -d ", /^$/],
    ["ism peek config 0 --endian=", /^--endian=big\twhole\t\n--endian=little\twhole\t\n$/],
    ["ism send 'a f", /^a\\ file\\;\twhole\t\n$/],
    ["ism", /^$/],
    ["", /^$/],
    ["ism peek 'x\n", /^$/],
  ];
  program.write("a file;", "");
  program.write("a f\x1b[31m", "");
  await inParallel(rows, async ([line, expected]) => {
    const { code, stdout, stderr } = await program.run(["__complete", "bash", line]);
    assertEquals([code, stderr], [0, ""], line);
    assertMatch(stdout, expected, line);
  });
  assertEquals([...Deno.readDirSync(program.dir)].length, 2);
  await program.run(["host", "create", "--functions", "3", "--host", "other.db"]);
  const { stdout } = await program.run(["__complete", "fish", "ism --host other.db gid -d fid:"]);
  assertEquals(stdout.match(/^fid:0x1[0-2]\tfunction \d, /gm)?.length, 3);
});

/** What is typed, and what stands there after TAB. */
const TYPED: readonly (readonly [typed: string, shown: string])[] = [
  ["ism pee", "ism peek "],
  ["ism dmb regi", "ism dmb register "],
  ["ism gid -d uid:0x2", "ism gid -d uid:0x2 "],
  ["ism stb bar2 0 file:a", "ism stb bar2 0 file:a\\ file "],
  ["ism config set COMM", "ism config set COMMAND="],
  ["ism peek --endian=l", "ism peek --endian=little "],
];

/** Types into another shell. */
async function typeInto(command: string, prepare: string): Promise<void> {
  using program = new Program();
  const PATH = program.install();
  program.write("a file", "");
  await program.result("host", "create");
  await using run = new TerminalRun(program, command, { env: { PATH, PS1: "READY> ", TERM: "dumb" } });
  await run.until("READY> ");
  await run.type(prepare + KEY.ENTER);
  await run.until(/\n[^\n]*READY> /);
  for (const [typed, shown] of TYPED) {
    await run.type(typed);
    const begun = await run.until(/\S$/);
    await run.type(KEY.TAB);
    await run.type("#");
    assertStringIncludes(plain(begun + await run.until("#")), shown, typed);
    await run.type(KEY.CTRL_C);
    await run.until("READY> ");
  }
}

withPrograms(["bash", "script"], "ism completions bash completes in bash", async () => {
  await typeInto("exec bash --norc --noprofile -i", "source <(ism completions bash)");
});

withPrograms(["zsh", "script"], "ism completions zsh completes in zsh", async () => {
  await typeInto("exec zsh -f -i", "autoload -U compinit; compinit -u -D; source <(ism completions zsh)");
});

withPrograms(["fish"], "ism completions fish completes in fish", async () => {
  using program = new Program();
  const PATH = program.install();
  program.write("a file", "");
  await program.result("host", "create");
  for (const [typed, shown] of TYPED) {
    const script = `set -x PATH ${PATH}; ism completions fish | source; complete -C '${typed}'`;
    const { stdout, stderr } = await program.shell(`HOME='${program.dir}' fish --no-config -c "${script}"`);
    // Fish puts quotes and the space behind a word itself.
    const words = stdout.split("\n").map((line) => line.split("\t")[0]!.replaceAll("\\", ""));
    const [last] = shown.replaceAll("\\ ", "\0").trimEnd().split(" ").slice(-1);
    assert(words.includes(last!.replaceAll("\0", " ")), `${typed}: ${stdout} ${stderr}`);
  }
});

withPrograms(["bash", "zsh", "fish"], "each shell reads its script without a complaint", async () => {
  using program = new Program();
  for (const shell of ["bash", "zsh", "fish"]) {
    program.write("script", (await program.run(["completions", shell])).bytes);
    const { code, stderr } = await program.shell(`HOME='${program.dir}' ${shell} -n script`);
    assertEquals([code, stderr], [0, ""], shell);
  }
  assertMatch((await program.run(["completions", "tcsh"])).stderr, /"tcsh" is not one of bash, zsh, fish/);
});

withPrograms(
  ["man", "groff"],
  "ism man is a manual page without a warning that tells every command and option",
  async () => {
    using program = new Program();
    program.write("ism.1", (await program.run(["man"])).bytes);
    const { code, stdout, stderr } = await program.shell(
      "MANWIDTH=1000 LC_ALL=C.UTF-8 man --warnings -E ascii -l ism.1",
    );
    assertEquals([code, stderr], [0, ""]);
    const groff = await program.shell("groff -man -ww -z -Tutf8 ism.1");
    assertEquals([groff.code, groff.stderr], [0, ""]);
    const page = stdout.replaceAll(/\s+/g, " ");
    for (const { name, summary, options, examples } of COMMANDS.values()) {
      assertStringIncludes(page, `${summary}.`.replaceAll(/\s+/g, " "));
      for (const example of examples) assertStringIncludes(page, ` ism ${example} `);
      for (const key of Object.keys(options)) {
        assertMatch(
          page,
          new RegExp(` (-\\w, )?--?${key.replace(/[A-Z]/g, (it) => `-${it.toLowerCase()}`)}[[ ]`),
          name,
        );
      }
    }
    for (const section of ["NAME", "SYNOPSIS", "EXIT STATUS", "ENVIRONMENT", "FILES"]) {
      assertMatch(stdout, new RegExp(`^${section}$`, "m"));
    }
  },
);
