/** The rules of the reference by name. Importing this loads all texts. */
import { nearest } from "../language/nearest.ts";
import { quoteText } from "../language/quote.ts";
import { UsageError } from "../language/usage_error.ts";
import { PAGES } from "./pages.ts";
import { parsePage, type Rule } from "./parse.ts";

/** All rules, in the order of the pages. */
export const RULES: readonly Rule[] = PAGES.flatMap(([path, markdown]) => parsePage(path, markdown));

const BY_NAME = new Map(RULES.map((each) => [each.rule, each]));

/** The rule of that name. @throws {UsageError} with the nearest name */
export function findRule(name: string): Rule {
  const rule = BY_NAME.get(name);
  if (rule !== undefined) return rule;
  throw unknown(name);
}

/**
 * The rule of that name, or all whose names begin so; `reference` means all. None for a word that is no name at all.
 *
 * @throws {UsageError} for a name that leads nowhere
 */
export function findRules(name: string): readonly Rule[] {
  if (name === "reference") return RULES;
  const rule = BY_NAME.get(name);
  if (rule !== undefined) return [rule];
  const below = RULES.filter((each) => each.rule.startsWith(`${name}.`));
  if (below.length > 0 || !name.includes(".")) return below;
  const begun = RULES.filter((each) => each.rule.startsWith(name));
  if (begun.length > 0) return begun;
  throw unknown(name);
}

function unknown(name: string): UsageError {
  const near = nearest(name, [...BY_NAME.keys()]);
  const hint = near === undefined ? 'see "ism help reference"' : `did you mean "help ${near}"?`;
  return new UsageError(`${quoteText(name)} is not a rule of the reference`, { token: name, hint });
}
