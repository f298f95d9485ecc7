/** Structural mutations of a JSON document that depend on a number alone: what somebody who edits it may do. */
import type { Json } from "../../lib/base/json.ts";
import { SPLIT_MIX_STEP, splitMix64 } from "../../lib/base/random.ts";

type Container = Record<string, unknown> | unknown[];

/** Numbers that mean something else than what stood there. */
const ODD_NUMBERS = [
  ...[-1, 0, 1, 2, 3, 4, 7, 8, 15, 16, 31, 32, 63, 64, 255, 256, 1024, 4095, 4096, 0.5, 1.5, -2, 1e300],
  ...[2 ** 31, 2 ** 32 - 1, 2 ** 32, 2 ** 40, 2 ** 48, 2 ** 53 - 1, 2 ** 53, 2 ** 64, 1_048_576, 268_435_456],
];
const ODD_VALUES: readonly unknown[] = [
  ...[null, true, false, "", "x", "0x0", "0xffffffffffffffff", "00", "ism", "vfio-pci", "error", "group"],
  ...[[], {}, [0], [null], [[]], { kind: "busy" }, { id: 1 }],
];

/** Draws from a seed. */
class Draw {
  #state: bigint;

  constructor(seed: number) {
    this.#state = splitMix64(BigInt(seed));
  }

  /** A whole number below `limit`. */
  below(limit: number): number {
    this.#state = BigInt.asUintN(64, this.#state + SPLIT_MIX_STEP);
    return Number(splitMix64(this.#state) % BigInt(limit));
  }

  of<Of>(values: readonly Of[]): Of {
    return values[this.below(values.length)]!;
  }
}

function isContainer(value: unknown): value is Container {
  return typeof value === "object" && value !== null;
}

const keysOf = (container: Container) => Object.keys(container);
const get = (container: Container, key: string) => (container as Record<string, unknown>)[key];
const set = (container: Container, key: string, value: unknown) => {
  (container as Record<string, unknown>)[key] = value;
};

/** A place in the document: the deeper, the likelier. */
function place(draw: Draw, root: Container): { readonly at: Container; readonly key: string } {
  let at = root;
  for (;;) {
    const keys = keysOf(at);
    if (keys.length === 0) return { at, key: "new" };
    const key = draw.of(keys);
    const value = get(at, key);
    if (!isContainer(value) || keysOf(value).length === 0 || (at !== root && draw.below(8) === 0)) {
      return { at, key };
    }
    at = value;
  }
}

function remove(at: Container, key: string): void {
  if (Array.isArray(at)) at.splice(Number(key), 1);
  else delete at[key];
}

type Mutation = (draw: Draw, at: Container, key: string, root: Container) => void;

const oddNumber: Mutation = (draw, at, key) => {
  const value = get(at, key);
  if (typeof value !== "number" || draw.below(2) === 0) return set(at, key, draw.of(ODD_NUMBERS));
  set(at, key, value + draw.of([-4096, -8, -1, 1, 2, 8, 4096, 2 ** 28, value, -2 * value]));
};

/** A value of the same type from elsewhere: the likeliest mistake to look right. */
const otherValue: Mutation = (draw, at, key, root) => {
  const value = get(at, key);
  if (typeof value === "boolean") return set(at, key, !value);
  for (let tries = 0; tries < 50; tries++) {
    const other = place(draw, root);
    const found = get(other.at, other.key);
    if (typeof found !== typeof value || isContainer(found) || found === value) continue;
    return set(at, key, found);
  }
};

const MUTATIONS: readonly Mutation[] = [
  otherValue,
  otherValue,
  otherValue,
  (_draw, at, key) => remove(at, key),
  (draw, at, key) => {
    const copy = structuredClone(get(at, key));
    if (Array.isArray(at)) at.splice(draw.below(at.length + 1), 0, copy);
    else at[`${key}${draw.below(10)}`] = copy;
  },
  (draw, at, key) => {
    const value = get(at, key);
    const retyped = typeof value === "number" ? [String(value), `0x${value.toString(16)}`] : [Number(value)];
    set(at, key, draw.of([...retyped, [value], { value }, null, value !== true]));
  },
  oddNumber,
  oddNumber,
  oddNumber,
  (draw, at, key, root) => {
    const other = place(draw, root);
    const [one, two] = [get(at, key), get(other.at, other.key)];
    // What contains the other would contain itself.
    if (JSON.stringify(one ?? null).length + JSON.stringify(two ?? null).length > 20_000) return;
    set(at, key, structuredClone(two));
    set(other.at, other.key, structuredClone(one));
  },
  (draw, at, key) => {
    if (Array.isArray(at)) return void at.reverse();
    const value = get(at, key);
    remove(at, key);
    at[draw.of([`${key}s`, key.toUpperCase(), key.slice(1), "id", "toString"])] = value;
  },
  (draw, at, key) => {
    const value = get(at, key);
    if (typeof value !== "string" || value === "") return set(at, key, draw.of(ODD_VALUES));
    const cut = draw.below(value.length);
    set(at, key, value.slice(0, cut) + draw.of(["", "0", "f", "é", "ff"]) + value.slice(cut + 1));
  },
  (draw, at, key) => set(at, key, draw.of(ODD_VALUES)),
];

/** A mutated copy; the same seed does the same. */
export function mutated(document: Json, seed: number): Json {
  const draw = new Draw(seed);
  const copy = structuredClone(document) as unknown;
  if (!isContainer(copy)) return draw.of(ODD_NUMBERS);
  for (let left = 1 + (draw.below(4) === 0 ? draw.below(3) : 0); left > 0; left--) {
    const { at, key } = place(draw, copy);
    draw.of(MUTATIONS)(draw, at, key, copy);
  }
  return copy as Json;
}
