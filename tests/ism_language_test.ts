/** The language of scripts: words with variables and arithmetic, `let`, `repeat`, `echo`, `source`, and all mistakes at once. */
import { assertEquals, assertMatch } from "@std/assert";
import { assertNoStack, documentsOf, inParallel, Program } from "./support/program.ts";

const GID0 = "0x62441adacc2f9ccf";

/** Scripts, and what they print on standard output. */
const PRINTED: readonly (readonly [lines: readonly string[], stdout: string])[] = [
  [["echo one  two 'three  four'"], "one two three  four\n"],
  [["echo"], "\n"],
  [["echo -- -x --json", "echo a -q"], "-x --json\na -q\n"],
  [["echo $((1 + 2 * 3)) x$((4k/2))y \"$((1<<4)) pages\" '$((1))'"], "7 x2048y 16 pages $((1))\n"],
  [["let a = 5", "let b = $((a * 3 - 1))", "echo $b $(($a+b))"], "14 19\n"],
  [["let a = 'two words'", "echo $a"], "two words\n"],
  [["let a = ''", 'echo "[$a]"'], "[]\n"],
  [["let big = $((0xffff_ffff_ffff_ffff))", "echo $big"], "18446744073709551615\n"],
  [["let g gid", "echo $g"], `${GID0}\n`],
  [["let g=gid gid -d 0", "echo $g"], `${GID0}\n`],
  [["let ret,to=position stb bar2 8 fill:0*8", "echo $ret $to"], "8 0x2000000000010\n"],
  [["let size=regions.0.size,name=regions.0.name info", "echo $name $size"], "bar0 281474976710656\n"],
  [["repeat 3 echo $i of $n"], "0 of 3\n1 of 3\n2 of 3\n"],
  [["repeat 2 repeat 2 echo $i of $n"], "0 of 2\n1 of 2\n0 of 2\n1 of 2\n"],
  [["let i = 9", "repeat 2 echo $i", "echo $i"], "0\n1\n9\n"],
  [["repeat 2 let last = $i", "echo $last"], "1\n"],
  [["let x expect ok echo kept", "echo $x", "expect =kept echo $x"], "kept\n"],
  [["repeat 2 expect hex:0000 peek bar2 $((8 + 8*i)) 2"], ""],
];

Deno.test("scripts print what their words come to", async () => {
  await inParallel(PRINTED, async ([lines, expected]) => {
    using program = new Program();
    const { code, stdout, stderr } = await program.script(lines);
    assertEquals([code, stderr, stdout], [0, "", expected], lines.join("; "));
  });
});

/** Scripts that are wrong before anything runs, and those that are wrong when they run, with the place and the words. */
const WRONG: readonly (readonly [lines: readonly string[], place: string, message: RegExp])[] = [
  [["gid", "repeat 2 gid", "echo $i"], "3:6", /there is no variable "\$i"/],
  [["repeat $n gid"], "1:8", /there is no variable "\$n"/],
  [["echo $((x + 1))"], "1:6", /there is no variable "\$x"/],
  [["echo $((1 / 0))"], "1:6", /a division by zero/],
  [["echo a$((1 +))"], "1:7", /a value is missing/],
  [["echo $((1"], "1:6", /\$\(\( has no end; \)\) ends it/],
  [["let x = a b"], "1:11", /no place for "b"; quote a value that has blanks/],
  [["echo -x"], "1:6", /"-x" is not an option here/],
  [["let x ="], "1:1", /A word is missing behind "="; an empty one is ''/],
  [["let x=5"], "1:1", /let needs a command behind it/],
  [["let x=a,y = 5"], "1:5", /"let NAME = WORD" sets one name/],
  [["let x,y- gid"], "1:5", /"y-" is not a name/],
  [["let x= gid"], "1:5", /"" is not a field of a result/],
  [["let x list"], "1:7", /"list" has no value that "let" could keep/],
  [["let x=outcome explain gid"], "1:15", /"explain" has no value that "let" could keep/],
  [["source $x"], "1:8", /source takes the name of a file, known before anything runs/],
  [["source -"], "1:8", /and not standard input/],
  [["repeat 2 source a.ism"], "1:10", /"source" cannot stand behind "repeat"/],
  [["let z = 0", "echo $((1 / z))"], "2:6", /a division by zero/],
  [["let z = word", "echo $((z + 1))"], "2:6", /\$z: "word" is not a number/],
  [["let x=nothing gid"], "1:1", /The result of "gid" has no "nothing"; there is gid/],
  [["let x=regions info"], "1:1", /"regions" of "info" is not one value/],
];

Deno.test("scripts say where a word is wrong, before anything runs where that can be known", async () => {
  await inParallel(WRONG, async ([lines, place, message]) => {
    using program = new Program();
    const outcome = await program.script(["gid", ...lines]);
    assertNoStack(outcome);
    const [line, column] = place.split(":");
    assertEquals([outcome.code, outcome.stdout], [2, ""], lines.join("; "));
    assertMatch(outcome.stderr, new RegExp(`^stdin:${Number(line) + 1}:${column}: `), lines.join("; "));
    assertMatch(outcome.stderr, message);
  });
});

Deno.test("all mistakes of a script are told, in order, and nothing runs", async () => {
  using program = new Program();
  const lines = ["vlan add 1", "nonsense", "let a bad", "echo $a", "gid 'open", "peek bar9 0", "echo $b"];
  const text = await program.script(lines);
  assertEquals([text.code, text.stdout], [2, ""]);
  assertEquals([...text.stderr.matchAll(/^stdin:(\d+):/gm)].map(([, line]) => line), [
    "2",
    "3",
    "5",
    "6",
    "7",
  ]);
  const json = documentsOf(await program.script(lines, "--json"));
  assertEquals(json.map(({ ok, line }) => [ok, line]), [2, 3, 5, 6, 7].map((line) => [false, line]));
  assertEquals((await program.result("vlan", "list")).ids, []);
  const many = await program.script(Array.from({ length: 150 }, () => "nonsense"), "--json");
  assertEquals(documentsOf(many).length, 100);
});

Deno.test("source takes the lines of another script in, as if they stood there", async () => {
  using program = new Program();
  program.write("names.ism", "let page = 4096\n# nothing else\n");
  program.write("use.ism", "source names.ism\necho $((page * 2))\nlet after = $page\n");
  program.write("main.ism", "let page = 1\nsource use.ism\necho $after\nvlan add 7\nexpect EIO gid\n");
  const outcome = await program.run(["run", "main.ism"]);
  assertEquals([outcome.code, outcome.stdout], [3, "8192\n4096\n"]);
  assertMatch(outcome.stderr, /^main\.ism:5:1: Expected EIO from "gid", got success/);
  program.write("late.ism", "source use.ism\nnonsense\n");
  program.write("first.ism", "echo begun\nsource late.ism\nwrong, too\n");
  const late = await program.run(["run", "first.ism"]);
  assertEquals([late.code, late.stdout], [2, ""]);
  assertEquals([...late.stderr.matchAll(/^(\w+\.ism:\d+):/gm)].map(([, at]) => at), [
    "late.ism:2",
    "first.ism:3",
  ]);
  const [named] = documentsOf(await program.run(["run", "main.ism", "--json"]))
    .filter(({ command }) => command === "echo");
  assertEquals([named!.file, named!.line], ["use.ism", 2]);
});

Deno.test("source ends in a sentence where it would not end, or a file is not there", async () => {
  using program = new Program();
  program.write("self.ism", "gid\nsource ./self.ism\n");
  program.write("a.ism", "source b.ism\n");
  program.write("b.ism", "source a.ism\n");
  program.write("missing.ism", "gid\nsource nobody.ism\n");
  for (let i = 0; i < 20; i++) program.write(`deep${i}.ism`, `source deep${i + 1}.ism\n`);
  program.write("deep20.ism", "gid\n");
  const rows: readonly (readonly [file: string, message: RegExp])[] = [
    ["self.ism", /self\.ism:2: ".\/self\.ism" is being read already\n$/],
    ["a.ism", /b\.ism:1: "a\.ism" is being read already\n$/],
    ["missing.ism", /missing\.ism:2: "nobody\.ism" .*\n$/],
    ["deep0.ism", /deep15\.ism:1: more than 16 files within each other\n$/],
  ];
  for (const [file, message] of rows) {
    const outcome = await program.run(["run", file]);
    assertEquals([outcome.code, outcome.stdout], [4, ""], file);
    assertNoStack(outcome);
    assertMatch(outcome.stderr, message);
  }
  assertEquals((await program.run(["run", "deep5.ism"])).code, 0, "16 files");
  assertEquals((await program.run(["source", "deep5.ism"])).stdout, `${GID0}\n`, "as run does");
});

Deno.test("the shell takes the same lines: let and arithmetic live on, source runs up to the first failure", async () => {
  using program = new Program();
  program.write("part.ism", "vlan add 3\nlet seen = $((base + 1))\nexpect EIO gid\nvlan add 4\n");
  const lines = ["let base = $((2 ** 12))", "source part.ism", "echo $seen $base", "vlan list"];
  const { code, stdout, stderr } = await program.run(["shell"], { stdin: lines.join("\n") });
  assertEquals([code, stdout], [3, "4097 4096\n3\n"]);
  assertMatch(stderr, /^part\.ism:3:1: Expected EIO/);
});
