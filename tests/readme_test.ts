/** The README's console blocks and all examples are run: what is shown there is what comes. */
import { assertEquals } from "@std/assert";
import { FLAGS } from "./support/program.ts";
import { CONSOLE, ism, ROOT, samplesOf, withoutTimes } from "./support/samples.ts";

/** Lines of the shell and what they print, from its blocks, in order. */
function shellBlocks(markdown: string): { lines: string; shown: string }[] {
  return [...markdown.matchAll(/^```ism\n(.*?)^```$/gms)].map(([, block = ""]) => ({
    lines: [...block.matchAll(/^ism> (.*\n)/gm)].map(([, line]) => line).join(""),
    shown: block.replaceAll(/^ism> .*\n/gm, ""),
  }));
}

for (const file of ["README.md", "docs/trace.md"]) {
  Deno.test(`every console and shell block of ${file} shows what the program prints`, () =>
    checkBlocks(file));
}

async function checkBlocks(file: string): Promise<void> {
  const directory = Deno.makeTempDirSync();
  try {
    const readme = Deno.readTextFileSync(`${ROOT}${file}`);
    const blocks = [...readme.matchAll(CONSOLE)].map(([, block = ""]) => block);
    for (const { line, shown } of blocks.flatMap(samplesOf)) {
      const words = line.split(" ");
      assertEquals(words.shift(), "ism", line);
      const args = words.map((word) => word === "/tmp/copy" ? `${directory}/copy` : word);
      const { output } = await ism(args, `${directory}/host.db`);
      assertEquals(withoutTimes(output), withoutTimes(shown), line);
    }
    for (const { lines, shown } of shellBlocks(readme)) {
      const { code, output } = await ism(["shell"], `${directory}/host.db`, { input: lines });
      assertEquals([code, output], [0, shown]);
    }
  } finally {
    Deno.removeSync(directory, { recursive: true });
  }
}

for (const { name } of [...Deno.readDirSync(`${ROOT}examples`)].filter(({ name }) => name.endsWith(".ism"))) {
  Deno.test(`examples/${name} runs on a fresh host`, async () => {
    const { code, output } = await ism(["run", `examples/${name}`, "--host", ":memory:"], "");
    assertEquals(code, 0, output);
  });

  Deno.test(`examples/${name} begins by saying what it shows`, () => {
    assertEquals(Deno.readTextFileSync(`${ROOT}examples/${name}`).startsWith("# "), true);
  });
}

Deno.test("the README's line that installs the program makes a command with the permissions of the task", async () => {
  const readme = Deno.readTextFileSync(`${ROOT}README.md`);
  const [line = ""] = /^deno install .*$/m.exec(readme) ?? [];
  const args = line.split(" ").slice(1);
  assertEquals(
    args.filter((word) => word.startsWith("--allow")),
    FLAGS.filter((word) => word.startsWith("--allow")),
  );
  const directory = Deno.makeTempDirSync();
  try {
    const install = new Deno.Command(Deno.execPath(), {
      args: [args[0]!, "--root", directory, ...args.slice(1)],
      cwd: ROOT,
      stdout: "null",
      stderr: "null",
    });
    assertEquals((await install.output()).code, 0);
    Deno.writeTextFileSync(`${directory}/file`, "text");
    const { code, stdout } = await new Deno.Command(`${directory}/bin/ism`, {
      args: ["send", "file", "--host", ":memory:"],
      cwd: directory,
      stderr: "null",
    }).output();
    assertEquals([code, new TextDecoder().decode(stdout).includes(" 4 bytes in ")], [0, true]);
  } finally {
    Deno.removeSync(directory, { recursive: true });
  }
});
