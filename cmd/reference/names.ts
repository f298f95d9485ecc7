/** The module that holds the names of all rules, so that a misspelt one does not compile. */
import type { Rule } from "./parse.ts";

/** Where the module is. */
export const RULE_NAMES_FILE = new URL("../../lib/base/rule_names.ts", import.meta.url);

/** The module's text. */
export function ruleNamesModule(rules: readonly Rule[]): string {
  const names = rules.map(({ rule }) => `  "${rule}",\n`).toSorted().join("");
  return `/** Names of the rules of docs/reference. Made by "deno task rules"; do not edit. */
export const RULE_NAMES = [
${names}] as const;

/** The name of a rule, such as \`"vfio.write.boundary"\`. */
export type RuleName = (typeof RULE_NAMES)[number];
`;
}
