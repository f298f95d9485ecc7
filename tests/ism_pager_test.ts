/** The manual page on a terminal. */
import { assert, assertEquals, assertMatch, assertNotMatch } from "@std/assert";
import { Program } from "./support/program.ts";
import { KEY, NO_TERMINAL, plain, TerminalRun } from "./support/terminal.ts";

/** Puts programs of the system, and scripts, into a folder that is the whole PATH. */
function onlyPrograms(
  program: Program,
  names: readonly string[],
  scripts: Record<string, string> = {},
): string {
  const folder = program.path("programs");
  Deno.mkdirSync(folder);
  for (const name of names) {
    const from = ["/bin", "/usr/bin"].map((each) => `${each}/${name}`).find((path) => {
      try {
        return Deno.statSync(path).isFile;
      } catch {
        return false;
      }
    });
    assert(from !== undefined, name);
    Deno.symlinkSync(from, `${folder}/${name}`);
  }
  for (const [name, text] of Object.entries(scripts)) {
    program.write(`programs/${name}`, `#!/bin/sh\n${text}\n`);
    Deno.chmodSync(`${folder}/${name}`, 0o755);
  }
  return folder;
}

/** A line that runs `ism man` with a PATH of its own. */
function manual(program: Program, path: string): string {
  return `PATH='${path}'; export PATH; exec ${program.commandLine(["man"])}`;
}

function onTerminal(name: string, work: () => Promise<void>): void {
  Deno.test({ name, ignore: NO_TERMINAL, fn: work });
}

onTerminal("ism man gives the page to man(1), whose exit it waits for", async () => {
  using program = new Program();
  const PATH = onlyPrograms(program, ["cat", "sh"], {
    man: 'echo "man got $*"; cat >page; read -r key </dev/tty; echo "key $key"',
  });
  await using run = new TerminalRun(program, manual(program, PATH));
  await run.until("man got -l -");
  await run.type(`x${KEY.ENTER}`);
  await run.until("key x");
  assertEquals(await run.end(), 0);
  assertNotMatch(run.output, /\.SH/);
  assertMatch(new TextDecoder().decode(program.read("page")), /^\.TH ISM 1 /);
});

onTerminal(
  "where there is no man, the pager that MANPAGER or PAGER names gets the help as text",
  async () => {
    for (
      const [env, begin] of [
        [{ MANPAGER: "sed 's/^/M|/'", PAGER: "cat" }, "M|ism: a mainframe"],
        [{ PAGER: "sed 's/^/P|/'" }, "P|ism: a mainframe"],
      ] as const
    ) {
      using program = new Program();
      const PATH = onlyPrograms(program, ["cat", "sh", "sed"]);
      await using run = new TerminalRun(program, manual(program, PATH), { env });
      assertEquals(await run.end(), 0);
      const text = plain(run.output);
      assert(text.startsWith(begin), text.slice(0, 80));
      for (const word of ["ism stb REGION", "ism zpci clp", "ism dmb register"]) {
        assert(
          text.includes(word),
          word,
        );
      }
    }
  },
);

onTerminal(
  "less is the pager where nobody names one: q ends it, and Ctrl-C does not end ism under it",
  async () => {
    using program = new Program();
    const PATH = onlyPrograms(program, ["sh"], {
      less:
        'trap "echo caught" INT; echo begin; read -r key </dev/tty; read -r key </dev/tty; echo "end $LESS"',
    });
    await using run = new TerminalRun(program, manual(program, PATH));
    await run.until("begin");
    await run.type(KEY.CTRL_C);
    await run.until("caught");
    await run.type(KEY.ENTER, KEY.ENTER);
    await run.until("end FRX");
    assertEquals(await run.end(), 0);
  },
);

onTerminal("with nothing to page with, the page is printed", async () => {
  using program = new Program();
  const PATH = onlyPrograms(program, []);
  await using run = new TerminalRun(program, manual(program, PATH));
  assertEquals(await run.end(), 0);
  assertMatch(run.output, /\.SH COMMANDS/);
});

Deno.test("in a pipe, into a file and as JSON the manual page is roff, whatever PAGER says", async () => {
  using program = new Program();
  const env = { PAGER: "false", MANPAGER: "false" };
  const { code, stdout } = await program.run(["man"], { env });
  assertEquals([code, stdout.startsWith(".TH ISM 1 ")], [0, true]);
  const document = await program.run(["man", "--json"], { env });
  assertEquals(JSON.parse(document.stdout).result.text, stdout);
});
