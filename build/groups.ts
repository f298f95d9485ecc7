/**
 * What is loaded together, so that the bundler makes few files of it: each `import()` of the source would be a file of its
 * own with what it alone needs, and a start that reads sixty files is slower than one that reads three.
 */
import { dirname, join, relative } from "node:path";

/** Modules that are loaded later, or their folders, by the group that they belong to; all others are the group `rest`. */
const GROUPS: Readonly<Record<string, readonly string[]>> = {
  session: ["cmd/perform.ts", "cmd/commands/access.ts"],
  look: ["list", "info", "status"].map((family) => `cmd/commands/${family}.ts`),
  help: ["cmd/help/help.ts", "cmd/commands/help.ts", "cmd/run/hostless.ts", "cmd/output/report.ts"],
  // What calls the C library as soon as it is loaded, which needs a permission that other commands have given back.
  launch: ["lib/exec/launch.ts"],
  programs: [
    ...["cmd/run/exec/programs.ts", "cmd/run/exec/audit.ts", "cmd/run/exec/conform.ts"],
    ...["lib/exec/run.ts", "lib/exec/signals.ts"],
  ],
  // A start of a program needs no other command.
  exec: ["cmd/commands/exec.ts"],
  commands: ["cmd/commands/"],
  // Whole books and pages, which few lines ask for.
  reference: ["cmd/reference/"],
  traces: ["cmd/output/trace/"],
  rest: [],
};
/** Groups that are loaded where the session is there already: what both need is in a few files then, not in many. */
const AFTER_SESSION: readonly string[] = ["look", "programs", "exec", "commands", "traces", "rest"];
/** Folders and files that a bundle is made of. */
const SOURCES = ["cmd", "lib", "docs/reference", "types", "deno.json", "deno.lock"] as const;
const LATER = /\bimport\(\s*"(\.[^"]+)",?\s*\)/g;

/** Copies the source to a folder where every `import()` of a module is one of its group. */
export function copyInGroups(from: string, to: string): void {
  const members = new Map(Object.keys(GROUPS).map((group) => [group, [] as string[]]));
  const change = (path: string, text: string) =>
    text.replaceAll(LATER, (_, specifier) => {
      const target = join(dirname(path), specifier);
      const group = groupOf(target);
      const list = members.get(group)!;
      if (!list.includes(target)) list.push(target);
      const file = relative(dirname(path), `${group}.ts`);
      return `import("${file.startsWith(".") ? file : `./${file}`}").then((all) => all.${nameOf(target)})`;
    });
  for (const source of SOURCES) copy(from, to, source, change);
  for (const [group, targets] of members) {
    const lines = targets.toSorted().map((target) => `export * as ${nameOf(target)} from "./${target}";\n`);
    const before = AFTER_SESSION.includes(group) ? 'import "./session.ts";\n' : "";
    Deno.writeTextFileSync(`${to}/${group}.ts`, before + lines.join(""));
  }
}

/** The first group that has the module or its folder. */
function groupOf(path: string): string {
  const isIn = (place: string) => place.endsWith("/") ? path.startsWith(place) : path === place;
  return Object.keys(GROUPS).find((group) => GROUPS[group]!.some(isIn)) ?? "rest";
}

function nameOf(path: string): string {
  return path.replace(/\.ts$/, "").replaceAll(/\W/g, "_");
}

function copy(from: string, to: string, path: string, change: (path: string, text: string) => string): void {
  if (Deno.statSync(`${from}/${path}`).isDirectory) {
    Deno.mkdirSync(`${to}/${path}`, { recursive: true });
    const names = [...Deno.readDirSync(`${from}/${path}`)].map(({ name }) => name).toSorted();
    for (const name of names) if (!name.endsWith("_test.ts")) copy(from, to, `${path}/${name}`, change);
    return;
  }
  const text = Deno.readTextFileSync(`${from}/${path}`);
  Deno.writeTextFileSync(`${to}/${path}`, path.endsWith(".ts") ? change(path, text) : text);
}
