/**
 * What `--trace=FILTER` selects, as `strace -e trace=` does: layers and names within them, each picked or, behind `!`,
 * left out; and whose events they may be.
 */
import { TRACE_LAYERS, TRACE_OPS, type TraceLayer } from "../../lib/base/trace.ts";
import type { Kind } from "./command.ts";
import { quoteText } from "./quote.ts";
import { nearest } from "./nearest.ts";
import { UsageError } from "./usage_error.ts";

/** Guests or functions by the words that the user wrote; no words in `only` are all of them. */
export interface Selection {
  readonly only: readonly string[];
  readonly not: readonly string[];
}

/** Events that are wanted. */
export interface TraceFilter {
  readonly ops: Readonly<Record<TraceLayer, ReadonlySet<string>>>;
  readonly guests: Selection;
  readonly functions: Selection;
}

const NOBODY: Selection = { only: [], not: [] };
const everything = () => new Map(TRACE_LAYERS.map((layer) => [layer, new Set(TRACE_OPS[layer])]));
const fixed = (ops: ReadonlyMap<TraceLayer, ReadonlySet<string>>) =>
  Object.fromEntries(TRACE_LAYERS.map((layer) => [layer, ops.get(layer) ?? new Set()])) as TraceFilter["ops"];

/** Every event. */
export const TRACE_ALL: TraceFilter = { ops: fixed(everything()), guests: NOBODY, functions: NOBODY };

/** Terms that begin with these say whose events are wanted. */
const WHOSE = { "guest:": "guests", "fn:": "functions" } as const;

/** The value of `--trace`. */
export const TRACE_FILTER: Kind<TraceFilter> = {
  placeholder: "FILTER",
  choices: [...TRACE_LAYERS, ...Object.keys(WHOSE)],
  separator: ",",
  parse: parseTraceFilter,
};

/** Reads a filter. @throws {UsageError} */
export function parseTraceFilter(value: string): TraceFilter {
  const whose = { guests: { only: [], not: [] }, functions: { only: [], not: [] } } as Record<
    "guests" | "functions",
    { readonly only: string[]; readonly not: string[] }
  >;
  const picked: [layer: TraceLayer, ops: readonly string[], not: boolean][] = [];
  // As strace has it, `!` in front of the first name is about all of them.
  let allNot: boolean | undefined;
  for (const term of value.split(",")) {
    const hasMark = term.startsWith("!");
    const word = hasMark ? term.slice(1) : term;
    const prefix = Object.keys(WHOSE).find((each) => word.startsWith(each)) as keyof typeof WHOSE | undefined;
    if (prefix !== undefined) {
      const name = word.slice(prefix.length);
      if (name === "") throw new UsageError(`--trace: ${quoteText(term)} names nobody`, { token: value });
      whose[WHOSE[prefix]][hasMark ? "not" : "only"].push(name);
      continue;
    }
    allNot ??= hasMark;
    picked.push([...parseTerm(word, value), hasMark || allNot]);
  }
  const onlyTakesAway = picked.every(([, , not]) => not);
  const ops: Map<TraceLayer, Set<string>> = onlyTakesAway ? everything() : new Map();
  for (const [layer, names, not] of picked) {
    const set = ops.get(layer) ?? new Set();
    for (const name of names) {
      if (not) set.delete(name);
      else set.add(name);
    }
    ops.set(layer, set);
  }
  return { ops: fixed(ops), ...whose };
}

/** A layer, or a layer and one name of it. */
function parseTerm(word: string, value: string): readonly [TraceLayer, readonly string[]] {
  const [layerName = "", ...rest] = word.split(":");
  const layer = TRACE_LAYERS.find((each) => each === layerName);
  if (layer === undefined) {
    throw new UsageError(
      `--trace: ${quoteText(word)} is not one of ${TRACE_LAYERS.join(", ")}, guest:NAME or fn:WHICH`,
      { token: value },
    );
  }
  if (rest.length === 0) return [layer, TRACE_OPS[layer]];
  const name = rest.join(":");
  const known = TRACE_OPS[layer].find((each) => each.toLowerCase() === name.toLowerCase());
  if (known !== undefined) return [layer, [known]];
  const near = nearest(name, TRACE_OPS[layer]);
  throw new UsageError(
    `--trace: no event of ${layer} is called ${quoteText(name)}${
      near === undefined ? "" : `; did you mean ${quoteText(near)}?`
    }`,
    { token: value, hint: `${layer} has ${TRACE_OPS[layer].join(", ")}` },
  );
}
