/** What the schemas of saved state are made of: objects that follow an interface, and values with their limits. */
import * as v from "valibot";

/** A schema of saved state. What it accepts is of the type as it stands; nothing is filled in or converted. */
export type StateSchema<State> = v.GenericSchema<unknown, State>;

/** A schema for every field of an interface; an optional field has an optional one. */
type Entries<State> = {
  readonly [Key in keyof State]-?: Record<never, never> extends Pick<State, Key>
    ? v.ExactOptionalSchema<StateSchema<Exclude<State[Key], undefined>>, undefined>
    : StateSchema<State[Key]>;
};

/** An object with exactly the fields of an interface: one more or one less does not compile. */
export function object<State extends object>(entries: Entries<State>): StateSchema<State> {
  const plain = v.check((value) => !Array.isArray(value), "Invalid type: Expected Object but received Array");
  return v.pipe(v.unknown(), plain, v.strictObject(entries as unknown as v.ObjectEntries)) as unknown as
    & StateSchema<State>
    & v.GenericSchema;
}

/** A field that may be absent. */
export function optional<Of>(schema: StateSchema<Of>): v.ExactOptionalSchema<StateSchema<Of>, undefined> {
  return v.exactOptional(schema);
}

/** A list. */
export function list<Of>(
  item: StateSchema<Of>,
  { least = 0, most = Infinity }: { readonly least?: number; readonly most?: number } = {},
): StateSchema<Of[]> {
  return v.pipe(v.array(item), v.minLength(least), v.maxLength(most));
}

/** A value that null stands in for. */
export function orNull<Of>(schema: StateSchema<Of>): StateSchema<Of | null> {
  return v.nullable(schema);
}

/** One of some words. */
export function choice<const Word extends string>(words: readonly Word[]): StateSchema<Word> {
  return v.picklist(words);
}

/** One of all words of a type: one more or one less does not compile. */
export function everyWord<Word extends string>(words: Readonly<Record<Word, true>>): StateSchema<Word> {
  return v.picklist(Object.keys(words) as Word[]);
}

/** One of several objects that differ in their field `kind`; one more or one less does not compile. */
export function everyKind<Of extends { readonly kind: string }>(
  schemas: { readonly [Kind in Of["kind"]]: StateSchema<Extract<Of, { readonly kind: Kind }>> },
): StateSchema<Of> {
  const byKind = new Map<unknown, StateSchema<Of>>(Object.entries<StateSchema<Of>>(schemas));
  const unknown: v.GenericSchema = v.object({ kind: v.picklist([...Object.keys(schemas)]) });
  return v.lazy((value) => {
    const kind = typeof value === "object" && value !== null && "kind" in value ? value.kind : undefined;
    return byKind.get(kind) ?? unknown as StateSchema<Of>;
  });
}

/** A whole number between two limits, both inclusive. */
export function whole(least: number, most: number): StateSchema<number> {
  return v.pipe(v.number(), v.integer(), v.minValue(least), v.maxValue(most));
}

/** A multiple of `unit` between two limits, both inclusive. */
export function multiple(unit: number, least: number, most: number): StateSchema<number> {
  return v.pipe(
    v.number(),
    v.integer(),
    v.minValue(least),
    v.maxValue(most),
    v.check((value) => value % unit === 0, `is no multiple of ${unit}`),
  );
}

export const FLAG: StateSchema<boolean> = v.boolean();
export const TEXT: StateSchema<string> = v.string();
/** A number that only has to be exact. */
export const COUNT = whole(0, Number.MAX_SAFE_INTEGER);
export const U32 = whole(0, 0xffff_ffff);
/** An address of main storage, or a DMA address of a function that registered its translation. Bytes. */
export const ADDRESS = COUNT;
/** A DMA address or length of an address space without a function, which may use all 64 bits. */
export const IOVA = whole(0, 2 ** 64);
/** 64 bits as `0x…`. */
export const HEX_64: StateSchema<string> = v.pipe(v.string(), v.regex(/^0x[0-9a-f]{1,16}$/));

/** Bytes as hexadecimal text. */
export function hexBytes(least: number, most = least): StateSchema<string> {
  return v.pipe(
    v.string(),
    v.regex(/^([0-9a-f]{2})*$/),
    v.minLength(least * 2),
    v.maxLength(most * 2),
  );
}
