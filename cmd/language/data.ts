import { SPLIT_MIX_STEP, splitMix64 } from "../../lib/base/random.ts";
import { MAX_DATA_BYTES, mebibytes } from "./limits.ts";
import { escapeText, quoteText } from "./quote.ts";
import { parseBigNumber, parseNumber } from "./number.ts";
import { FileError, UsageError } from "./usage_error.ts";

/** The forms of DATA, for help texts and errors. */
export const DATA_FORMS = "hex:00ff, text:hello, fill:0xa5*4096, seq:0*256, rand:1*4096, file:PATH or -";

/** What DATA needs of the world outside. */
export interface DataIo {
  /**
   * Reads `length` bytes from `offset`, or as many as there are; to the end where `length` is undefined.
   *
   * @throws {FileError} if the file cannot be read.
   */
  readFile(path: string, offset: number, length: number | undefined): Uint8Array;
  /** Reads standard input to its end. */
  readStdin(): Uint8Array;
}

/** Bytes that a DATA word stands for, checked but not yet made. */
export interface DataSource {
  /** The word as it was typed. */
  readonly text: string;
  /** The number of bytes, where it is known without input. */
  readonly length: number | undefined;
  /**
   * Makes the bytes: a new array at each call, as long as `length` says.
   *
   * @throws {FileError} if the input cannot be read, or has another length.
   */
  load(io: DataIo): Uint8Array;
  /** As `load`, but perhaps the same array as before: not to be changed. @throws {FileError} */
  look(io: DataIo): Uint8Array;
}

/** What a form makes bytes with. */
type Made = Omit<DataSource, "look">;
type Form = (body: string, text: string) => Made;

/** Bytes that are kept once they were made; what is larger is made again. */
const KEPT_BYTES = 4096;

/** A word that was understood. */
class ParsedData implements DataSource {
  readonly text: string;
  readonly length: number | undefined;
  readonly load: (io: DataIo) => Uint8Array;
  #kept: Uint8Array | undefined = undefined;
  /** It was asked for before: what is used once is not worth keeping. */
  #isKnown = false;

  constructor({ text, length, load }: Made) {
    this.text = text;
    this.length = length;
    this.load = load;
  }

  look(io: DataIo): Uint8Array {
    if (this.#kept !== undefined) return this.#kept;
    const bytes = this.load(io);
    // What is read may be another thing the next time.
    const isConstant = this.length !== undefined && this.length <= KEPT_BYTES && !isRead(this.text);
    if (isConstant && this.#isKnown) this.#kept = bytes;
    this.#isKnown = true;
    return bytes;
  }
}

function isRead(text: string): boolean {
  return text === "-" || text.startsWith("file:");
}

const FORMS: ReadonlyMap<string, Form> = new Map([
  ["hex", parseHex],
  ["text", parseText],
  ["fill", parseFill],
  ["seq", parseSequence],
  ["rand", parseRandom],
  ["file", parseFile],
]);

/** What DATA can begin with, but for `-`. */
export const DATA_FORM_NAMES: readonly string[] = [...FORMS.keys()];

/** Whether a word begins as DATA does; what follows may still be wrong. */
export function isData(text: string): boolean {
  return text === "-" || FORMS.has(/^(\w+):/.exec(text)?.[1] ?? "");
}

/** Parses `hex:…`, `text:…`, `fill:BYTE*COUNT`, `seq:START*COUNT`, `rand:SEED*COUNT`, `file:PATH[@OFFSET[+LENGTH]]` or `-`. */
export function parseData(text: string): DataSource {
  if (text === "-") {
    const load = (io: DataIo) => checkSize(io.readStdin(), "-", "standard input");
    return new ParsedData({ text, length: undefined, load });
  }
  const colon = text.indexOf(":");
  const form = colon < 0 ? undefined : FORMS.get(text.slice(0, colon));
  if (form === undefined) throw notData(text);
  try {
    return new ParsedData(form(text.slice(colon + 1), text));
  } catch (error) {
    // The caret belongs under the whole word, whichever part of it is wrong.
    if (error instanceof UsageError) throw new UsageError(error.message, { token: text, hint: error.hint });
    throw error;
  }
}

/**
 * Makes `count` bytes that depend on nothing but `seed`: the same in every version, and a longer run begins with the
 * shorter one. The generator is xoshiro128** (Blackman and Vigna), its four words taken low half first from the
 * first two outputs of SplitMix64 for the seed, its 32-bit outputs written least significant byte first.
 */
export function randomBytes(seed: bigint, count: number): Uint8Array {
  const first = splitMix64(seed);
  const second = splitMix64(seed + SPLIT_MIX_STEP);
  let s0 = Number(first & MASK_32) | 0;
  let s1 = Number(first >> 32n) | 0;
  let s2 = Number(second & MASK_32) | 0;
  let s3 = Number(second >> 32n) | 0;

  const bytes = new Uint8Array(count);
  for (let at = 0; at < count; at += 4) {
    const fives = Math.imul(s1, 5);
    const word = Math.imul((fives << 7) | (fives >>> 25), 9);
    // A typed array ignores what is stored beyond its end, so the last word needs no care.
    bytes[at] = word;
    bytes[at + 1] = word >>> 8;
    bytes[at + 2] = word >>> 16;
    bytes[at + 3] = word >>> 24;

    const shifted = s1 << 9;
    s2 ^= s0;
    s3 ^= s1;
    s1 ^= s2;
    s0 ^= s3;
    s2 ^= shifted;
    s3 = (s3 << 11) | (s3 >>> 21);
  }
  return bytes;
}

const MASK_32 = 0xffff_ffffn;

function parseHex(body: string, text: string): Made {
  if (/^_|__|_$/.test(body)) throw new UsageError(`hex: "_" stands between two digits only`);
  const stranger = /[^0-9a-f_]/iu.exec(body);
  if (stranger !== null) throw new UsageError(`hex: ${quoteText(stranger[0])} is not a hexadecimal digit`);
  const digits = body.replaceAll("_", "");
  if (digits.length % 2 !== 0) {
    const count = digits.length === 1 ? "1 digit is" : `${digits.length} digits are`;
    throw new UsageError(`hex: ${count} not a whole number of bytes; two digits make one`);
  }
  const length = digits.length / 2;
  return {
    text,
    length,
    load() {
      const bytes = new Uint8Array(length);
      for (let i = 0; i < length; i++) bytes[i] = Number.parseInt(digits.slice(2 * i, 2 * i + 2), 16);
      return bytes;
    },
  };
}

function parseText(body: string, text: string): Made {
  // TextEncoder would silently turn it into another character.
  if (!body.isWellFormed()) throw new UsageError("text: half a surrogate pair has no UTF-8 form");
  const bytes = new TextEncoder().encode(body);
  return { text, length: bytes.length, load: () => bytes.slice() };
}

function parseFill(body: string, text: string): Made {
  const [value, length] = splitCount(body, "fill", "0xa5");
  const byte = parseNumber(value, "fill value", { max: 0xff });
  return { text, length, load: () => new Uint8Array(length).fill(byte) };
}

function parseSequence(body: string, text: string): Made {
  const [value, length] = splitCount(body, "seq", "0");
  const start = parseNumber(value, "seq start", { max: 0xff });
  return {
    text,
    length,
    load() {
      const bytes = new Uint8Array(length);
      for (let i = 0; i < length; i++) bytes[i] = start + i;
      return bytes;
    },
  };
}

function parseRandom(body: string, text: string): Made {
  const [value, length] = splitCount(body, "rand", "1");
  const seed = parseBigNumber(value, "rand seed");
  return { text, length, load: () => randomBytes(seed, length) };
}

function parseFile(body: string, text: string): Made {
  const { path, range } = splitRange(body);
  if (path === "") throw new UsageError("file: the path is missing; try file:PATH");
  if (path.includes("\0")) throw new UsageError("file: a path cannot hold a NUL character");
  if (range === undefined) {
    const load = (io: DataIo) => checkSize(io.readFile(path, 0, undefined), path, escapeText(path));
    return { text, length: undefined, load };
  }

  const plus = range.indexOf("+");
  if (plus === 0) throw new UsageError(`file: no offset before ${quoteText(range)}; try @0${range}`);
  const offset = parseNumber(plus < 0 ? range : range.slice(0, plus), "file offset");
  const length = plus < 0 ? undefined : parseCount(range.slice(plus + 1), "file length");
  return {
    text,
    length,
    load(io) {
      const bytes = checkSize(io.readFile(path, offset, length), path, escapeText(path));
      if (length !== undefined && bytes.length !== length) {
        const had = bytes.length === 1 ? "1 byte" : `${bytes.length} bytes`;
        throw new FileError(path, `${escapeText(path)} has ${had} at offset ${offset}, not ${length}`);
      }
      return bytes;
    },
  };
}

/** Splits `VALUE*COUNT`, and checks the count. */
function splitCount(body: string, form: string, example: string): [value: string, count: number] {
  const star = body.indexOf("*");
  if (star < 0) throw new UsageError(`${form}: a count is missing; try ${form}:${example}*4096`);
  return [body.slice(0, star), parseCount(body.slice(star + 1), `${form} count`)];
}

function parseCount(text: string, what: string): number {
  const count = parseNumber(text, what);
  if (count > MAX_DATA_BYTES) {
    throw new UsageError(`${what}: ${quoteText(text)} is over the limit of ${mebibytes(MAX_DATA_BYTES)}`);
  }
  return count;
}

/**
 * Splits `PATH@OFFSET+LENGTH`. What follows the last `@` is a range if it could be nothing but a wrong number
 * otherwise; `a@b.txt` and `icon@2x.png` are paths. Any path can be named as `PATH@0`.
 */
function splitRange(body: string): { path: string; range: string | undefined } {
  const at = body.lastIndexOf("@");
  const range = body.slice(at + 1);
  if (at < 0 || !/^[-+]?[0-9][0-9A-Za-z_+-]*$/.test(range)) return { path: body, range: undefined };
  return { path: body.slice(0, at), range };
}

function checkSize(bytes: Uint8Array, path: string, subject: string): Uint8Array {
  if (bytes.length > MAX_DATA_BYTES) {
    throw new FileError(path, `${subject} holds more than ${mebibytes(MAX_DATA_BYTES)}`);
  }
  return bytes;
}

function notData(text: string): UsageError {
  if (text === "") return new UsageError("an empty word is not DATA; zero bytes are hex:", { token: text });
  const isHex = /^(?:0x)?(?:[0-9a-f]{2})+$/i.test(text) && text.length <= 40;
  const detail = isHex ? { token: text, hint: `try hex:${text.replace(/^0x/i, "")}` } : { token: text };
  return new UsageError(`${quoteText(text)} is not DATA; write ${DATA_FORMS}`, detail);
}
