/** The shell on a terminal: prompt, keys, history, TAB. */
import { assert, assertEquals, assertMatch, assertNotMatch, assertStringIncludes } from "@std/assert";
import { Program } from "./support/program.ts";
import { KEY, NO_TERMINAL, plain, PROMPT, TerminalRun } from "./support/terminal.ts";

/** A test that needs a terminal. */
function onTerminal(name: string, work: () => Promise<void>): void {
  const reason = NO_TERMINAL ? " (skipped: no util-linux script here)" : "";
  Deno.test({ name: name + reason, ignore: NO_TERMINAL, fn: work });
}

onTerminal("ism shell runs lines at a prompt and ends with Ctrl-D and exit code 0", async () => {
  using program = new Program();
  await using run = new TerminalRun(program, ["shell"]);
  await run.until(PROMPT);
  assertMatch(await run.line("gid"), /^0x[0-9a-f]{16}\n$/);
  assertMatch(await run.line("let g gid -d 1"), /^$/);
  assertMatch(await run.line("rgid $g"), /^0x[0-9a-f]{16} is reachable\n$/);
  assertEquals(await run.line("# nothing"), "");
  assertEquals(await run.line(""), "", "an empty line does nothing but after peek");
  await run.type(KEY.CTRL_D);
  assertEquals(await run.end(), 0);
  assertNotMatch(run.output, /Deno requests|This is a bug/);
  assert(run.output.endsWith("\r\n"), "what comes next begins on a line of its own");
});

onTerminal("ism shell goes on after a failing line, and ends with 0 all the same", async () => {
  using program = new Program();
  await using run = new TerminalRun(program, ["shell"]);
  await run.until(PROMPT);
  const refused = await run.line("stb bar0 0xff8 seq:0*9");
  assertMatch(
    refused,
    /^ism: stb: Length 9 at 0xff8 crosses a 4096-byte boundary \(EINVAL\)\n {2}refused by: .*\n {2}rule: vfio\.write\.boundary .*\n {2}hint: /,
  );
  assertMatch(
    await run.line("peeek bar0 0"),
    /^ism: "peeek" is not a command\n {2}hint: did you mean "peek"/,
  );
  assertMatch(await run.line("ism gid"), /^ism: A line here begins with the command, without ism\n/);
  assertMatch(await run.line("rgid $none"), /^ism: there is no variable "\$none"\n/);
  assertMatch(await run.line("rgid 'open"), /^ism: the ' quote has no end\n/);
  assertMatch(await run.line("run x.ism"), /^ism: "run" cannot stand in a script\n/);
  assertMatch(await run.line("expect EIO gid"), /^ism: expect: Expected EIO from "gid", got success\n/);
  assertMatch(await run.line("stb bar2 8 -"), /^ism: stb: Standard input holds the lines of the shell/);
  assertMatch(await run.line("send -"), /^ism: send: Standard input holds the lines of the shell/);
  assertMatch(await run.line("gid"), /^0x/);
  await run.type(`quit${KEY.ENTER}`);
  assertEquals(await run.end(), 0);
});

onTerminal("ism shell shows no escape sequence that stands in a line or in data", async () => {
  using program = new Program();
  program.write("evil\x1b[31mred", "");
  program.write("evening", "");
  await using run = new TerminalRun(program, ["shell"]);
  await run.until(PROMPT);
  // CSI in one character of C1: an escape byte would be taken for the beginning of a key.
  const odd = await run.line("gid \u009b31mred");
  assertStringIncludes(odd, String.raw`\x9b31mred`);
  assert(!odd.includes("\u009b"));
  await run.type(`stb bar2 8 file:ev`);
  await run.until("file:ev");
  await run.type(KEY.TAB);
  await run.until("ening");
  await run.type(KEY.CTRL_C);
  await run.until(PROMPT);
  assert(!run.output.includes("\x1b[31m"), "the name that would act on the terminal is not offered");
});

onTerminal("ism shell brings back earlier lines, also those of the shell before", async () => {
  using program = new Program();
  {
    await using run = new TerminalRun(program, ["shell"]);
    await run.until(PROMPT);
    for (const line of ["gid", "query", "gid", " list", "gid"]) await run.line(line);
    await run.type(KEY.UP);
    await run.until("gid");
    await run.type(KEY.UP);
    await run.until("query");
    await run.type(KEY.ENTER);
    await run.until("\r\n");
    assertMatch(await run.until(PROMPT), /version/);
    await run.type(KEY.CTRL_D);
    assertEquals(await run.end(), 0);
  }
  const history = program.path("state/ism/history");
  assertEquals(Deno.statSync(history).mode! & 0o777, 0o600);
  assertEquals(
    Deno.readTextFileSync(history),
    "gid\nquery\ngid\nquery\n",
    "not the line that began with a space",
  );
  // Nothing that a file holds acts on the terminal when it is brought back.
  Deno.writeTextFileSync(history, "rgid 0x\x1b[31m1\n", { append: true });
  {
    await using run = new TerminalRun(program, ["shell"]);
    await run.until(PROMPT);
    await run.type(KEY.UP);
    await run.until("query");
    await run.type(KEY.UP);
    await run.until("gid");
    await run.type(KEY.ENTER);
    await run.until("0x");
    await run.until(PROMPT);
    await run.type(`exit${KEY.ENTER}`);
    assertEquals(await run.end(), 0);
    assert(!run.output.includes("\x1b[31m"));
  }
});

onTerminal("ism shell keeps no lines of a host in memory", async () => {
  using program = new Program();
  await using run = new TerminalRun(program, ["shell", "--host", ":memory:"]);
  await run.until(PROMPT);
  await run.line("let t dmb register --size 4k --rgid 0x1");
  assertMatch(
    await run.line("dmb read $t 0 4"),
    /^0{8} {2}00 00 00 00/,
    "the host lives as long as the shell",
  );
  await run.type(KEY.CTRL_D);
  assertEquals(await run.end(), 0);
  assertEquals([...Deno.readDirSync(program.dir)], []);
});

onTerminal(
  "ism shell completes commands, options, regions, registers, devices, names and files",
  async () => {
    using program = new Program();
    program.write("a file", "x");
    Deno.mkdirSync(program.path("folder"));
    await using run = new TerminalRun(program, ["shell"]);
    await run.until(PROMPT);
    await run.line("let token dmb register --size 4k --rgid 0x1");
    const rows: readonly (readonly [typed: string, shown: string])[] = [
      ["expl", "explain "],
      ["dmb reg", "dmb register "],
      ["vlan req", "vlan require "],
      ["peek con", "peek config "],
      ["peek bar2 0 --wi", "peek bar2 0 --width "],
      ["peek --endian b", "peek --endian big "],
      ["peek --endian=l", "peek --endian=little "],
      ["config get VENDOR", "config get VENDOR_ID "],
      ["config set COMM", "config set COMMAND="],
      ["gid -d 0002", "gid -d 0002:00:00.0 "],
      ["dmb read $to", "dmb read $token "],
      ["expect EINV", "expect EINVAL "],
      ["expect EINVAL pee", "expect EINVAL peek "],
      ["let x vlan a", "let x vlan add "],
      ["help dmb unr", "help dmb unregister "],
      ["stb bar2 0 se", "stb bar2 0 seq:"],
      ["stb bar2 0 file:a", String.raw`stb bar2 0 file:a\ file `],
      ["send fol", "send folder/"],
      ["gid --trace=syscall,ins", "gid --trace=syscall,insn "],
      ["qui", "quit "],
    ];
    for (const [typed, shown] of rows) {
      await run.type(typed);
      await run.until(typed);
      await run.type(KEY.TAB);
      assertEquals(await run.until(shown.slice(typed.length)), shown.slice(typed.length), typed);
      await run.type(KEY.CTRL_C);
      await run.until(PROMPT);
    }
    await run.type("vlan ");
    await run.until("vlan ");
    await run.type(KEY.TAB);
    await run.type(KEY.TAB);
    assertMatch(plain(await run.until(PROMPT)), /add +del +require +list/);
    await run.type(KEY.CTRL_C);
    await run.until(PROMPT);
    assertNotMatch(run.output, /Deno requests|This is a bug/);
  },
);

onTerminal("ism shell shows the next block at an empty line after peek", async () => {
  using program = new Program();
  await using run = new TerminalRun(program, ["shell"]);
  await run.until(PROMPT);
  await run.line("stb bar2 8 seq:0*32");
  assertMatch(await run.line("peek bar2 8 16"), /^00000008 {2}00 01 .*\n00000018\n$/);
  assertMatch(await run.line(""), /^00000018 {2}10 11 .*\n00000028\n$/);
  assertMatch(await run.line(""), /^00000028 {2}00 00 /);
  await run.line("gid");
  assertEquals(await run.line(""), "", "another command ends it");
  assertMatch(await run.line("peek config 0xf8 8 --width 4"), /^000000f8 /m);
  // Behind the last byte of the region: the driver's answer is what a driver would get (vfio.rw.end), and it ends.
  await run.line("");
  assertEquals(await run.line(""), "");
});

onTerminal("Ctrl-C in ism shell drops a half line", async () => {
  using program = new Program();
  await using run = new TerminalRun(program, ["shell"]);
  await run.until(PROMPT);
  await run.type("poke config 4 0 --width 2");
  await run.until("width 2");
  await run.type(KEY.CTRL_C);
  assertMatch(plain(await run.until(PROMPT)), /^\^C\n/);
  assertMatch(await run.line("config get COMMAND"), /COMMAND +0x04 +0x0002/);
  // Also one that is continued.
  await run.type(`poke config 4 0 \\${KEY.ENTER}`);
  await run.until("...> ");
  await run.type("--width 2", KEY.CTRL_C);
  await run.until(PROMPT);
  assertMatch(await run.line("config get COMMAND"), /COMMAND +0x04 +0x0002/);
  await run.type(`peek config 0 \\${KEY.ENTER}`);
  await run.until("...> ");
  assertMatch(await run.line("2"), /^0{8} {2}14 10 /);
  await run.type(KEY.CTRL_D);
  assertEquals(await run.end(), 0);
  assertMatch(Deno.readTextFileSync(program.path("state/ism/history")), /^peek config 0 2$/m);
});

onTerminal("Ctrl-C in ism shell ends a wait or a repeat, and the prompt comes back", async () => {
  using program = new Program();
  await using run = new TerminalRun(program, ["shell"]);
  await run.until(PROMPT);
  await run.line("gid");
  for (const line of ["irq wait", "recv -d 1", "repeat 1000000 gid -q", "expect ok irq wait"]) {
    await run.type(line + KEY.ENTER);
    await run.until("\r\n");
    await new Promise((resolve) => setTimeout(resolve, 500));
    await run.type(KEY.CTRL_C);
    // A long repeat shows how far it is.
    assertMatch(
      plain(await run.until(PROMPT)),
      /^(\^C|.* left(\^C)?)\nism: \w+( wait)?: Interrupted[^\n]+\n/,
      line,
    );
  }
  assertMatch(await run.line("gid"), /^0x/);
  await run.type(KEY.CTRL_D);
  assertEquals(await run.end(), 0);
  // The offer of recv is taken back, and a repeat that was interrupted has not happened.
  const { stdout } = await program.run(["host", "export"]);
  assertEquals(JSON.parse(stdout).state.rendezvous ?? [], []);
});

onTerminal("Ctrl-Z stops ism shell, and fg brings it back with the line that was begun", async () => {
  using program = new Program();
  const PATH = program.install();
  await using run = new TerminalRun(program, "exec bash --norc --noprofile -i", {
    env: { PATH, PS1: "READY> " },
  });
  await run.until("READY> ");
  await run.type(`ism shell${KEY.ENTER}`);
  await run.until(PROMPT);
  await run.type("gi");
  await run.until("gi");
  await run.type(KEY.CTRL_Z);
  await run.until("READY> ");
  await run.type(`stty -a${KEY.ENTER}`);
  assertMatch(await run.until("READY> "), / icanon[^]* echo /);
  await run.type(`fg${KEY.ENTER}`);
  await run.until(`${PROMPT}gi`);
  assertMatch(await run.line("d"), /^0x/);
  await run.type(KEY.CTRL_D);
  await run.until("READY> ");
  assertNotMatch(run.output, /Deno requests|This is a bug/);
});

onTerminal("Ctrl-Z does nothing to ism shell where nobody could bring it back", async () => {
  using program = new Program();
  await using run = new TerminalRun(program, ["shell"]);
  await run.until(PROMPT);
  await run.type("gi", KEY.CTRL_Z);
  assertMatch(await run.line("d"), /^0x/);
  await run.type(KEY.CTRL_D);
  assertEquals(await run.end(), 0);
  assertNotMatch(run.output, /Deno requests/);
});

onTerminal("ism shell runs what is pasted line by line", async () => {
  using program = new Program();
  await using run = new TerminalRun(program, ["shell"]);
  await run.until(PROMPT);
  await run.type("let a gid\rlet b gid -d 1\rrgid $b\rrgid $a -d 1\r");
  await run.until(/0x[0-9a-f]+ is reachable\r\n0x[0-9a-f]+ is reachable/);
  await run.until(PROMPT);
  // Ctrl-C drops what was pasted behind, be it in the paste or while a line runs.
  await run.type(`vlan add 1\rhalf${KEY.CTRL_C}vlan add 2\r`);
  await run.until(PROMPT);
  await run.type("irq wait\rvlan add 3\r");
  await run.until("add 3");
  await new Promise((resolve) => setTimeout(resolve, 500));
  await run.type(KEY.CTRL_C);
  await run.until("Interrupted");
  await run.until(PROMPT);
  assertMatch(await run.line("vlan list"), /^1\n$/);
  await run.type(KEY.CTRL_D);
  assertEquals(await run.end(), 0);
});

onTerminal("ism shell fits a terminal of 40 columns", async () => {
  using program = new Program();
  await using run = new TerminalRun(program, ["shell"], { columns: 40 });
  await run.until(PROMPT);
  for (const line of ["help peek", "help shell"]) {
    const text = await run.line(line);
    for (const shown of text.split("\n").slice(0, -1)) {
      if (!shown.startsWith("  ism ")) assert(shown.length <= 40, `${line}: ${shown}`);
    }
  }
  // A line longer than the terminal is wide is edited all the same.
  await run.type("peek config 0 2 --width 1 --endian little -d 0 -q -q -q -q");
  await run.until(/-q -q$/);
  await run.type("\x01", "# ", KEY.ENTER);
  await run.until("\r\n");
  await run.until(PROMPT);
  await run.type("d");
  await run.until("d");
  await run.type(KEY.TAB);
  await run.until("m");
  await run.type(KEY.TAB);
  const listed = plain(await run.until(/dma[^>]*ism> /));
  assert(listed.split("\n").every((row) => row.length <= 40), listed);
});

onTerminal("ism shell works on terminals of odd sizes", async () => {
  using program = new Program();
  for (const columns of [0, 1, 7]) {
    await using run = new TerminalRun(program, ["shell"], { columns });
    await run.until("ism");
    await run.type(`peek config 0 2${KEY.ENTER}`);
    await run.until("14 10");
    await run.until("ism");
    await run.type("d", KEY.TAB);
    await run.type(KEY.TAB);
    await run.type(KEY.CTRL_C);
    await run.until("^C");
    await run.type(`help gid${KEY.ENTER}`);
    const help = plain(await run.until(/Examples[^]*ism> /));
    if (columns === 0) assertStringIncludes(help, "  Read the function's own GID (READ_GID).\n");
    await run.type(KEY.CTRL_D);
    assertEquals(await run.end(), 0, `${columns}`);
  }
});

onTerminal("ism shell colours its prompt only where colours are on", async () => {
  using program = new Program();
  for (
    const [args, env, coloured] of [
      [[], { NO_COLOR: "1" }, false],
      [["--color=always"], { NO_COLOR: "1" }, true],
      [[], { NO_COLOR: "" }, true],
      [["--color=never"], { NO_COLOR: "" }, false],
    ] as const
  ) {
    await using run = new TerminalRun(program, ["shell", ...args], { env });
    assertEquals((await run.until(PROMPT)).includes("\x1b[1mism> "), coloured, `${args} ${env.NO_COLOR}`);
    await run.type(KEY.CTRL_D);
    assertEquals(await run.end(), 0);
  }
});

onTerminal("ism shell that is ended by a signal leaves the terminal as it was", async () => {
  using program = new Program();
  await using run = new TerminalRun(program, `${program.commandLine(["shell"])}; stty -a`);
  await run.until(PROMPT);
  const { stdout } = await program.shell(`
    for process in /proc/[0-9]*; do
      [ "$(readlink $process/cwd)" = '${program.dir}' ] || continue
      case "$(readlink $process/exe)" in */deno | */ism) echo "\${process#/proc/}";; esac
    done 2>/dev/null`);
  Deno.kill(Number(stdout.trim()), "SIGTERM");
  // In the editor's mode it would say -icanon and -echo.
  assertMatch(await run.until(/ -?icanon[^]* -?echo /), / icanon[^]* echo /);
});
