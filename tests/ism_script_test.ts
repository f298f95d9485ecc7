/** Scripts: understood as a whole before line 1 runs, stopped at the first failure, mistakes shown where they are. */
import { assert, assertEquals, assertMatch } from "@std/assert";
import { assertNoStack, documentsOf, inParallel, Program } from "./support/program.ts";

const GID0 = "0x62441adacc2f9ccf";
const VLANS = ["vlan add 1", "vlan add 2", "vlan add 3", "vlan add 4"];

async function vlans(program: Program): Promise<readonly number[]> {
  return (await program.result("vlan", "list")).ids;
}

/** Scripts with a mistake, and all that is said about it: place, sentence, source line, caret. */
const MISTAKES: readonly (readonly [script: string, diagnostic: string])[] = [
  [
    "gid\n\n  stb   bar9 8 hex:00 # comment\n",
    `s.ism:3:9: region: "bar9" is not a region; try bar0 to bar5, config, or an index
3 |   stb   bar9 8 hex:00 # comment
            ^
`,
  ],
  [
    "peek bar2 \\\n   0778 \\\n 4\n",
    `s.ism:2:4: offset: "0778" is not a number; a leading zero is not octal here, try 778 or 0x778
2 |    0778 \\
       ^
`,
  ],
  [
    "stb\tbar2\t8\thex:0z\n",
    `s.ism:1:12: hex: "z" is not a hexadecimal digit
1 | stb\tbar2\t8\thex:0z
       \t    \t \t^
`,
  ],
  [
    "gid\nstb bar2 8 'text:open\ngid\n",
    `s.ism:2:12: the ' quote has no end
2 | stb bar2 8 'text:open
               ^
`,
  ],
  [
    "let a gid\nrgid $b\n",
    `s.ism:2:6: there is no variable "$b"
2 | rgid $b
         ^
  hint: let b COMMAND… sets it; \\$ is a dollar sign
`,
  ],
  [
    "peek bar2 $\n",
    `s.ism:1:11: no variable name after $; write \\$ for a dollar sign
1 | peek bar2 $
              ^
`,
  ],
  [
    "\n\npeek bar2 0 --widht 4\n",
    `s.ism:3:13: "--widht" is not an option here
3 | peek bar2 0 --widht 4
                ^
  hint: did you mean --width? See --help
`,
  ],
  [
    "expect EINVAL repeat 2 run x\n",
    `s.ism:1:24: "run" cannot stand behind "repeat"
1 | expect EINVAL repeat 2 run x
                           ^
`,
  ],
  [
    "gid\nhost reset\n",
    `s.ism:2:1: "host reset" cannot stand in a script
2 | host reset
    ^
`,
  ],
  [
    "gid\0\n",
    `s.ism:1:4: a NUL character; a script is plain text
1 | gid\\x00
       ^
`,
  ],
];

Deno.test("ism run shows file, line, column, source line and caret of a mistake", async () => {
  using program = new Program();
  await inParallel(MISTAKES, async ([script, diagnostic]) => {
    const directory = Deno.makeTempDirSync({ dir: program.dir });
    Deno.writeTextFileSync(`${directory}/s.ism`, script);
    const outcome = await program.run(["run", `${directory}/s.ism`]);
    assertEquals([outcome.code, outcome.stdout], [2, ""]);
    assertEquals(outcome.stderr.replace(`${directory}/`, ""), diagnostic);
  });
});

Deno.test("ism run shows the place of a refusal in the same way", async () => {
  using program = new Program();
  program.write("r.ism", "gid\n\nstb bar0 \\\n  0xff8 seq:0*9\n");
  const outcome = await program.run(["run", "r.ism"]);
  assertEquals(outcome.code, 1);
  assertEquals(
    outcome.stderr,
    `r.ism:3:1: Length 9 at 0xff8 crosses a 4096-byte boundary (EINVAL)
3 | stb bar0 \\
    ^
  rule: vfio.write.boundary  (ism help vfio.write.boundary)
  hint: split at 0x1000, or align the block
`,
  );
});

Deno.test("ism run does nothing of lines 1 to 4 when line 5 is a mistake", async () => {
  using program = new Program();
  await program.result("host", "create");
  const before = program.state();
  const mistakes = [
    "stb bar2 0778 hex:00",
    "nonsense",
    "gid --nonsense",
    "rgid $nobody",
    "gid 'open",
    "run other",
    "vlan add \\",
  ];
  await inParallel(mistakes, async (mistake) => {
    const outcome = await program.script([...VLANS, mistake], "--json");
    assertEquals(outcome.code, 2, mistake);
    assertNoStack(outcome);
    assertMatch(outcome.stderr, /^stdin:5:\d+: /);
    const [document, ...more] = documentsOf(outcome);
    assertEquals([document!.ok, document!.file, document!.line, more], [false, "stdin", 5, []]);
  });
  assertEquals(program.state(), before);
});

Deno.test("ism run undoes lines 1 to 4, and says nothing of them, when ism itself cannot do line 5", async () => {
  using program = new Program();
  await program.result("open");
  const before = program.state();
  const lines: readonly (readonly [line: string, code: number])[] = [
    ["stb bar2 8 file:missing", 4],
    ["poke bar2 8 256 --width 1", 2],
    ["gid -d 99", 2],
    ["send missing", 4],
  ];
  await inParallel(lines, async ([line, code]) => {
    const outcome = await program.script([...VLANS, "gid", line, "gid"], "--json");
    assertEquals(outcome.code, code, line);
    assertNoStack(outcome);
    assertEquals(documentsOf(outcome).map(({ ok, line }) => [ok, line]), [[false, 6]]);
  });
  assertEquals(program.state(), before);
});

Deno.test("ism run stops at a refusal and keeps what was done; --keep-going goes on", async () => {
  using program = new Program();
  const lines = ["vlan add 1", "stb bar0 0xff8 seq:0*9", "vlan add 3", "expect EIO gid"];
  const stopped = await program.script(lines, "--json");
  assertEquals(stopped.code, 1);
  assertEquals(documentsOf(stopped).map(({ ok, line }) => [ok, line]), [[true, 1], [false, 2]]);
  assertEquals(await vlans(program), [1]);
  const went = await program.script(lines, "--keep-going", "--json");
  assertEquals(went.code, 1, "the first failure's code");
  assertEquals(documentsOf(went).map(({ ok }) => ok), [true, false, true, false]);
  assertEquals(await vlans(program), [1, 3]);
  const expecting = await program.script(["vlan add 5", "expect EIO gid", "vlan add 6"]);
  assertEquals(expecting.code, 3);
  const alone = await program.script(["gid", "expect EIO gid", "rgid 0x1"], "--keep-going");
  assertEquals(alone.code, 3);
});

Deno.test("ism run --commit-each keeps each line that was done", async () => {
  using program = new Program();
  const outcome = await program.script(
    ["vlan add 1", "vlan add 2", "stb bar2 8 file:missing", "vlan add 4"],
    "--commit-each",
  );
  assertEquals(outcome.code, 4);
  assertEquals(await vlans(program), [1, 2]);
});

Deno.test("ism -c takes lines one after the other, as run does from a file and from standard input", async () => {
  using program = new Program();
  const lines = ["let g gid", "rgid $g -d 1", "expect =$g gid"];
  program.write("lines.ism", lines.join("\r\n"));
  const wanted = `${GID0} is reachable\n`;
  const outcomes = [
    await program.run(lines.flatMap((line) => ["-c", line])),
    await program.run(["run", "lines.ism"]),
    await program.script(lines),
  ];
  for (const { code, stdout, stderr } of outcomes) assertEquals([code, stdout, stderr], [0, wanted, ""]);
  const named = documentsOf(await program.run(["--json", "-c", "gid", "-c", "rgid 0x1"]));
  assertEquals(named.map(({ file, line, ok }) => [file, line, ok]), [["-c", 1, true], ["-c", 2, false]]);
  const nothing = await program.script(["", "   # a comment", ""], "--json");
  assertEquals([nothing.code, nothing.stdout, nothing.stderr], [0, "", ""]);
});

Deno.test("ism --device before a script holds for each line that names none", async () => {
  using program = new Program();
  const [one, zero] = await program.documents(["gid", "gid -d 0"], "-d", "1");
  assert(one!.result.gid !== GID0);
  assertEquals(zero!.result.gid, GID0);
});

Deno.test("ism runs each script of tests/scripts without a failure", async () => {
  const folder = new URL("scripts/", import.meta.url);
  const names = [...Deno.readDirSync(folder)].map(({ name }) => name).filter((name) => name.endsWith(".ism"));
  assert(names.length > 0);
  await inParallel(names.toSorted(), async (name) => {
    const text = Deno.readTextFileSync(new URL(name, folder));
    assertMatch(text, /^# \S/, `${name} begins with its symptom`);
    using program = new Program();
    program.write(name, text);
    const topology = /^# topology: (.*)$/m.exec(text)?.[1];
    if (topology !== undefined) {
      program.write("topology.json", topology);
      await program.result("host", "create", "--from", "topology.json");
    }
    const { code, stderr } = await program.run(["run", name]);
    assertEquals([code, stderr], [0, ""], name);
    const check = await program.run(["host", "check"]);
    assertEquals([check.code, check.stderr], [0, ""], `what ${name} leaves behind`);
  });
});
