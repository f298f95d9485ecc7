/**
 * Struct codecs as tables: one row a field, checked once when the table is defined.
 *
 * Byte order is stated once per table: `"be"` for everything that s390 hardware reads (CLP blocks, FIBs, ISM
 * commands), `"le"` for PCI config space and the VFIO structs of a little-endian reader.
 */

/** Byte order of a table. */
export type Endian = "be" | "le";

/** Scalar field kinds. `u64` is a `number` (exact up to 2^53), `big64` keeps all 64 bits as a `bigint`. */
export type Scalar = "u8" | "u16" | "u32" | "i32" | "u64" | "big64";

/** A row of a table: byte offset, kind, and for `bytes` the length in bytes. */
export type FieldRow =
  | readonly [offset: number, kind: Scalar]
  | readonly [offset: number, kind: "bytes", length: number];

type FieldValue<Row> = Row extends readonly [number, "bytes", number] ? Uint8Array
  : Row extends readonly [number, "big64"] ? bigint
  : number;

/** The decoded form of a table. */
export type StructValue<Fields> = { -readonly [Name in keyof Fields]: FieldValue<Fields[Name]> };

/** One number of a struct, for code that runs too often for objects. */
export interface NumberField {
  /** Reads the field of the struct at `at`, all of which must lie in `bytes`. */
  get(bytes: Uint8Array, at: number): number;
  /** Writes it. */
  set(bytes: Uint8Array, at: number, value: number): void;
}

/** Where a field lies. */
export interface FieldLayout {
  readonly name: string;
  readonly offset: number;
  readonly kind: FieldRow[1];
  /** Size in bytes. */
  readonly size: number;
}

/** A struct layout that encodes and decodes. */
export interface Struct<Fields extends Record<string, FieldRow>> {
  /** Total size in bytes. */
  readonly size: number;
  /** Every field, by rising offset: kind, size in bytes. */
  readonly layout: readonly FieldLayout[];
  /** Byte offset of a field. */
  offsetOf(name: keyof Fields): number;
  /** One field by itself. @throws {TypeError} if it is not decoded as a number */
  field(name: keyof Fields): NumberField;
  /** Reads all fields from `bytes` at `at`; fields beyond the end of `bytes` read as zero. */
  decode(bytes: Uint8Array, at?: number): StructValue<Fields>;
  /** Writes the given fields into `into` at `at` (a new zeroed buffer of `size` bytes by default). */
  encode(values: Partial<StructValue<Fields>>, into?: Uint8Array, at?: number): Uint8Array;
}

const SCALAR_SIZE: Record<Scalar, number> = { u8: 1, u16: 2, u32: 4, i32: 4, u64: 8, big64: 8 };
const TWO_32 = 0x1_0000_0000;

/** Size of a field in bytes. */
function sizeOf(row: FieldRow): number {
  return row[1] === "bytes" ? row[2] : SCALAR_SIZE[row[1]];
}

/** Eight bytes through which values wider than a small integer are read and written, so that no view is made per field. */
const SCRATCH = new Uint8Array(8);
const SCRATCH_VIEW = new DataView(SCRATCH.buffer);

/** The unsigned integer of `size` bytes (1 to 4) at `at`. */
function readSmall(bytes: Uint8Array, at: number, size: number, little: boolean): number {
  let value = 0;
  for (let i = 0; i < size; i++) value = value * 256 + bytes[at + (little ? size - 1 - i : i)]!;
  return value;
}

function readScalar(bytes: Uint8Array, at: number, kind: Scalar, little: boolean): number | bigint {
  const size = SCALAR_SIZE[kind];
  if (size < 8) {
    const value = readSmall(bytes, at, size, little);
    return kind === "i32" ? value | 0 : value;
  }
  if (kind === "u64") {
    const low = readSmall(bytes, little ? at : at + 4, 4, little);
    return readSmall(bytes, little ? at + 4 : at, 4, little) * TWO_32 + low;
  }
  for (let i = 0; i < 8; i++) SCRATCH[i] = bytes[at + i]!;
  return SCRATCH_VIEW.getBigUint64(0, little);
}

function writeScalar(
  bytes: Uint8Array,
  at: number,
  kind: Scalar,
  value: number | bigint,
  little: boolean,
): void {
  const size = SCALAR_SIZE[kind];
  if (size < 8) SCRATCH_VIEW.setUint32(0, Number(value) % TWO_32, little);
  else SCRATCH_VIEW.setBigUint64(0, BigInt(value), little);
  // The low-order bytes of a big-endian word are its last ones.
  const from = size < 4 && !little ? 4 - size : 0;
  for (let i = 0; i < size; i++) bytes[at + i] = SCRATCH[from + i]!;
}

/**
 * Defines a struct of `size` bytes.
 *
 * @throws {TypeError} if two fields overlap or a field ends beyond `size`: a table is wrong at load or never.
 */
export function defineStruct<const Fields extends Record<string, FieldRow>>(
  endian: Endian,
  size: number,
  fields: Fields,
): Struct<Fields> {
  const little = endian === "le";
  const rows = Object.entries<FieldRow>(fields).sort((a, b) => a[1][0] - b[1][0]);
  let end = 0;
  for (const [name, row] of rows) {
    if (row[0] < end) throw new TypeError(`Struct field ${name} overlaps the one before it`);
    end = row[0] + sizeOf(row);
    if (end > size) throw new TypeError(`Struct field ${name} ends at ${end}, beyond size ${size}`);
  }

  return {
    size,
    get layout() {
      return rows.map(([name, row]) => ({ name, offset: row[0], kind: row[1], size: sizeOf(row) }));
    },
    offsetOf: (name) => fields[name]![0],
    field(name) {
      const [offset, kind] = fields[name]!;
      if (kind === "bytes" || kind === "big64") {
        throw new TypeError(`Struct field ${String(name)} is no number`);
      }
      return {
        get: (bytes, at) => readScalar(bytes, at + offset, kind, little) as number,
        set: (bytes, at, value) => writeScalar(bytes, at + offset, kind, value, little),
      };
    },
    decode(bytes, at = 0) {
      let source = bytes;
      if (bytes.length < at + size) {
        source = new Uint8Array(at + size);
        source.set(bytes.subarray(0, at + size));
      }
      const value: Record<string, number | bigint | Uint8Array> = {};
      for (const [name, row] of rows) {
        value[name] = row[1] === "bytes"
          ? source.slice(at + row[0], at + row[0] + row[2])
          : readScalar(source, at + row[0], row[1], little);
      }
      return value as StructValue<Fields>;
    },
    encode(values, into = new Uint8Array(size), at = 0) {
      for (const [name, row] of rows) {
        const value = (values as Record<string, number | bigint | Uint8Array | undefined>)[name];
        if (value === undefined) continue;
        if (at + row[0] + sizeOf(row) > into.length) {
          throw new RangeError(`Struct field ${name} does not fit`);
        }
        if (row[1] === "bytes") {
          if (!(value instanceof Uint8Array) || value.length > row[2]) {
            throw new TypeError(`Struct field ${name} takes at most ${row[2]} bytes`);
          }
          into.set(value, at + row[0]);
        } else {
          writeScalar(into, at + row[0], row[1], value as number | bigint, little);
        }
      }
      return into;
    },
  };
}
