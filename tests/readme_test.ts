/** The README's console blocks and all examples are run: what is shown there is what comes. */
import { assertEquals } from "@std/assert";

const ROOT = new URL("../", import.meta.url).pathname;

/** Starts the program as the README's shell function does; stderr comes before stdout. */
async function ism(args: readonly string[], host: string): Promise<{ code: number; output: string }> {
  const command = new Deno.Command(Deno.execPath(), {
    args: ["run", "--quiet", "--allow-read", "--allow-write", "--allow-env", "main.ts", ...args],
    cwd: ROOT,
    env: { ISM_HOST: host, ISM_DEVICE: "", NO_COLOR: "1" },
    stdout: "piped",
    stderr: "piped",
  });
  const { code, stdout, stderr } = await command.output();
  const text = new TextDecoder();
  return { code, output: text.decode(stderr) + text.decode(stdout) };
}

/** Times and rates differ from run to run. */
function withoutTimes(text: string): string {
  return text.replaceAll(/ in [\d.]+ s(, [\d.]+ \w+\/s)?/g, " in T").trimEnd();
}

/** Commands and what they print, from the console blocks, in order. */
function* consoleCommands(markdown: string): Generator<{ line: string; shown: string }> {
  for (const [, block = ""] of markdown.matchAll(/^```console\n(.*?)^```$/gms)) {
    for (const part of block.split(/^\$ /m).slice(1)) {
      const [line = "", ...shown] = part.split("\n");
      yield { line, shown: shown.join("\n") };
    }
  }
}

Deno.test("every console block of the README shows what the program prints", async () => {
  const directory = Deno.makeTempDirSync();
  try {
    const readme = Deno.readTextFileSync(`${ROOT}README.md`);
    for (const { line, shown } of consoleCommands(readme)) {
      const words = line.split(" ");
      assertEquals(words.shift(), "ism", line);
      const args = words.map((word) => word === "/tmp/copy" ? `${directory}/copy` : word);
      const { output } = await ism(args, `${directory}/host.db`);
      assertEquals(withoutTimes(output), withoutTimes(shown), line);
    }
  } finally {
    Deno.removeSync(directory, { recursive: true });
  }
});

for (const { name } of [...Deno.readDirSync(`${ROOT}examples`)].filter(({ name }) => name.endsWith(".ism"))) {
  Deno.test(`examples/${name} runs on a fresh host`, async () => {
    const { code, output } = await ism(["run", `examples/${name}`, "--host", ":memory:"], "");
    assertEquals(code, 0, output);
  });

  Deno.test(`examples/${name} begins by saying what it shows`, () => {
    assertEquals(Deno.readTextFileSync(`${ROOT}examples/${name}`).startsWith("# "), true);
  });
}
