/** What the program takes from its surroundings: home directories, names of streams, devices. */
import { assert, assertEquals, assertMatch } from "@std/assert";
import { documentsOf, exists, Program } from "./support/program.ts";

Deno.test("without a home there is no default host, and the sentence says what to do", async () => {
  using program = new Program();
  for (const env of [{}, { XDG_STATE_HOME: "state" }, { HOME: "" }]) {
    for (const line of ["list", "gid", "host create", "-c gid", "shell", "host delete", "send x"]) {
      const outcome = await program.run(line.split(" "), { env: { ISM_HOST: "", ...env }, stdin: "gid\n" });
      assertEquals([outcome.code, outcome.stdout], [4, ""], `${line}: ${outcome.stderr}`);
      assertMatch(
        outcome.stderr,
        /^ism: [^\n]*neither HOME nor XDG_STATE_HOME[^\n]*--host FILE[^\n]*\n$/,
        line,
      );
    }
  }
  assert(!exists(program.path("state")));
  for (const line of ["help list", "version", "--version", "--host :memory: gid", "man"]) {
    assertEquals((await program.run(line.split(" "), { env: { ISM_HOST: "" } })).code, 0, line);
  }
});

Deno.test("XDG_STATE_HOME counts where it is absolute, and HOME where it is not", async () => {
  using program = new Program();
  const env = { ISM_HOST: "", HOME: program.path("home") };
  assertEquals((await program.run(["gid"], { env: { ...env, XDG_STATE_HOME: "relative" } })).code, 0);
  assert(exists(program.path("home/.local/state/ism/host.db")) && !exists(program.path("relative")));
  assertEquals(
    (await program.run(["gid"], { env: { ...env, XDG_STATE_HOME: program.path("xdg") } })).code,
    0,
  );
  assert(exists(program.path("xdg/ism/host.db")));
});

Deno.test("a name of a directory is no host file, and no directory is made of it", async () => {
  using program = new Program();
  for (const line of ["--host new/ host create", "--host new/ list", "--host a/b/ host create --force"]) {
    const outcome = await program.run(line.split(" "));
    assertEquals([outcome.code, outcome.stdout], [4, ""], line);
    assertMatch(outcome.stderr, /is the name of a directory; name a file in it, such as [^\n]*\/host\.db\n$/);
  }
  const named = await program.run(["gid"], { env: { ISM_HOST: program.path("new/") } });
  assertEquals(named.code, 4);
  assertEquals([exists(program.path("new")), exists(program.path("a"))], [false, false]);
});

Deno.test("names of the standard streams are the streams", async () => {
  using program = new Program();
  await program.result("host", "create");
  const peek = "ism peek bar2 8 6 --raw";
  const rows: readonly (readonly [line: string, shown: RegExp])[] = [
    [`printf abcdef | ism stb bar2 8 file:/dev/stdin; ${peek}`, /^abcdef$/],
    [`printf xxghijklyy | ism stb bar2 8 file:/dev/fd/0@2+6; ${peek}`, /^ghijkl$/],
    ["printf 'gid\\n' | ism run /dev/stdin", /^0x[0-9a-f]{16}\n$/],
    ["printf content | ism send /dev/stdin -o /dev/stdout", /^content$/],
    ["printf content | ism send - -o /dev/stderr 2>&1 >/dev/null", /^content$/],
    ["ism host export /dev/fd/1", /^\{[^]*"topology"/],
    ["ism gid --trace-file /dev/stderr 2>&1 >/dev/null", /^\{"traceEvents":\[\{/],
    ["ism gid -q --trace-file /dev/stdout", /^\{"traceEvents":\[\{/],
    ["ism send /dev/stdin -o /dev/null </dev/null", /: 0 bytes/],
  ];
  for (const [line, shown] of rows) {
    const { code, stdout, stderr } = await program.shell(line);
    assertEquals([code, stderr], [0, ""], line);
    assertMatch(stdout, shown, line);
  }
  const both = await program.run(["--json", "--trace-file", "/dev/stdout", "gid"]);
  assertEquals(both.code, 2);
});

Deno.test("a device that Deno keeps from the program is refused with the real reason", async () => {
  using program = new Program();
  program.write("file", "x");
  for (const line of ["send file -o /dev/full", "run /dev/full", "--trace-file /proc/self/mem gid"]) {
    const outcome = await program.run(line.split(" "));
    assertEquals([outcome.code, outcome.stdout], [4, ""], line);
    assertMatch(
      outcome.stderr,
      /may not be opened: Deno, which runs ism, keeps it to programs with every permission/,
    );
  }
});

Deno.test("let is for lines that follow", async () => {
  using program = new Program();
  const alone = await program.run(["let", "x", "gid"]);
  assertEquals([alone.code, alone.stdout], [2, ""]);
  assertMatch(alone.stderr, /^ism: let: "let" keeps a value for the lines behind it; use it in a script/);
  assertEquals((await program.run(["-c", "let x gid", "-c", "rgid $x"])).code, 0);
});

Deno.test("sizes and addresses in the forms that people write", async () => {
  using program = new Program();
  const documents = await program.documents([
    "dma map --size 64K",
    "dma map --size 4KiB",
    "dma map --size 1MiB",
  ]);
  assertEquals(documents.map(({ result }) => result.size), [65536, 4096, 1048576]);
  const wrong = await program.run(["dma", "map", "--size", "4KB"]);
  assertEquals(wrong.code, 2);
  assertMatch(wrong.stderr, /units are powers of 1024, and KB is taken for 1000s, try 4KiB$/m);
  const gids = ["1", "2:0:0.0", "0002:00:00.0", "2:00:0.0", "fid:0x11"];
  const found = await Promise.all(gids.map((which) => program.result("gid", "-d", which)));
  assertEquals(new Set(found.map(({ gid }) => gid)).size, 1);
  assertEquals((await program.run(["gid", "-d", "12345:0:0.0"])).code, 2);
  const sleeps = await program.documents(["sleep 500ms", "sleep 1h", "sleep 2s"]);
  const clocks = sleeps.map(({ result }) => result.clock);
  assertEquals([clocks[1] - clocks[0], clocks[2] - clocks[1]], [3_600_000_000, 2_000_000]);
});

Deno.test("dry runs say what would be done, and touch nothing", async () => {
  using program = new Program();
  program.write("file", "text");
  // There is no host file yet, and none is made.
  const fresh = await program.run(["-n", "dmb", "register", "--size", "4k", "--rgid", "1"]);
  assertMatch(fresh.stdout, /^dry run: nothing is changed\n0x[0-9a-f]+\n$/);
  assert(!exists(program.host));
  await program.result("host", "create");
  await program.result("host", "export", "saved.json");
  const before = program.state();
  const rows: readonly (readonly [line: string, code: number, shown: RegExp])[] = [
    ["host reset", 0, /^dry run: would reset [^\n]*host\.db\n$/],
    ["host delete", 0, /^dry run: would delete [^\n]*host\.db\n$/],
    ["host create", 4, /exists already/],
    ["host create --force --functions 3", 0, /^dry run: would create [^\n]*host\.db with 3 functions\n$/],
    ["host import saved.json", 4, /exists already/],
    ["host import saved.json --force", 0, /^dry run: would create [^\n]* with 2 functions\n$/],
    ["host export new.json", 0, /^dry run: would write new\.json with 0 memory pages\n$/],
    ["send file -o copy", 0, /^dry run: nothing is changed\n0001:00:00\.0 -> [^]*sha256/],
    ["recv -d 1 -o copy", 2, /recv cannot be tried with --dry-run/],
    ["send file --wait 1", 2, /cannot be tried with --dry-run/],
    ["vlan add 5", 0, /^dry run: nothing is changed\n$/],
    ["repeat 2 gid", 0, /^dry run: nothing is changed\n0x[0-9a-f]+\n0x[0-9a-f]+\n$/],
    ["-c gid -c gid", 0, /^dry run: nothing is changed\n0x[0-9a-f]+\n0x[0-9a-f]+\n$/],
    ["list", 0, /^#/],
    ["--raw peek config 4 2", 0, /^[^a-z]*$/],
  ];
  for (const [line, code, shown] of rows) {
    const outcome = await program.run(["-n", ...line.split(" ")]);
    assertEquals(outcome.code, code, `${line}: ${outcome.stderr}`);
    assertMatch(code === 0 ? outcome.stdout : outcome.stderr, shown, line);
  }
  const shell = await program.run(["-n", "shell"], { stdin: "vlan add 7\nvlan list\n" });
  assertEquals([shell.code, shell.stdout], [0, "dry run: nothing is changed\n"]);
  const [document] = documentsOf(await program.run(["-n", "--json", "gid"]));
  assertEquals(document!.dry_run, true);
  assertEquals([program.state(), exists(program.path("copy")), exists(program.path("new.json"))], [
    before,
    false,
    false,
  ]);
});

Deno.test("help on families, members and words, and what there is in place of an unknown topic", async () => {
  using program = new Program();
  const rows: readonly (readonly [line: string, code: number, shown: RegExp])[] = [
    ["help dmb register", 0, /^ism dmb register --size/],
    ["help dmb", 0, /^ism dmb register[^]*ism dmb list/],
    ["dmb --help", 0, /^ism dmb register[^]*ism dmb list/],
    ["--help dmb", 0, /^ism dmb register[^]*ism dmb list/],
    ["dmb register -h", 0, /^ism dmb register --size/],
    ["help irq", 0, /See also\n {2}ism help irq wait {2}/],
    ["help numbers", 0, /4KiB/],
    ["help times", 0, /500ms/],
    ["help DATA", 0, /hex:00ff/],
    ["help ism", 0, /^ism: a mainframe/],
    ["help dmb regster", 2, /dmb has no subcommand "regster"; it has register, unregister, list, read\n/],
    ["help list all", 2, /list has no subcommand "all"\n/],
    ["help regster", 2, /"regster" is not a command\n {2}hint: /],
    ["help eventfd", 2, /hint: did you mean "ism help fd eventfd"\?/],
    ["help SMC-D", 2, /hint: commands whose help has the word: send/],
    ["help qqqq", 2, /hint: See "ism help all"\n/],
  ];
  for (const [line, code, shown] of rows) {
    const outcome = await program.run(line.split(" "));
    assertEquals(outcome.code, code, line);
    assertMatch(code === 0 ? outcome.stdout : outcome.stderr, shown, line);
  }
});
