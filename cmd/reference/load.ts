/** Rules of the reference for those who seldom need one: the texts are loaded at the first call. */
import type { Rule } from "./parse.ts";

/** The rule of that name. @throws {UsageError} if there is none */
export async function loadRule(name: string): Promise<Rule> {
  const { findRule } = await import("./reference.ts");
  return findRule(name);
}

/** The rules of a name or of its beginning, as {@linkcode findRules} tells them. @throws {UsageError} */
export async function loadRules(name: string): Promise<readonly Rule[]> {
  const { findRules } = await import("./reference.ts");
  return findRules(name);
}
