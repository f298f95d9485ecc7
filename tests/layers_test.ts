/** House rules as tests: who may import whom, what lib may not touch, how long a file may be. */
import { assertEquals } from "@std/assert";

const ROOT = new URL("../", import.meta.url);

/** Rooms from the inside out, and what each may import besides itself and its base. */
const ROOMS: readonly (readonly [room: string, allowed: readonly string[]])[] = [
  ["lib/base/", []],
  ["lib/zpci/", ["lib/base/"]],
  ["lib/ism/protocol.ts", ["lib/base/"]],
  ["lib/ism/device/", ["lib/base/", "lib/zpci/", "lib/ism/protocol.ts"]],
  ["lib/ism/driver/", ["lib/base/", "lib/vfio/", "lib/zpci/storage.ts", "lib/ism/protocol.ts"]],
  ["lib/vfio/", ["lib/base/", "lib/zpci/"]],
  ["lib/host/", ["lib/base/", "lib/ism/", "lib/vfio/", "lib/zpci/"]],
  ["lib/exec/", ["lib/base/", "lib/vfio/", "lib/zpci/"]],
  ["cmd/build_info.ts", []],
  ["cmd/language/", ["lib/"]],
  ["cmd/output/", ["lib/", "cmd/language/"]],
  ["cmd/reference/", ["lib/", "cmd/language/", "cmd/output/"]],
  ["cmd/completion/", ["lib/", "cmd/language/", "cmd/output/"]],
  ["cmd/run/", ["lib/", "cmd/language/", "cmd/output/", "cmd/reference/"]],
  ["cmd/help/", ["lib/", "cmd/language/", "cmd/output/", "cmd/reference/", "cmd/build_info.ts"]],
  ["cmd/commands/", [
    ...["lib/", "cmd/language/", "cmd/output/", "cmd/reference/", "cmd/build_info.ts"],
    ...["cmd/completion/", "cmd/run/", "cmd/help/"],
  ]],
  ["cmd/table.ts", ["cmd/language/", "cmd/commands/"]],
  ["cmd/shell/", ["lib/", "cmd/language/", "cmd/output/", "cmd/completion/", "cmd/run/", "cmd/table.ts"]],
  ["cmd/perform.ts", ["cmd/language/", "cmd/output/", "cmd/run/", "cmd/table.ts", "cmd/shell/"]],
  ["cmd/main.ts", [
    ...["cmd/language/", "cmd/output/", "cmd/run/", "cmd/completion/", "cmd/help/", "cmd/build_info.ts"],
    ...["cmd/table.ts", "cmd/perform.ts"],
  ]],
];

/** Imports of types that go up: what a running command sees of its trace. */
const UPWARD: readonly string[] = ["cmd/language/command.ts imports cmd/output/trace/collector.ts"];

/** Longest source file, in lines; longer ones want to be two. */
const MAX_LINES = 350;
/** Files that are longer and still have to be cut; nothing joins them. */
const TOO_LONG: readonly string[] = [];

function* sourceFiles(directory: string): Generator<string> {
  for (const entry of Deno.readDirSync(new URL(directory, ROOT))) {
    const path = `${directory}${entry.name}`;
    if (entry.isDirectory) yield* sourceFiles(`${path}/`);
    else if (path.endsWith(".ts")) yield path;
  }
}

const SOURCES = [...sourceFiles("lib/"), ...sourceFiles("cmd/")].filter((path) => !path.endsWith("_test.ts"));

function read(path: string): string {
  return Deno.readTextFileSync(new URL(path, ROOT));
}

/** An import of a file. */
interface Import {
  /** Path of what is imported. */
  readonly target: string;
  /** It is needed when the program runs, and not only for types. */
  readonly isValue: boolean;
  /** It is loaded when a run comes to it. */
  readonly isLater: boolean;
}

/** The project's files that a file imports, at its head or when it needs them. */
function importsOf(path: string): Import[] {
  const text = read(path);
  const heads = [...text.matchAll(/^(?:import|export)\b([^;]*?)from "(\.[^"]+\.ts)"/gms)];
  const later = [...text.matchAll(/\bimport\("(\.[^"]+\.ts)"\)/g)];
  const at = (target: string) => new URL(target, new URL(path, ROOT)).pathname.slice(ROOT.pathname.length);
  return [
    ...heads.map(([, names, target]) => ({
      target: at(target!),
      isValue: !isOnlyTypes(names!),
      isLater: false,
    })),
    ...later.map(([, target]) => ({ target: at(target!), isValue: true, isLater: true })),
  ];
}

/** `type { A }`, or `{ type A, type B }`. */
function isOnlyTypes(names: string): boolean {
  const [, list] = /\{([^]*)\}/.exec(names) ?? [];
  const each = list?.split(",").map((name) => name.trim()).filter((name) => name !== "");
  return names.trim().startsWith("type ") || each?.every((name) => name.startsWith("type ")) === true;
}

function imports(path: string): string[] {
  return importsOf(path).map(({ target }) => target);
}

/** Files that import each other in a circle, each circle once; none if there is no way back to any of them. */
function circles(paths: readonly string[], next: (path: string) => readonly string[]): string[] {
  const found: string[] = [];
  const done = new Set<string>();
  const visit = (path: string, way: readonly string[]): void => {
    const begin = way.indexOf(path);
    if (begin >= 0) found.push([...way.slice(begin), path].join(" → "));
    if (begin >= 0 || done.has(path)) return;
    for (const target of next(path)) visit(target, [...way, path]);
    done.add(path);
  };
  for (const path of paths) visit(path, []);
  return found;
}

Deno.test("no files import values of each other in a circle", () => {
  const values = (path: string) =>
    importsOf(path).filter(({ isValue }) => isValue).map(({ target }) => target);
  assertEquals(circles(SOURCES, values), []);
});

Deno.test("a circle of files is found, and named by its files", () => {
  const ways: Readonly<Record<string, readonly string[]>> = { a: ["b", "d"], b: ["c"], c: ["a"], d: ["c"] };
  assertEquals(circles(["a"], (path) => ways[path]!), ["a → b → c → a"]);
  assertEquals(circles(["b"], (path) => ways[path]!), ["b → c → a → b", "c → a → d → c"]);
  assertEquals(circles(["d"], (path) => path === "d" ? ["e"] : []), []);
});

Deno.test("every source file imports only from rooms that its room may know", () => {
  const wrong: string[] = [];
  for (const path of SOURCES) {
    const [room, allowed] = ROOMS.find(([prefix]) => path.startsWith(prefix)) ?? ["", []];
    if (room === "") wrong.push(`${path} is in no room`);
    for (const target of imports(path)) {
      if (!target.startsWith(room) && !allowed.some((prefix) => target.startsWith(prefix))) {
        wrong.push(`${path} imports ${target}`);
      }
    }
  }
  assertEquals(wrong, UPWARD);
});

/** Rooms of lib whose business is the real machine. */
const OUTSIDE = "lib/exec/";

Deno.test("lib does not print, read the clock, the environment or randomness, or wait", () => {
  const forbidden =
    /\bconsole\.|\bDeno\.|\bDate\.now\b|new Date\(|\bperformance\b|Math\.random|crypto\.|\basync\b|\bawait\b/;
  // Files are what these are about.
  const aboutFiles = ["lib/host/file/host_path.ts", "lib/host/file/owner.ts"];
  const files =
    /\bDeno\.((lstat|stat|realPath|open|remove|mkdir|readTextFile)Sync|errors\.\w+|FileInfo|FsFile)\b/g;
  const inside = SOURCES.filter((path) => path.startsWith("lib/") && !path.startsWith(OUTSIDE));
  const wrong = inside.flatMap((path) =>
    read(path).split("\n").flatMap((line, i) =>
      forbidden.test(aboutFiles.includes(path) ? line.replaceAll(files, "") : line) &&
        !/^\s*(\*|\/\/|\/\*)/.test(line)
        ? [`${path}:${i + 1}: ${line.trim()}`]
        : []
    )
  );
  assertEquals(wrong, []);
});

Deno.test("only two files call foreign code, and only commands that run programs load them", () => {
  const callers = SOURCES.filter((path) => /Deno\.dlopen\(/.test(read(path)));
  assertEquals(callers.toSorted(), ["lib/exec/launch.ts", "lib/exec/libc.ts"]);
  // Only when a run comes to it, or for types.
  const rooms = [OUTSIDE, "cmd/run/exec/"];
  const isInside = (path: string) => rooms.some((room) => path.startsWith(room));
  const loads = (path: string) =>
    importsOf(path).some(({ target, isValue, isLater }) => isValue && !isLater && isInside(target));
  assertEquals(SOURCES.filter((path) => !isInside(path) && loads(path)), []);
  const users = SOURCES.filter((path) => !isInside(path) && imports(path).some(isInside));
  assertEquals(users.toSorted(), ["cmd/commands/conform.ts", "cmd/commands/exec.ts"]);
});

Deno.test("only the host file's own places know SQLite", () => {
  const users = SOURCES.filter((path) => read(path).includes("node:sqlite"));
  assertEquals(users.toSorted(), [
    "lib/host/file/database.ts",
    "lib/host/file/file_store.ts",
    "lib/host/file/host_tables.ts",
    "lib/host/file/page_store.ts",
    "lib/host/file/redo.ts",
    "lib/host/file/row_store.ts",
  ]);
});

/** The files that are loaded with one, whatever the run needs. */
function loadedWith(path: string, found = new Set<string>()): Set<string> {
  if (found.has(path)) return found;
  found.add(path);
  for (const { target, isValue, isLater } of importsOf(path)) {
    if (isValue && !isLater && target.endsWith(".ts")) loadedWith(target, found);
  }
  return found;
}

Deno.test("a start loads the language, the table and the terminal; commands, session and host wait", () => {
  const rooms = ["cmd/language/", "lib/base/"];
  const files = [
    ...["main.ts", "cmd/main.ts", "cmd/table.ts", "cmd/build_info.ts", "cmd/completion/call.ts"],
    ...["cmd/run/environment.ts", "cmd/run/pause.ts", "cmd/run/permissions.ts"],
    ...["cmd/output/terminal.ts", "cmd/output/held.ts"],
  ];
  const loaded = [...loadedWith("main.ts")];
  assertEquals(
    loaded.filter((path) => !files.includes(path) && !rooms.some((room) => path.startsWith(room))),
    [],
  );
  assertEquals(files.filter((path) => !loaded.includes(path)), []);
});

Deno.test("modules of others are loaded by those that use them", () => {
  const heads = /^import\b(?! type)[^;]*?from "([^."][^"]*)";/gms;
  const users = SOURCES.flatMap((path) =>
    [...read(path).matchAll(heads)].map(([, name]) => `${path} ${name}`)
  );
  assertEquals(users.toSorted(), [
    "cmd/language/nearest.ts @std/text/levenshtein-distance",
    "cmd/language/options.ts @std/cli/parse-args",
    "cmd/output/units.ts @std/fmt/bytes",
    // Nothing of Node is here but SQLite: in a bundle every start loads what stands at the head of a module.
    "lib/host/file/database.ts node:sqlite",
    "lib/host/file/import.ts valibot",
    "lib/host/issue.ts valibot",
    "lib/host/state/schema.ts valibot",
    "lib/host/state/schema_kernel.ts valibot",
    "lib/host/state/schema_machine.ts valibot",
    "lib/host/state/schema_values.ts valibot",
    "lib/host/topology.ts valibot",
  ]);
});

Deno.test("no source file is too long to read, and none that was is forgotten", () => {
  const long = SOURCES.filter((path) => read(path).trimEnd().split("\n").length > MAX_LINES);
  assertEquals(long.toSorted(), TOO_LONG.toSorted());
});

Deno.test("every exported function and class of lib has a doc comment", () => {
  const wrong = SOURCES.filter((path) => path.startsWith("lib/")).flatMap((path) => {
    const lines = read(path).split("\n");
    return lines.flatMap((line, i) => {
      if (!/^export (abstract )?(function\*?|class) /.test(line)) return [];
      return /\*\/\s*$/.test(lines[i - 1] ?? "") ? [] : [`${path}:${i + 1}: ${line.trim()}`];
    });
  });
  assertEquals(wrong, []);
});

Deno.test("main.ts has at most 20 lines", () => {
  assertEquals(read("main.ts").split("\n").length <= 20, true);
});

Deno.test("the version is the same in deno.json and in the program", () => {
  const { version } = JSON.parse(read("deno.json"));
  assertEquals(read("cmd/build_info.ts").includes(`VERSION = "${version}"`), true);
});
