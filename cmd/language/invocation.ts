/** A command line that was understood, and the values of its parameters. */
import type { TraceFilter } from "./trace_filter.ts";
import { type AnyCommand, isFlag, type Parameter } from "./command.ts";
import type { TableChoice } from "./table.ts";
import { GLOBAL_OPTIONS } from "./globals.ts";
import { isDynamic, literalWord } from "./options.ts";
import { parameterName, shapeOf } from "./shape.ts";
import { expand, variablesOf, type Word } from "./words.ts";

/** Global options with their values. */
export interface Globals {
  readonly host: string | undefined;
  readonly device: string | undefined;
  readonly json: boolean;
  readonly raw: boolean;
  readonly trace: TraceFilter | undefined;
  readonly traceFile: string | undefined;
  readonly dryRun: boolean;
  /** Texts of `-c`. */
  readonly c: readonly string[];
  readonly keepGoing: boolean;
  readonly commitEach: boolean;
  readonly quiet: boolean;
  readonly verbose: boolean;
  readonly color: "auto" | "always" | "never" | undefined;
  readonly help: boolean;
  readonly version: boolean;
  /** What the line wants of its table, where it has one. */
  readonly table?: TableChoice;
}

/** Finds a `$name`'s value. */
export type Lookup = (name: string) => string | undefined;

/** Before a line runs, nothing has a value. */
export const NO_VALUES: Lookup = () => undefined;

/** Words of arguments and options by key. */
export type GivenWords = ReadonlyMap<string, readonly Word[]>;
const NONE: GivenWords = new Map();

/** Values of parameters by key. */
export type BoundValues = Readonly<Record<string, unknown>>;

/** A key, and behind it its words: each as a text where it waits for nothing; scripts have very many of them. */
type Given = string | readonly (string | Word)[];
const NOTHING_GIVEN: readonly Given[] = [];

/** Keys and words in turn. One word that waits for nothing stands there by itself. */
function compact(given: GivenWords): readonly Given[] {
  if (given.size === 0) return NOTHING_GIVEN;
  const list: Given[] = [];
  for (const [key, words] of given) {
    const texts = words.map((word) => isDynamic(word) ? word : expand(word, NO_VALUES));
    const [only] = texts;
    list.push(key, texts.length === 1 && typeof only === "string" ? only : texts);
  }
  // A list that grew has room for more than it holds.
  return list.slice();
}

/** A parameter that waits for the value of a variable. */
interface Waiting {
  readonly key: string;
  readonly what: string;
  readonly spec: Parameter<unknown>;
  readonly words: readonly Word[];
}

/** What is known of the values before the line runs. */
interface Known {
  /** Values of what waits for no variable. */
  readonly values: BoundValues;
  readonly waiting: readonly Waiting[];
  /** Variables that are waited for. */
  readonly names: readonly string[];
}
const NO_NAMES: readonly string[] = [];
const NOTHING_WAITS: readonly Waiting[] = [];
const NO_PARAMETERS: Known = { values: {}, waiting: NOTHING_WAITS, names: NO_NAMES };

/** A command line that was understood: compiled once, and then run as often as it stands somewhere. */
export class Invocation {
  /** Undefined if the line has only global options. */
  readonly command: AnyCommand | undefined;
  readonly globals: GivenWords;
  /** The command line behind `expect`, `let` or `repeat`. */
  readonly inner: Invocation | undefined;
  /** First word of a family of commands that help is wanted on: `dmb --help`. */
  readonly family: string | undefined;
  /** The command line behind all prefixes. */
  readonly innermost: Invocation;
  readonly #known: Known;
  readonly #given: readonly Given[];
  /** The last values, good while the variables have the values that they had then. */
  #bound: BoundValues | undefined = undefined;
  #isKnown = false;
  #seen: readonly (string | undefined)[] = NO_NAMES;

  private constructor(
    { command, family, globals, inner }: Pick<Invocation, "command" | "family" | "globals" | "inner">,
    known: Known,
    given: readonly Given[],
  ) {
    this.command = command;
    this.family = family;
    this.globals = globals;
    this.inner = inner;
    this.innermost = inner?.innermost ?? this;
    this.#known = known;
    this.#given = given;
  }

  /**
   * A line whose words have found their places. A line that only wants help has no values.
   *
   * @throws {UsageError} for a value that is wrong, and waits for no variable
   */
  static of(
    command: AnyCommand | undefined,
    given: GivenWords,
    globals: GivenWords,
    { inner, family }: { readonly inner?: Invocation | undefined; readonly family?: string } = {},
  ): Invocation {
    const helpOnly = globals.has("help");
    if (!helpOnly || command === undefined) checkGlobals(globals);
    const known = command === undefined || helpOnly ? NO_PARAMETERS : knownOf(command, given);
    return new Invocation(
      { command, family, globals: globals.size === 0 ? NONE : globals, inner },
      known,
      compact(given),
    );
  }

  /** Words of arguments and options by key; those that wait for nothing as one text. */
  get words(): GivenWords {
    const words = new Map<string, readonly Word[]>();
    for (let i = 0; i < this.#given.length; i += 2) {
      const list = [this.#given[i + 1]!].flat() as readonly (string | Word)[];
      words.set(
        String(this.#given[i]),
        list.map((word) => typeof word === "string" ? { ...literalWord(word), quoted: true } : word),
      );
    }
    return words;
  }

  /** Values of what waits for no variable. */
  get known(): BoundValues {
    return this.#known.values;
  }

  /** True if a variable of this name is looked up when the line runs. */
  uses(name: string): boolean {
    return this.#known.names.includes(name) || this.inner?.uses(name) === true ||
      [...this.globals.values()].some((words) => words.some((word) => variablesOf(word).includes(name)));
  }

  /** The values of the command's parameters, variables replaced. @throws {UsageError} */
  bind(lookup: Lookup): BoundValues {
    const { values, waiting, names } = this.#known;
    if (waiting.length === 0) return values;
    if (this.#bound !== undefined && names.every((name, i) => lookup(name) === this.#seen[i])) {
      return this.#bound;
    }
    const bound: Record<string, unknown> = { ...values };
    for (const { key, what, spec, words } of waiting) {
      const parse = (word: Word) => spec.kind.parse(expand(word, lookup), what);
      bound[key] = spec.rest === true ? words.map(parse) : parse(words.at(-1)!);
    }
    // What is run once is not worth keeping.
    if (this.#isKnown) {
      this.#seen = names.map(lookup);
      this.#bound = bound;
    }
    this.#isKnown = true;
    return bound;
  }

  /** The same line with other values, and the variables as they are. */
  with(values: BoundValues, lookup: Lookup): Invocation {
    return new Invocation(
      this,
      { ...NO_PARAMETERS, values: { ...this.bind(lookup), ...values } },
      this.#given,
    );
  }
}

function checkGlobals(globals: GivenWords): void {
  for (const [key, words] of globals) {
    const spec: Parameter<unknown> | { flag: true } = GLOBAL_OPTIONS[key as keyof typeof GLOBAL_OPTIONS];
    if (spec === undefined || "flag" in spec) continue;
    for (const word of words) if (!isDynamic(word)) parseWord(key, spec, word, NO_VALUES);
  }
}

/** Parses every word that waits for no variable, so that mistakes show before anything runs. */
function knownOf(command: AnyCommand, given: GivenWords): Known {
  const values: Record<string, unknown> = {};
  let waiting: Waiting[] | undefined;
  for (const { key, what, spec } of shapeOf(command).parameters) {
    const words = given.get(key);
    if (isFlag(spec)) values[key] = words !== undefined;
    else if (words === undefined) values[key] = spec.rest === true ? [] : spec.value;
    else {
      const parsed = words.map((word) =>
        isDynamic(word) ? undefined : spec.kind.parse(expand(word, NO_VALUES), what)
      );
      values[key] = spec.rest === true ? parsed : parsed.at(-1);
      const counting = spec.rest === true ? words : words.slice(-1);
      if (counting.some(isDynamic)) (waiting ??= []).push({ key, what, spec, words: counting });
    }
  }
  if (waiting === undefined) return { values, waiting: NOTHING_WAITS, names: NO_NAMES };
  return { values, waiting, names: waiting.flatMap(({ words }) => words.flatMap(variablesOf)) };
}

function parseWord(key: string, spec: Parameter<unknown>, word: Word, lookup: Lookup): unknown {
  return spec.kind.parse(expand(word, lookup), parameterName(key, spec));
}

/** The values of global options. @throws {UsageError} */
export function bindGlobals({ globals }: Invocation, lookup: Lookup): Globals {
  const values: Record<string, unknown> = {};
  for (const [key, spec] of Object.entries<Parameter<unknown> | { flag: true }>(GLOBAL_OPTIONS)) {
    const list = globals.get(key);
    if ("flag" in spec) values[key] = list !== undefined;
    else if (key === "c") values[key] = (list ?? []).map((word) => expand(word, lookup));
    else {
      const word = list?.at(-1);
      values[key] = word === undefined ? undefined : parseWord(key, spec, word, lookup);
    }
  }
  return values as unknown as Globals;
}
