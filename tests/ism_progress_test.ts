/** Progress of long work: on a terminal only, gone when the work is done. */
import { assert, assertEquals, assertMatch, assertNotMatch } from "@std/assert";
import { Program } from "./support/program.ts";
import { KEY, NO_TERMINAL, plain, TerminalRun } from "./support/terminal.ts";

const CLEAR = "\r\x1b[K";

function onTerminal(name: string, work: () => Promise<void>): void {
  Deno.test({ name, ignore: NO_TERMINAL, fn: work });
}

/** What stands on the terminal in the end: what came behind the line that was taken away last. */
function left(output: string): string {
  return plain(output.split(CLEAR).at(-1)!);
}

/** A file that has a size and takes no room. */
function bigFile(program: Program, bytes: number): void {
  program.write("big", "");
  Deno.truncateSync(program.path("big"), bytes);
}

for (const columns of [40, 60, 80, 200]) {
  onTerminal(
    `send shows rate and time left in ${columns} columns, and Ctrl-C takes the line away`,
    async () => {
      using program = new Program();
      bigFile(program, 2 ** 36);
      await using run = new TerminalRun(program, ["send", "big"], { columns });
      await run.until(/\d \wiB of 64 GiB.* left/);
      await run.type(KEY.CTRL_C);
      assertEquals(await run.end(), 130);
      const lines = run.output.split(CLEAR).slice(1);
      for (const line of lines.slice(0, -1)) {
        const shown = plain(line).replace("^C", "");
        assert(!shown.includes("\n") && shown.length < columns, JSON.stringify(line));
      }
      assert(/\[#* *\] /.test(run.output) || columns < 60, "a bar stands where there is room");
      assertMatch(
        left(run.output),
        /^(\^C)?ism: send: Interrupted after \d+ bytes; nothing of the transfer is left\n$/,
      );
    },
  );
}

onTerminal("a transfer that ends leaves its report and no line of progress", async () => {
  using program = new Program();
  bigFile(program, 192 * 1024 * 1024);
  await using run = new TerminalRun(program, ["send", "big"], { env: { LC_ALL: "C.UTF-8" } });
  await run.until(/\[█*░*\] .* of 192 MiB/);
  assertEquals(await run.end(), 0);
  assertMatch(
    left(run.output),
    /^0001:00:00\.0 -> 0002:00:00\.0: 201326592 bytes in [^]*\nsha256 [0-9a-f]{64}\n$/,
  );
});

onTerminal("recv and a send to it show how far they are", async () => {
  using program = new Program();
  bigFile(program, 2 ** 36);
  await program.result("list");
  await using recv = new TerminalRun(program, ["recv", "-d", "1"]);
  await using send = new TerminalRun(program, ["send", "big", "--wait", "20s"]);
  await send.until(/ of 64 GiB.* left/);
  await recv.until(/\d \wiB .*\/s {2}0:0\d so far/);
  await send.type(KEY.CTRL_C);
  assertEquals(await send.end(), 130);
  await recv.type(KEY.CTRL_C);
  await recv.end();
  for (const { output } of [send, recv]) assertNotMatch(left(output), /\d:\d\d (left|so far)/);
});

onTerminal("repeat and run show how many runs and lines are done", async () => {
  using program = new Program();
  await using repeat = new TerminalRun(program, ["repeat", "1000000", "peek", "bar2", "4K", "-q"]);
  await repeat.until(/\[#* *\] \d+ of 1000000 runs {2}\d+\/s {2}[\d:]+ left/);
  await repeat.type(KEY.CTRL_C);
  assertEquals(await repeat.end(), 130);
  assertMatch(left(repeat.output), /^(\^C)?ism: repeat: Interrupted after \d+ of 1000000 runs; nothing/);
  const lines = Array.from({ length: 2000 }, () => "repeat 5000 stb bar2 8 fill:0*8");
  program.write("long.ism", lines.join("\n"));
  await using script = new TerminalRun(program, ["run", "long.ism"]);
  await script.until(/\d+ of 2000 lines {2}.*\/s {2}[\d:]+ left/);
  await script.type(KEY.CTRL_C);
  assertEquals(await script.end(), 130);
  assertNotMatch(left(script.output), /\d:\d\d left/);
});

onTerminal("host check of a host with much memory shows the pages", async () => {
  using program = new Program();
  const lines = ["let i dma map --size 64M", "dma write $i rand:1*64M"];
  assertEquals((await program.script(lines)).code, 0);
  for (const command of [["host", "check"], ["host", "export", "saved.json"]]) {
    await using run = new TerminalRun(program, command);
    // Whether a second line with a rate comes depends on how fast the machine is.
    await run.until(/\d+ of 16384 pages/);
    assertEquals(await run.end(), 0);
    assertNotMatch(left(run.output), /pages/);
  }
});

Deno.test("in a pipe there is no progress, whatever the work takes", async () => {
  using program = new Program();
  bigFile(program, 96 * 1024 * 1024);
  const { code, stderr } = await program.run(["send", "big"]);
  assertEquals([code, stderr], [0, ""]);
});
