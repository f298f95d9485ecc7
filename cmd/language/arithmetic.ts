/** `$((…))`: whole numbers as shells calculate with them, exact up to 64 bits. */
import { quoteText } from "./quote.ts";
import { parseBigNumber } from "./number.ts";
import { UsageError } from "./usage_error.ts";

/** Finds the value of a variable. @throws {UsageError} if it has none */
type Known = (name: string) => string;

/** An expression that was understood. */
export interface Arithmetic {
  /** What stands between the brackets. */
  readonly text: string;
  /** Variables in it, in the order in which they stand. */
  readonly names: readonly string[];
  /** @throws {UsageError} for a variable that is no number, a division by zero, a value beyond 64 bits */
  evaluate(known: Known): bigint;
}

type Node = (known: Known) => bigint;

/** The most that a value can be, with either sign. */
const MOST = (1n << 64n) - 1n;
/** Brackets and signs within each other; more is a mistake, and would be a deep recursion. */
const MAX_DEPTH = 64;

const TOKEN =
  /\s*(?:([0-9][0-9A-Za-z_]*)|\$?([A-Za-z_][A-Za-z0-9_]*)|\$\{([A-Za-z_][A-Za-z0-9_]*)\}|(\*\*|<<|>>|<=|>=|==|!=|&&|\|\||[-+*/%<>&|^~!?:()]))/y;

/** Where `$((…))` ends that begins at `from`: the index behind it, or -1. */
export function endOfArithmetic(text: string, from: number): number {
  let depth = 0;
  for (let i = from + 1; i < text.length; i++) {
    const char = text.charAt(i);
    if (char === "(") depth++;
    else if (char === ")") {
      depth--;
      if (depth === 1) return text.charAt(i + 1) === ")" ? i + 2 : -1;
    }
  }
  return -1;
}

const bool = (value: boolean): bigint => value ? 1n : 0n;

/** Operators of two values by how closely they bind, as in C and in shells. */
const LEVELS: readonly Readonly<Record<string, (a: bigint, b: bigint) => bigint>>[] = [
  { "|": (a, b) => a | b },
  { "^": (a, b) => a ^ b },
  { "&": (a, b) => a & b },
  { "==": (a, b) => bool(a === b), "!=": (a, b) => bool(a !== b) },
  {
    "<": (a, b) => bool(a < b),
    "<=": (a, b) => bool(a <= b),
    ">": (a, b) => bool(a > b),
    ">=": (a, b) => bool(a >= b),
  },
  { "<<": (a, b) => a << shift(b), ">>": (a, b) => a >> shift(b) },
  { "+": (a, b) => a + b, "-": (a, b) => a - b },
  { "*": (a, b) => a * b, "/": (a, b) => a / divisor(b), "%": (a, b) => a % divisor(b) },
];

function divisor(value: bigint): bigint {
  if (value === 0n) throw new UsageError("$((…)): a division by zero");
  return value;
}

function shift(count: bigint): bigint {
  if (count >= 0n && count < 64n) return count;
  throw new UsageError(`$((…)): a shift by ${count}; shift by 0 to 63`);
}

function power(base: bigint, exponent: bigint): bigint {
  if (exponent < 0n) throw new UsageError(`$((…)): the exponent ${exponent} is negative`);
  const isSmall = base >= -1n && base <= 1n;
  if (!isSmall && exponent > 64n) throw tooLarge();
  // Powers of -1, 0 and 1 repeat.
  return base ** (isSmall ? (exponent > 1n ? 2n - exponent % 2n : exponent) : exponent);
}

function tooLarge(): UsageError {
  return new UsageError("$((…)): a value does not fit in 64 bits");
}

/** Understands what stands between `$((` and `))`. @throws {UsageError} */
export function parseArithmetic(text: string): Arithmetic {
  const parser = new Parser(text);
  const node = parser.whole();
  return { text, names: parser.names, evaluate: node };
}

class Parser {
  readonly names: string[] = [];
  readonly #text: string;
  #at = 0;
  #depth = 0;
  /** The token that was read last. */
  #number: string | undefined = undefined;
  #name: string | undefined = undefined;
  #sign: string | undefined = undefined;

  constructor(text: string) {
    this.#text = text;
    this.#next();
  }

  whole(): Node {
    const node = this.#choice();
    if (!this.#isEnd) throw this.#unexpected();
    return node;
  }

  get #isEnd(): boolean {
    return this.#number === undefined && this.#name === undefined && this.#sign === undefined;
  }

  #next(): void {
    this.#number = this.#name = this.#sign = undefined;
    if (this.#text.slice(this.#at).trim() === "") {
      this.#at = this.#text.length;
      return;
    }
    TOKEN.lastIndex = this.#at;
    const found = TOKEN.exec(this.#text);
    if (found === null) {
      throw new UsageError(`$((…)): ${quoteText(this.#text.slice(this.#at).trim())} is not understood`);
    }
    this.#number = found[1];
    this.#name = found[2] ?? found[3];
    this.#sign = found[4];
    this.#at = TOKEN.lastIndex;
  }

  #unexpected(): UsageError {
    if (this.#isEnd) return new UsageError("$((…)): a value is missing");
    const token = this.#number ?? this.#name ?? this.#sign ?? "";
    return new UsageError(`$((…)): ${quoteText(token)} does not belong there`);
  }

  #takes(sign: string): boolean {
    if (this.#sign !== sign) return false;
    this.#next();
    return true;
  }

  /** `a ? b : c`; only one of them is worked out. */
  #choice(): Node {
    if (++this.#depth > MAX_DEPTH) throw new UsageError("$((…)): brackets go too deep");
    const condition = this.#either();
    let node = condition;
    if (this.#takes("?")) {
      const yes = this.#choice();
      if (!this.#takes(":")) throw this.#unexpected();
      const no = this.#choice();
      node = (known) => condition(known) !== 0n ? yes(known) : no(known);
    }
    this.#depth--;
    return node;
  }

  #either(): Node {
    let node = this.#both();
    while (this.#takes("||")) {
      const [left, right] = [node, this.#both()];
      node = (known) => bool(left(known) !== 0n || right(known) !== 0n);
    }
    return node;
  }

  #both(): Node {
    let node = this.#binary(0);
    while (this.#takes("&&")) {
      const [left, right] = [node, this.#binary(0)];
      node = (known) => bool(left(known) !== 0n && right(known) !== 0n);
    }
    return node;
  }

  #binary(level: number): Node {
    const operators = LEVELS[level];
    if (operators === undefined) return this.#power();
    let node = this.#binary(level + 1);
    for (;;) {
      const work = this.#sign === undefined ? undefined : operators[this.#sign];
      if (work === undefined) return node;
      this.#next();
      const [left, right] = [node, this.#binary(level + 1)];
      node = (known) => checked(work(left(known), right(known)));
    }
  }

  /** `2 ** 3 ** 2` is `2 ** 9`. */
  #power(): Node {
    const base = this.#unary();
    if (!this.#takes("**")) return base;
    if (++this.#depth > MAX_DEPTH) throw new UsageError("$((…)): brackets go too deep");
    const exponent = this.#power();
    this.#depth--;
    return (known) => checked(power(base(known), exponent(known)));
  }

  #unary(): Node {
    const sign = this.#sign;
    if (sign === undefined || !"-+~!".includes(sign)) return this.#value();
    this.#next();
    if (++this.#depth > MAX_DEPTH) throw new UsageError("$((…)): signs go too deep");
    const value = this.#unary();
    this.#depth--;
    if (sign === "-") return (known) => -value(known);
    if (sign === "~") return (known) => ~value(known);
    return sign === "+" ? value : (known) => bool(value(known) === 0n);
  }

  #value(): Node {
    const [number, name] = [this.#number, this.#name];
    if (number !== undefined) {
      const value = parseBigNumber(number, "$((…))");
      this.#next();
      return () => value;
    }
    if (name !== undefined) {
      this.names.push(name);
      this.#next();
      return (known) => numberOf(known(name), name);
    }
    if (!this.#takes("(")) throw this.#unexpected();
    const node = this.#choice();
    if (!this.#takes(")")) throw this.#unexpected();
    return node;
  }
}

/** A variable's value, which may be what another `$((…))` came to. */
function numberOf(text: string, name: string): bigint {
  return text.startsWith("-") ? -parseBigNumber(text.slice(1), `$${name}`) : parseBigNumber(text, `$${name}`);
}

function checked(value: bigint): bigint {
  if (value > MOST || value < -MOST) throw tooLarge();
  return value;
}
