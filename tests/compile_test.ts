/** The program as JavaScript, and what `deno compile` is asked to make of it. */
import { assert, assertEquals, assertMatch, assertNotMatch } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { bundle, modulesIn, packagesIn, partsOf, ROOT, textOf } from "../build/bundle.ts";
import { compileArguments, missingRuntime } from "../build/compile.ts";
import { permissionFlags } from "../build/permissions.ts";
import { run } from "../build/run.ts";
import { TARGETS } from "../build/targets.ts";
import { itWhere, LINUX } from "./support/offline.ts";
import { COMMANDS as TABLE } from "../cmd/table.ts";

const COMMANDS = await TABLE.all();

const BUNDLE = await bundle("compiled");
const TEXT = textOf(BUNDLE);
const PARTS = partsOf(BUNDLE);

/** Paths of the project's modules that the program can load, statically or dynamically. */
async function moduleGraph(): Promise<string[]> {
  const { modules } = JSON.parse(await run(Deno.execPath(), ["info", "--json", "main.ts"], { cwd: ROOT }));
  const local = (modules as { specifier: string }[]).map(({ specifier }) => new URL(specifier))
    .filter(({ protocol, pathname }) => protocol === "file:" && pathname.startsWith(ROOT));
  return local.map(({ pathname }) => pathname.slice(ROOT.length)).toSorted();
}

/** Paths of the project's modules that are in the bundle. */
const bundled = modulesIn(BUNDLE).filter((path) => /^(?:lib|cmd)\/\S+\.ts$/.test(path));

describe("the bundled program", () => {
  it("holds every module that any command can load, those that are loaded when needed too", async () => {
    const graph = await moduleGraph();
    assert(graph.length > 100 && bundled.length > 100, `${graph.length} and ${bundled.length} modules`);
    assertEquals(bundled.filter((path) => !graph.includes(path)), []);
    const absent = graph.filter((path) => !bundled.includes(path) && path !== "main.ts");
    // What is not there is there for types alone.
    const running = /^export (?:default|const|let|class|abstract class|(?:async )?function|\{|\*)/m;
    const code = absent.filter((path) => path.endsWith(".ts"));
    assertEquals(code.filter((path) => running.test(Deno.readTextFileSync(`${ROOT}${path}`))), []);
    const loaded = graph.flatMap((path) =>
      [...Deno.readTextFileSync(`${ROOT}${path}`).matchAll(/\bimport\(("([^"]*)"|[^)]*)\)/g)]
        // What is part of Deno is there at run time, too.
        .filter(([, , specifier]) => specifier?.startsWith("node:") !== true)
        .map(([, words, specifier]) =>
          specifier === undefined ? words! : new URL(specifier, `file:///${path}`).pathname
        )
    );
    assert(loaded.length > 0);
    assertEquals(loaded.filter((path) => !bundled.includes(path.slice(1))), []);
  });

  it("loads nothing but modules of the runtime, and its own files that lie beside it", () => {
    // The bundler writes no space here, and what is text for a page in a browser has one.
    const heads = [...TEXT.matchAll(/(?:\}|\b)from"([\w@./:-]+)"|\bimport"([\w@./:-]+)"/g)]
      .map(([, specifier, alone]) => specifier ?? alone!);
    const later = [...TEXT.matchAll(/\bimport\("([^"]+)"\)/g)].map(([, specifier]) => specifier!);
    assert(heads.length > 0 && later.length > 0);
    const others = [...heads, ...later].filter((specifier) => !specifier.startsWith("node:"));
    const own = ["ism.js", ...PARTS.keys()].map((name) => `./${name}`);
    assertEquals(others.filter((specifier) => !own.includes(specifier)), []);
    assertEquals(own.filter((name) => !others.includes(name)), ["./ism.js"]);
    assertNotMatch(TEXT, /\bimport\((?!")|\bimport\.meta\b|\bnew Worker\(\s*new URL|\brequire\(/);
  });

  it("says nothing of the machine that it was made on, and the same source gives the same bytes", async () => {
    assertEquals(TEXT.includes(ROOT), false);
    const foreign = modulesIn(BUNDLE).filter((path) => !/^(?:cmd\/|lib\/|docs\/|npm:|ism\.ts$)/.test(path));
    assertEquals(foreign, []);
    const again = textOf(await bundle("compiled"));
    assertEquals(again, TEXT);
  });

  it("begins with the licences of what is in it", () => {
    const [, banner = ""] = /^\/\*!\n([^]*?)\n\*\/\n/.exec(Deno.readTextFileSync(BUNDLE)) ?? [];
    for (const name of ["ism ", "deno-std ", "valibot ", "Deno, which runs it"]) {
      assertMatch(banner, RegExp(`^${name}`, "m"));
    }
    const inCode = packagesIn(BUNDLE);
    assertEquals(inCode, ["deno-std", "valibot"]);
    assertEquals(banner.match(/^Copyright /gm)?.length, inCode.length + 2);
  });

  it("runs the examples of all commands where the source cannot be read, and asks for no permission", async () => {
    const folder = Deno.makeTempDirSync({ prefix: "ism bundle " });
    try {
      Deno.copyFileSync(BUNDLE, `${folder}/ism.js`);
      for (const [name, bytes] of PARTS) Deno.writeFileSync(`${folder}/${name}`, bytes);
      const lines = [...COMMANDS.values()].filter(({ access }) => access !== "file").flatMap(({ examples }) =>
        examples
      )
        .filter((line) => !line.includes("FILE") && !/^(run|irq wait|recv)\b/.test(line));
      Deno.writeTextFileSync(`${folder}/all.ism`, `${lines.join("\n")}\n`);
      const flags = [
        "--quiet",
        "--no-config",
        "--no-remote",
        "--no-npm",
        ...permissionFlags(),
        `--deny-read=${ROOT}`,
      ];
      const start = (...args: string[]) =>
        new Deno.Command(Deno.execPath(), {
          args: ["run", ...flags, "ism.js", ...args, "--host", "host.db"],
          cwd: folder,
          clearEnv: true,
          env: { DENO_DIR: `${folder}/empty` },
        }).output();
      const text = new TextDecoder();
      for (
        const [code, ...words] of [
          [0, "host", "create"],
          [undefined, "run", "all.ism", "--keep-going"],
          [0, "host", "export", "saved.json"],
          [0, "host", "import", "saved.json", "--force"],
          [0, "host", "check"],
          [0, "man"],
          [0, "shell"],
        ] as const
      ) {
        const { code: ended, stdout, stderr } = await start(...words);
        const said = text.decode(stdout) + text.decode(stderr);
        assertNotMatch(said, /NotCapable|Requires .* access|This is a bug|Module not found/, words.join(" "));
        if (code !== undefined) assertEquals([words, ended], [words, code], said);
      }
    } finally {
      Deno.removeSync(folder, { recursive: true });
    }
  });
});

describe("deno compile", () => {
  it("is asked for the permissions of the task ism and no others, for every target", () => {
    for (const target of TARGETS) {
      const args = compileArguments("program.js", "out", target);
      assertEquals(args.filter((word) => /^--(allow|no-prompt)/.test(word)), permissionFlags());
      assertEquals(args.filter((word) => /^-[A-Z]|--(deny|ignore)-|all$/.test(word)), []);
      assertEquals(args.slice(-4), [target, "--output", "out", "program.js"]);
      assertEquals(args.includes("--no-code-cache"), false);
    }
  });

  itWhere(LINUX)("embeds the bundled program alone, with these permissions", async () => {
    const folder = Deno.makeTempDirSync();
    try {
      // Any executable will do for a base runtime as long as nobody starts the result.
      const target = TARGETS.find((each) => each === Deno.build.target)!;
      await run(Deno.execPath(), compileArguments(BUNDLE, `${folder}/ism`, target), {
        cwd: ROOT,
        env: { DENORT_BIN: "/bin/true" },
      });
      const made = new TextDecoder("latin1").decode(Deno.readFileSync(`${folder}/ism`));
      const metadata = JSON.parse(/\{"argv":.*?"app_name":"[^"]*"\}/s.exec(made)![0]);
      const { prompt, allow_import: _, ...given } = metadata.permissions;
      assertEquals(prompt, false);
      const asked = permissionFlags().filter((flag) => flag !== "--no-prompt").map((flag) => {
        const [name = "", values = ""] = flag.slice(2).split("=");
        return [name.replace("-", "_"), values.split(",").filter((value) => value !== "")] as [
          string,
          unknown,
        ];
      });
      assertEquals(
        Object.entries(given).filter(([, value]) => value !== null).toSorted(),
        asked.toSorted(),
      );
      assertEquals([metadata.node_modules, metadata.workspace_resolver.import_map], [null, null]);
      assertEquals([metadata.entrypoint_key, metadata.app_name], ["ism.js", "ism"]);
      const end = Deno.readTextFileSync(BUNDLE).slice(-100);
      assert(/Deno\.args/.test(end) && made.includes(end), "the bundle is in it");
    } finally {
      Deno.removeSync(folder, { recursive: true });
    }
  });

  itWhere(LINUX)("takes the place of whatever stands there, and of nothing if it fails", async () => {
    const folder = Deno.makeTempDirSync();
    try {
      const output = `${folder}/ism`;
      const make = (runtime: string) =>
        new Deno.Command(Deno.execPath(), {
          args: ["run", "--quiet", "-RWE", "--allow-run", "build/compile.ts", "--output", output],
          cwd: ROOT,
          env: { DENORT_BIN: runtime },
        }).output();
      Deno.writeTextFileSync(output, "something else");
      assertEquals((await make("/bin/sh/none")).code, 1);
      assertEquals([Deno.readTextFileSync(output), [...Deno.readDirSync(folder)].length], [
        "something else",
        1,
      ]);
      const { code, stderr } = await make("/bin/true");
      assertEquals([code, new TextDecoder().decode(stderr)], [0, ""]);
      assert(Deno.statSync(output).size > 800_000);
      assertEquals([...Deno.readDirSync(folder)].length, 1);
    } finally {
      Deno.removeSync(folder, { recursive: true });
    }
  });

  it("has no base runtime only where it says so", () => {
    const said = `error: Writing deno compile executable to temporary file '/x/ism.tmp-1'

Caused by:
    0: Setting up base binary.
    1: error sending request for url (https://example.org/denort.zip): client error (Connect): dns error: no
    2: client error (Connect)`;
    assertEquals(missingRuntime(said), "error sending request for url (https://example.org/denort.zip)");
    assertEquals(missingRuntime("error: Module not found"), undefined);
  });
});

describe("deno task compile", () => {
  const rows: readonly (readonly [words: string[], message: RegExp])[] = [
    [["--target", "riscv64"], /^error: There is no target riscv64; there are x86_64-unknown-linux-gnu, /],
    [["--fast"], /^error: --fast is not known/],
    [["file"], /^error: file is not known/],
    [["--offline", "--target", TARGETS[0]], /^error: --offline is for this machine, without --target/],
    [["--output", "x", "--target", TARGETS[0], "--target", TARGETS[1]], /^error: --output is for one target/],
  ];
  for (const [words, message] of rows) {
    it(`refuses ${words.join(" ")} in one line`, async () => {
      const { code, stderr } = await new Deno.Command(Deno.execPath(), {
        args: ["run", "--quiet", "-RWE", "--allow-run", "build/compile.ts", ...words],
        cwd: ROOT,
      }).output();
      const said = new TextDecoder().decode(stderr);
      assertEquals([code, said.trimEnd().includes("\n")], [1, false], said);
      assertMatch(said, message);
    });
  }
});
