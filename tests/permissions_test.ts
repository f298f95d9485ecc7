/**
 * The program gets by with the permissions of the task `ism`: files, a few variables of the environment, the C library
 * for `exec` and a pager for `man`, which every other command gives back.
 */
import { assert, assertEquals, assertNotMatch } from "@std/assert";
import { COMMANDS as TABLE } from "../cmd/table.ts";
import { Program } from "./support/program.ts";

const COMMANDS = await TABLE.all();

const ROOT = new URL("../", import.meta.url);
const VARIABLES = [
  "ISM_HOST",
  "ISM_DEVICE",
  "XDG_STATE_HOME",
  "HOME",
  "NO_COLOR",
  "COLUMNS",
  "LC_ALL",
  "LC_CTYPE",
  "LANG",
  "MANPAGER",
  "PAGER",
];

/** Runs the program with nothing to read. */
async function run(program: Program, args: readonly string[]): Promise<{ code: number; text: string }> {
  const { code, stdout, stderr } = await program.spawnWithoutInput(args).output();
  const decoder = new TextDecoder();
  const text = `${decoder.decode(stdout)}${decoder.decode(stderr)}`;
  assertNotMatch(text, /NotCapable|Requires .* access|--allow-|This is a bug/, args.join(" "));
  return { code, text };
}

Deno.test("the task ism allows files, the variables that the program reads, a pager, FFI for exec, and nothing else", () => {
  const { tasks } = JSON.parse(Deno.readTextFileSync(new URL("deno.json", ROOT)));
  const flags = `--no-prompt --allow-read --allow-write --allow-env=${VARIABLES.join(",")}`;
  assertEquals(tasks.ism.command, `deno run --quiet ${flags} --allow-run --allow-ffi main.ts`);
  assertEquals(tasks.demo.command, `deno run --quiet ${flags},TMPDIR examples/demo.ts`);
  const source = ["cmd/main.ts", "cmd/perform.ts", "cmd/run/environment.ts"].map((path) =>
    Deno.readTextFileSync(new URL(path, ROOT))
  )
    .join("");
  const read = [...source.matchAll(/environment\("(\w+)"\)/g)].map(([, name]) => name!);
  assertEquals(new Set(read), new Set(VARIABLES));
});

Deno.test("no source file reads the environment, starts a process or uses the network past that", () => {
  const wrong: string[] = [];
  const visit = (folder: string) => {
    for (const { name, isDirectory } of Deno.readDirSync(new URL(folder, ROOT))) {
      const path = `${folder}${name}`;
      if (isDirectory) visit(`${path}/`);
      else if (!path.endsWith("_test.ts")) {
        const text = Deno.readTextFileSync(new URL(path, ROOT));
        const used = text.match(
          /Deno\.(?:env|Command|connect|listen|serve|dlopen|hostname|osRelease|systemMemoryInfo)\b|(?<![#.\w])fetch\(|process\.env|node:(?:net|http|https|child_process|os)\b/g,
        );
        for (const word of used ?? []) {
          const isOurs = path === "cmd/run/environment.ts" && word === "Deno.env" ||
            ["lib/exec/libc.ts", "lib/exec/launch.ts"].includes(path) && word === "Deno.dlopen" ||
            path === "cmd/output/pager.ts" && word === "Deno.Command";
          if (!isOurs) wrong.push(`${path}: ${word}`);
        }
      }
    }
  };
  for (const folder of ["lib/", "cmd/"]) visit(folder);
  assertEquals(wrong, []);
});

Deno.test("without the permission for FFI exec says what it needs, with the exit code of a shell", async () => {
  using program = new Program();
  const child = new Deno.Command(Deno.execPath(), {
    args: [
      "run",
      "--quiet",
      "--no-prompt",
      "--allow-read",
      "--allow-write",
      "--allow-env",
      new URL("main.ts", ROOT).pathname,
      "exec",
      "true",
    ],
    env: { ISM_HOST: program.host },
  });
  const { code, stderr } = await child.output();
  const text = new TextDecoder().decode(stderr);
  assertEquals([code, text.startsWith("ism: exec: exec calls the C library")], [126, true], text);
});

Deno.test("every command works with these permissions", async () => {
  using program = new Program();
  program.write("README.md", "something to send");
  program.write("script.ism", "gid\n");
  const own = new Set(["run", "recv", "irq wait", "exec"]);
  const lines: string[] = [];
  const seen = new Set<string>();
  for (const { name, access, examples } of COMMANDS.values()) {
    seen.add(name);
    if (access === "file" || own.has(name)) continue;
    lines.push(...examples.filter((line) => !line.includes("FILE") && !/^(run|irq wait|recv)\b/.test(line)));
  }
  program.write("all.ism", `${lines.join("\n")}\n`);
  const script = await run(program, ["run", "all.ism", "--keep-going"]);
  assert(script.code < 5, script.text);
  const rows: readonly (readonly [line: string, code: number])[] = [
    ["host create --force", 0],
    ["host create --force --functions 4 --seed 9", 0],
    ["host show", 0],
    ["host export saved.json", 0],
    ["host import saved.json --force", 0],
    ["host check", 0],
    ["run script.ism", 0],
    ["run - ", 0],
    ["run script.ism --json --trace", 0],
    ["gid --trace-file trace.json", 0],
    ["send README.md -o out", 0],
    ["list --color always", 0],
    ["help", 0],
    ["--help", 0],
    ["--version", 0],
    ["nonsense", 2],
    ["run missing", 4],
    ["host reset", 0],
    ["irq wait --timeout 1", 1],
    ["recv --timeout 1", 1],
    ["exec -- /bin/ls /dev/vfio", 0],
    ["host delete", 0],
  ];
  for (const [line, code] of rows) {
    const words = line.split(" ").filter((word) => word !== "");
    assertEquals([line, (await run(program, words)).code], [line, code]);
    seen.delete(words.slice(0, 2).join(" "));
  }
  assertEquals([...seen].filter((name) => COMMANDS.get(name)!.access === "file"), []);
});
