/** Bad input ends in one clear line and the right exit code, with nothing changed and no stack. */
import { assert, assertEquals, assertMatch } from "@std/assert";
import { assertNoStack, inParallel, Program } from "./support/program.ts";

type Row = readonly [line: string, message: RegExp, hint?: RegExp];

/** Exit code 2. Words are separated by blanks. */
const USAGE: readonly Row[] = [
  ["peek bar2 0778", /^peek: offset: "0778" is not a number; .*leading zero.*778 or 0x778$/],
  ["peek bar2 1_", /^peek: offset: "1_" is not a number; "_" stands between two digits only$/],
  ["peek bar2 0x", /^peek: offset: "0x" is not a number; /],
  ["peek bar2 -1", /^peek: "-1" is not an option here$/, /a number has no sign here/],
  ["peek bar2 -- -1", /^peek: offset: "-1" is not a number; a number has no sign here$/],
  ["peek bar2 1e3", /^peek: offset: "1e3" is not a number; .*0x1e3$/],
  ["peek bar2 18446744073709551616", /^peek: offset: "18446744073709551616" does not fit in 64 bits$/],
  ["peek bar2 0 4KB", /^peek: count: "4KB" is not a number; .*KiB$/],
  ["dmb register --size 4096.5 --rgid 1", /^dmb register: size: "4096\.5" is not a number/],
  ["info 4294967296", /^info: region: "4294967296" is too large/],
  ["peek bar9 0", /^peek: region: "bar9" is not a region; try bar0 to bar5, config, or an index$/],
  ["sned README.md", /^"sned" is not a command$/, /did you mean "send"/],
  ["dmb regster", /^dmb has no subcommand "regster"; it has register, unregister, list, read$/],
  ["dmb", /^dmb needs a subcommand: register, unregister, list, read$/],
  ["peek bar2 0 --widht 4", /^peek: "--widht" is not an option here$/, /did you mean --width/],
  ["--jsn list", /^"--jsn" is not an option here$/, /did you mean --json/],
  ["peek bar2 0 --width", /^peek: --width needs a value: WIDTH$/],
  ["peek bar2 0 --width 3", /^peek: width: "3" is not one of 1, 2, 4, 8$/],
  ["--host", /^--host needs a value: FILE$/],
  ["-d -- query", /^"-d" needs a value before "--"$/],
  ["peek bar2 0 --width -- 4", /^peek: "--width" needs a value before "--"$/],
  ["--json=yes list", /^--json takes no value$/],
  ["-n=yes list", /^--dry-run takes no value$/],
  ["peek bar2", /^peek: OFFSET is missing; usage: peek REGION OFFSET /],
  ["poke bar2 8 1", /^poke: --width is missing; usage: poke REGION OFFSET VALUE --width WIDTH /],
  ["poke bar2 8 256 --width 1", /^poke: 0x100 does not fit 1 byte$/],
  ["gid extra", /^gid: There is no place for "extra"; usage: gid$/],
  ["stb bar2 8 hex:0", /^stb: hex: 1 digit is not a whole number of bytes; /],
  ["stb bar2 8 0011", /^stb: "0011" is not DATA; /, /try hex:0011/],
  ["--raw gid", /^gid: "gid" yields no bytes for --raw$/],
  ["-d 7 gid", /^gid: There is no function "7" on this host; /, /ism list/],
  // Also where the command looks at no function, or at all of them.
  ["-d 7 list", /^list: There is no function "7" on this host; /, /ism list/],
  ["-d 7 sleep 1", /^sleep: There is no function "7" on this host; /, /ism list/],
  ["expect ok host show -d uid:9", /^expect: There is no function "uid:9" on this host; /, /ism list/],
  ["repeat 2 list -d 2", /^repeat: There is no function "2" on this host; /, /ism list/],
  ["-d fid:0x99 gid", /^gid: There is no function "fid:0x99" on this host; /],
  ["config get NOTHING", /^config get: "NOTHING" is not a register of config space/],
  ["config set COMMAND=0x10000", /^config set: COMMAND has 2 bytes; 0x10000 does not fit$/],
  ["sleep 0.0000001", /^sleep: seconds: "0\.0000001" is finer than a microsecond; try 0\.000001$/],
  ["sleep 86400.000001", /^sleep: seconds: "86400\.000001" is too large; the most is 86400 seconds$/],
  ["irq wait --timeout 1.", /^irq wait: timeout: "1\." is not a time; try 1$/],
  ["--keep-going gid", /^gid: --keep-going and --commit-each are for run and -c$/],
  ["-c gid gid", /^gid: -c and the command "gid" exclude each other$/],
  ["expect EFUNNY gid", /^expect: "EFUNNY" is not an errno that this simulator returns$/],
  ["expect constructor gid", /^expect: "constructor" cannot be expected; /],
  ["repeat 0 gid", /^repeat: count: "0" is too small; the least is 1$/],
  ["let x list", /^let: "list" has no value that "let" could keep$/],
  ["let x explain gid", /^let: "explain" has no value that "let" could keep$/],
  ["explain", /^explain: explain needs a command behind it$/],
  ["help nothing", /^help: "nothing" is not a command$/, /ism help/],
];

/** Exit code 4. */
const FILES: readonly Row[] = [
  ["run missing.ism", /^run: "missing\.ism" does not exist$/],
  ["run .", /^run: "\." holds no script; their names end in \.ism$/],
  ["run file/script.ism", /^run: "file\/script\.ism" does not exist: a part of its path is not a directory$/],
  ["run binary", /^run: "binary" is not text in UTF-8$/],
  ["stb bar2 8 file:missing", /^stb: "missing" does not exist$/],
  ["stb bar2 8 file:.", /^stb: "\." is a directory$/],
  ["stb bar2 8 file:file@2+9", /^stb: file has 2 bytes at offset 2, not 9$/],
  ["send missing", /^send: "missing" does not exist$/],
  [
    "stb bar2 8 hex:01 --trace-file missing/t",
    /^stb: "missing\/t" cannot be written: the directory "missing" does not exist$/,
  ],
  [
    "send file -o missing/x",
    /^send: "missing\/x" cannot be written: the directory "missing" does not exist$/,
  ],
  [
    "host export missing/x",
    /^host export: "missing\/x" cannot be written: the directory "missing" does not exist$/,
  ],
  ["send file -o file/x", /^send: "file\/x" does not exist: a part of its path is not a directory$/],
  ["stb bar2 8 hex:01 --trace-file host.db", /^stb: "host\.db" is the host file; /],
  ["host create", /^host create: .*host\.db exists already; use --force to replace it$/],
  ["host create --force --from missing", /^host create: "missing" does not exist$/],
  ["host create --force --from file", /^host create: "file" is not JSON: /],
  ["host create --force --from empty.json", /^host create: "empty\.json" is no topology: guests: /],
];

function assertRefusal(stderr: string, [line, message, hint]: Row): void {
  const [first = "", ...more] = stderr.replace(/\n$/, "").split("\n");
  assertMatch(first, /^ism: /, line);
  assertMatch(first.slice("ism: ".length), message, line);
  // A hint is the only line that may follow.
  if (hint === undefined) assert(more.every((text) => text.startsWith("  hint: ")), `${line}: ${stderr}`);
  else assertMatch(more.join("\n"), hint, line);
}

for (const [code, rows] of [[2, USAGE], [4, FILES]] as const) {
  Deno.test(`ism refuses each kind of bad input with exit code ${code} and changes nothing`, async () => {
    using program = new Program();
    program.write("file", "text");
    program.write("empty.json", "{}");
    program.write("binary", Uint8Array.of(0x80, 0xff, 0x00, 0x01));
    await program.result("gid");
    const before = program.state();
    const files = [...Deno.readDirSync(program.dir)].length;
    await inParallel(rows, async (row) => {
      const outcome = await program.run(row[0].split(" "));
      assertEquals([outcome.code, outcome.stdout], [code, ""], `${row[0]}: ${outcome.stderr}`);
      assertNoStack(outcome);
      assertRefusal(outcome.stderr, row);
    });
    assertEquals(program.state(), before);
    assertEquals([...Deno.readDirSync(program.dir)].length, files, "no file was left");
  });
}

Deno.test("ism refuses an empty word and one of control characters in words that are safe to print", async () => {
  using program = new Program();
  const rows: readonly (readonly string[])[] = [
    [""],
    ["peek", "", "0"],
    ["stb", "bar2", "8", ""],
    ["--host", "", "list"],
    ["\x1b[2J"],
    ["peek", "bar2", "\x1b]0;title\x07"],
    ["run", "a\nb\x1b[31m"],
    ["\u202e\u{1f600}"],
  ];
  await inParallel(rows, async (args) => {
    const outcome = await program.run(args);
    assert(outcome.code === 2 || outcome.code === 4, `${args}: ${outcome.code}`);
    assertNoStack(outcome);
    // deno-lint-ignore no-control-regex -- what must not be there
    assertMatch(outcome.stderr, /^[^\x00-\x09\x0b-\x1f\x7f\u202e]*$/);
  });
});

Deno.test("ism says what is wrong with --json in one document, too", async () => {
  using program = new Program();
  const lines = [
    "--json peek bar0 0778",
    "--json sned",
    "run missing --json",
    "--json --raw gid",
    "send f -o - --json",
  ];
  const codes = await inParallel(lines, async (line) => {
    const { code, stdout } = await program.run(line.split(" "));
    const document = JSON.parse(stdout);
    assertEquals(Object.keys(document), ["schema", "command", "ok", "error"]);
    assertEquals([document.schema, document.ok], [1, false]);
    return [code, document.command, document.error.code];
  });
  assertEquals(codes, [
    [2, "peek", "USAGE"],
    [2, null, "USAGE"],
    [4, "run", "FILE"],
    [2, "gid", "USAGE"],
    [2, "send", "USAGE"],
  ]);
});
