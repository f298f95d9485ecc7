/** Prompt, colours, pager and Ctrl-C on terminals of several widths. */
import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { Program } from "./support/program.ts";
import { KEY, NO_TERMINAL, plain, PROMPT, TerminalRun } from "./support/terminal.ts";

/** No line is wider than the terminal but for a word that is. */
function assertFits(text: string, columns: number): void {
  for (const line of plain(text).split("\n")) {
    assert(line.length <= columns || !/\S\s+\S/.test(line.trim()), `${columns}: ${line}`);
  }
}

for (const columns of [40, 60, 80, 200]) {
  const onTerminal = (name: string, work: () => Promise<void>) =>
    Deno.test({ name: `${name}, ${columns} columns`, ignore: NO_TERMINAL, fn: work });

  onTerminal("the shell has its prompt, tables that fit, and a Ctrl-C that drops a line", async () => {
    using program = new Program();
    await using run = new TerminalRun(program, ["shell"], { columns });
    await run.until(PROMPT);
    const table = await run.line("list");
    assertFits(table, columns);
    assertMatch(table, /^# {2}ADDRESS .*STATE\n/);
    assertFits(await run.line("info"), columns);
    assertFits(await run.line("help"), columns);
    await run.type("gid -d");
    await run.until("gid -d");
    await run.type(KEY.CTRL_C);
    await run.until(PROMPT);
    await run.type(`irq wait${KEY.ENTER}`);
    await run.until("irq wait\r");
    await run.type(KEY.CTRL_C);
    await run.until(PROMPT);
    await run.type(KEY.CTRL_D);
    assertEquals(await run.end(), 0);
  });

  onTerminal(
    "dumps have fewer bytes a line where 16 do not fit, and what is said is broken between words",
    async () => {
      using program = new Program();
      Deno.writeTextFileSync(program.path("sent"), "some words");
      await using run = new TerminalRun(program, ["shell"], { columns });
      await run.until(PROMPT);
      const dump = await run.line("peek bar2 0 40");
      assertFits(dump, columns);
      const bytes = columns >= 78 ? 16 : columns >= 45 ? 8 : 4;
      assertMatch(plain(dump), new RegExp(`^00000000( +00){${bytes}}  \\|\\.{${bytes}}\\|\\r?\\n\\*`));
      assertFits(await run.line("peek bar2 0 40 --width 1"), columns);
      assertFits(
        await run.line("stb bar0 0xff8 seq:0*9").then((text) => text.slice(text.indexOf("\n"))),
        columns,
      );
      assertFits(await run.line(`send '${program.path("sent")}' -o '${program.path("got")}'`), columns);
      await run.type(KEY.CTRL_D);
      assertEquals(await run.end(), 0);
      const { stdout } = await program.run(["peek", "bar2", "0", "40"], {
        env: { COLUMNS: String(columns) },
      });
      assertMatch(stdout, /^00000000( +[0-9a-f]{2}){16} {2}\|/);
    },
  );

  onTerminal("titles are bold where colours are wanted, and take no room of the table", async () => {
    using program = new Program();
    await using coloured = new TerminalRun(program, ["list"], { columns, env: { NO_COLOR: "" } });
    await using colourless = new TerminalRun(program, ["list"], { columns });
    assertEquals([await coloured.end(), await colourless.end()], [0, 0]);
    assert(coloured.output.startsWith("\x1b[1m#"), JSON.stringify(coloured.output));
    assert(!colourless.output.includes("\x1b"));
    assertEquals(plain(coloured.output), plain(colourless.output));
  });

  onTerminal("the text of the pager fits", async () => {
    using program = new Program();
    // There is no man on this PATH.
    Deno.mkdirSync(program.path("bin"));
    for (const name of ["sh", "cat"]) Deno.symlinkSync(`/bin/${name}`, program.path(`bin/${name}`));
    const line = `PATH='${program.path("bin")}'; export PATH; exec ${program.commandLine(["man"])}`;
    await using run = new TerminalRun(program, line, { columns, env: { PAGER: "cat" } });
    assertEquals(await run.end(), 0);
    const text = plain(run.output);
    assertStringIncludes(text, "ism zpci clp");
    // Examples are to be typed as they are.
    assertFits(text.split("\n").filter((each) => !each.startsWith("  ism ")).join("\n"), columns);
  });
}
