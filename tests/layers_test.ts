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
  ["cmd/", ["lib/"]],
];

/** Longest source file, in lines; longer ones want to be two. */
const MAX_LINES = 500;

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

/** Paths of the project that a file imports. */
function imports(path: string): string[] {
  const found = read(path).matchAll(/^(?:import|export)\b[^;]*?from "(\.[^"]+)";/gms);
  return [...found].map(([, target]) =>
    new URL(target!, new URL(path, ROOT)).pathname.slice(ROOT.pathname.length)
  );
}

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
  assertEquals(wrong, []);
});

/** Rooms of lib whose business is the real machine. */
const OUTSIDE = "lib/exec/";

Deno.test("lib does not print, read the clock, the environment or randomness, or wait", () => {
  const forbidden =
    /\bconsole\.|\bDeno\.|\bDate\.now\b|new Date\(|\bperformance\b|Math\.random|crypto\.|\basync\b|\bawait\b/;
  // Files are what the host file's path is about.
  const files = /\bDeno\.((lstat|stat|realPath|open|remove)Sync|errors\.NotFound|FileInfo)\b/g;
  const inside = SOURCES.filter((path) => path.startsWith("lib/") && !path.startsWith(OUTSIDE));
  const wrong = inside.flatMap((path) =>
    read(path).split("\n").flatMap((line, i) =>
      forbidden.test(path === "lib/host/file/host_path.ts" ? line.replaceAll(files, "") : line) &&
        !/^\s*(\*|\/\/|\/\*)/.test(line)
        ? [`${path}:${i + 1}: ${line.trim()}`]
        : []
    )
  );
  assertEquals(wrong, []);
});

Deno.test("only two files call foreign code, and only one command loads them", () => {
  const callers = SOURCES.filter((path) => /Deno\.dlopen\(/.test(read(path)));
  assertEquals(callers.toSorted(), ["lib/exec/launch.ts", "lib/exec/libc.ts"]);
  const users = SOURCES.filter((path) =>
    !path.startsWith(OUTSIDE) && imports(path).some((target) => target.startsWith(OUTSIDE))
  );
  assertEquals(users, []);
});

Deno.test("only the host file's own places know SQLite", () => {
  const users = SOURCES.filter((path) => read(path).includes("node:sqlite"));
  assertEquals(users.toSorted(), [
    "lib/host/file/database.ts",
    "lib/host/file/file_store.ts",
    "lib/host/file/page_store.ts",
    "lib/host/file/row_store.ts",
  ]);
});

Deno.test("no source file is too long to read", () => {
  const long = SOURCES.filter((path) => read(path).split("\n").length > MAX_LINES);
  assertEquals(long, []);
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
  assertEquals(read("cmd/help/help.ts").includes(`VERSION = "${version}"`), true);
});
