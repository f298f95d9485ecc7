/** Tables of the program: widths, formats, columns. */
import { assert, assertEquals, assertMatch } from "@std/assert";
import { COMMANDS as TABLE } from "../cmd/table.ts";
import { Program } from "./support/program.ts";
import { NO_TERMINAL, plain, TerminalRun } from "./support/terminal.ts";

const COMMANDS = await TABLE.all();

/** Lines that make every table have rows. */
const BEGIN = [
  "let writer gid -d 1",
  "dmb register --size 64k --rgid $writer",
  "fault add insn:PCILG -d 0 --at 9 --cc 2",
  "signal $writer --code 0x107 --info 0x1",
];
/** Listings and lines that print their tables. */
const LISTINGS: readonly string[] = [
  "list",
  "info",
  "info bar0",
  "sysfs",
  "config",
  "config get COMMAND STATUS",
  "dmb list",
  "vlan list",
  "dma list",
  "fd list",
  "fault list",
  "poll 3 --timeout 0",
];

for (const columns of [40, 60, 80, 200]) {
  Deno.test({
    name: `tables fit a terminal of ${columns} columns, and -v and --wide bring everything back`,
    ignore: NO_TERMINAL,
    async fn() {
      using program = new Program();
      program.write("begin.ism", `${BEGIN.slice(0, 2).join("\n")}\n`);
      assertEquals((await program.run(["run", "begin.ism"])).stderr, "");
      program.write("all.ism", `${LISTINGS.join("\n")}\n`);
      await using run = new TerminalRun(program, ["run", "all.ism"], { columns });
      assertEquals(await run.end(), 0, run.output);
      const lines = plain(run.output).split("\n");
      assert(lines.length > 60);
      for (const line of lines) {
        assert(line.length <= columns || !/\S\s+\S/.test(line.trim()), `${columns}: ${line}`);
      }
      await using verbose = new TerminalRun(program, ["list", "-v"], { columns });
      await using wide = new TerminalRun(program, ["list", "--wide"], { columns });
      assertEquals([await verbose.end(), await wide.end()], [0, 0]);
      const whole = await program.run(["list"]);
      for (const { output } of [verbose, wide]) assertEquals(plain(output), whole.stdout);
      await using narrow = new TerminalRun(program, ["list"], { columns });
      assertEquals(await narrow.end(), 0);
      assertEquals(plain(narrow.output) === whole.stdout, columns === 200);
      assert(/#\s+ADDRESS\s.*STATE\n/.test(plain(narrow.output)), "what matters most stays");
    },
  });
}

Deno.test("a table in a pipe is whole, unless COLUMNS says how wide it may be", async () => {
  using program = new Program();
  const head = async (env: Record<string, string>, ...more: string[]) => {
    const { code, stdout } = await program.run(["list", ...more], { env });
    assertEquals(code, 0);
    return stdout.split("\n")[0]!.split(/ +/);
  };
  const all = ["#", "ADDRESS", "GUEST", "FID", "UID", "CHID", "GID", "DRIVER", "STATE"];
  assertEquals(await head({}), all);
  assertEquals(await head({ COLUMNS: "84" }), all);
  assertEquals(await head({ COLUMNS: "83" }), all.filter((name) => name !== "UID"));
  assertEquals(await head({ COLUMNS: "40" }), ["#", "ADDRESS", "GUEST", "STATE"]);
  assertEquals(await head({ COLUMNS: "40" }, "--wide"), all);
  for (const odd of ["", "0", "-1", "many", "1e9"]) assertEquals(await head({ COLUMNS: odd }), all, odd);
});

Deno.test("every listing prints csv, tsv and json of the columns that are asked for", async () => {
  using program = new Program();
  assertEquals((await program.script(BEGIN.slice(0, 2))).code, 0);
  const lists = [...COMMANDS.values()].filter(({ table }) => table !== undefined);
  assert(lists.length >= 10);
  for (const line of [...LISTINGS, "events"]) {
    const words = line.split(" ");
    const csv = await program.run([...words, "--format=csv"]);
    assertEquals([line, csv.code, csv.stderr], [line, 0, ""]);
    const records = csv.stdout.split("\r\n");
    assertEquals(records.at(-1), "", "the last record ends its line");
    const names = records[0]!.split(",");
    const json = await program.run([...words, "--format=json"]);
    for (const row of JSON.parse(json.stdout)) assertEquals(Object.keys(row), names, line);
    const tsv = await program.run([...words, "--format", "tsv", "--columns", names.toReversed().join(",")]);
    assertEquals(tsv.stdout.split("\n")[0], names.toReversed().join("\t"));
  }
  const { stdout } = await program.run(["list", "--columns", "#,STATE", "--format=csv"]);
  assertEquals(stdout, 'index,state\r\n0,"enabled, open"\r\n1,"enabled, open"\r\n');
  const sizes = await program.run(["dmb", "list", "--format=json", "--columns=size"]);
  assertEquals(sizes.stdout, '[{"size":65536}]\n', "a program gets the number");
});

Deno.test("what a table cannot be is refused before anything happens", async () => {
  using program = new Program();
  const rows: readonly (readonly [line: string, said: RegExp])[] = [
    ["list --columns addres", /"addres" is not one of index, .*\n {2}hint: did you mean address\?/],
    ["list --columns=", /--columns needs a value/],
    ["list --columns address,,fid", /"" is not one of/],
    ["list --format xml", /"xml" is not one of table, csv, tsv, json/],
    ["list --format csv --json", /--format and --json exclude each other\n {2}hint: --format=json/],
    ["sysfs --columns name --raw", /--columns and --raw exclude each other/],
    ["gid --format csv", /"--format" is not an option here/],
  ];
  for (const [line, said] of rows) {
    const { code, stdout, stderr } = await program.run(line.split(" "));
    assertEquals([line, code, line.includes("--json") ? "" : stdout], [line, 2, ""]);
    assertMatch(stderr, said);
  }
  assertEquals(program.state(), "", "there is not even a host");
});

Deno.test("a line of a script has the options of its own table, and so has repeat", async () => {
  using program = new Program();
  const { code, stdout } = await program.script([
    "list --columns index --format tsv",
    "repeat 2 list --columns index",
  ]);
  assertEquals([code, stdout], [0, "index\n0\n1\n#\n0\n1\n#\n0\n1\n"]);
});
