/**
 * The standard library comes from npm today and may come from jsr tomorrow, by an edit of deno.json's map alone: every
 * name that a file imports is in the declared interface, and in what the map leads to.
 */
import { assert, assertEquals, assertThrows } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { projectConfig } from "../build/permissions.ts";

const ROOT = new URL("../", import.meta.url);
const FOLDERS = ["lib", "cmd", "build", "tests", "bench", "examples"];

/** Where a specifier of std leads. */
type Target =
  | { readonly form: "npm"; readonly library: string; readonly module: string }
  | { readonly form: "jsr"; readonly library: string; readonly module: string }
  | { readonly form: "node"; readonly module: string };

/** Understands a value of the map in either form. @throws {Error} if it is in none */
function targetOf(value: string): Target {
  const npm = /^npm:deno-std@\d+\.\d+\.\d+\/([a-z]+)\/(\w+)\.js$/.exec(value);
  if (npm !== null) return { form: "npm", library: npm[1]!, module: npm[2]! };
  const jsr = /^jsr:@std\/([a-z]+)@[\d.^~]+(?:\/([\w-]+))?$/.exec(value);
  if (jsr !== null) return { form: "jsr", library: jsr[1]!, module: jsr[2] ?? "mod" };
  if (value === "node:test") return { form: "node", module: "test" };
  throw new Error(`"${value}" is neither std on npm nor std on jsr`);
}

/** The specifier that a target is meant for; all forms of one module have the same. */
function specifierOf(target: Target): string {
  if (target.form === "node") return "@std/testing/bdd";
  const module = target.module.replaceAll("_", "-");
  return `@std/${target.library}${module === "mod" ? "" : `/${module}`}`;
}

/** A map's value on jsr for a specifier. */
function onJsr(specifier: string): string {
  const [, library, module] = /^@std\/([a-z]+)(\/[\w-]+)?$/.exec(specifier)!;
  return `jsr:@std/${library}@1${module ?? ""}`;
}

/** Names that the declared interface has, by specifier. */
function declared(): Map<string, Set<string>> {
  const text = Deno.readTextFileSync(new URL("types/std.d.ts", ROOT));
  const modules = text.matchAll(/^declare module "([^"]+)" \{\n(.*?)^\}$/gms);
  return new Map([...modules].map(([, name, body]) => {
    const names = body!.matchAll(/^ {2}export (?:class|function|const|interface|type) (\w+)/gm);
    return [name!, new Set([...names].map(([, each]) => each!))];
  }));
}

/** Every import of std: who asks for which name of which module, and whether it is a type. */
function* imports(): Generator<{ path: string; specifier: string; name: string; isType: boolean }> {
  for (const path of FOLDERS.flatMap((folder) => [...sources(`${folder}/`)])) {
    const text = Deno.readTextFileSync(new URL(path, ROOT));
    for (
      const [, type, names, specifier] of text.matchAll(
        /^import (type )?\{([^}]*)\} from "(@std\/[^"]+)";$/gm,
      )
    ) {
      for (const part of names!.split(",").map((each) => each.trim()).filter((each) => each !== "")) {
        const [, own, name] = /^(type )?(\w+)/.exec(part)!;
        yield { path, specifier: specifier!, name: name!, isType: type !== undefined || own !== undefined };
      }
    }
  }
}

function* sources(folder: string): Generator<string> {
  for (const { name, isDirectory } of Deno.readDirSync(new URL(folder, ROOT))) {
    if (isDirectory) yield* sources(`${folder}${name}/`);
    else if (name.endsWith(".ts")) yield `${folder}${name}`;
  }
}

describe("the map of deno.json", () => {
  const map = Object.entries(projectConfig().imports).filter(([specifier]) => specifier.startsWith("@std/"));

  it("leads each specifier of std to the module of that name", () => {
    assert(map.length > 0);
    for (const [specifier, value] of map) assertEquals(specifierOf(targetOf(value)), specifier);
  });

  it("could lead each of them to jsr by an edit of its value alone", () => {
    for (const [specifier] of map) {
      const target = targetOf(onJsr(specifier));
      assertEquals([target.form, specifierOf(target)], ["jsr", specifier]);
    }
    for (
      const wrong of ["npm:deno-std/assert/mod.js", "https://deno.land/std/assert/mod.ts", "jsr:@std/assert"]
    ) {
      assertThrows(() => targetOf(wrong), Error, "neither std on npm nor std on jsr");
    }
  });

  it("has every specifier that is imported, and every one has declared names", () => {
    const used = new Set([...imports()].map(({ specifier }) => specifier));
    const [mapped, interfaces] = [new Set(map.map(([specifier]) => specifier)), declared()];
    assertEquals(used.difference(mapped), new Set());
    assertEquals(mapped.difference(used), new Set(), "mapped, and used by nobody");
    assertEquals(mapped.difference(new Set(interfaces.keys())), new Set());
  });

  it("leads to every name that a file imports, as the declared interface says", async () => {
    const interfaces = declared();
    const wrong: string[] = [];
    for (const { path, specifier, name, isType } of imports()) {
      if (interfaces.get(specifier)?.has(name) !== true) wrong.push(`${path}: ${name} is not declared`);
      const module: Record<string, unknown> = await import(specifier);
      if (!isType && !(name in module)) wrong.push(`${path}: ${name} is not in ${specifier}`);
    }
    assertEquals(wrong, []);
  });

  it("leads to every declared name that is no type, used or not", async () => {
    const text = Deno.readTextFileSync(new URL("types/std.d.ts", ROOT));
    for (const [specifier, names] of declared()) {
      const module: Record<string, unknown> = await import(specifier);
      for (const name of names) {
        if (!RegExp(`export (?:interface|type) ${name}\\b`).test(text)) {
          assert(name in module, `${specifier}: ${name}`);
        }
      }
    }
  });
});
