/**
 * The frames of a stack by the tables that programs carry for exceptions (.eh_frame, LSB "Exception Frames"; DWARF call
 * frame information). Of the registers only stack and instruction pointer are known, and what the frames on the way have
 * saved: where a frame needs another one the way ends.
 */

/** Reads bytes of a process; undefined if they cannot be read. */
export type Peek = (address: number, length: number) => DataView | undefined;

/** What is known of a processor in one frame. */
export interface Registers {
  readonly code: number;
  readonly stack: number;
  readonly framePointer: number | undefined;
}

/** Numbers that DWARF has for registers. */
interface Numbers {
  readonly stack: number;
  readonly framePointer: number;
  readonly returnAddress: number;
}

const NUMBERS: Readonly<Record<string, Numbers>> = {
  x86_64: { stack: 7, framePointer: 6, returnAddress: 16 },
  aarch64: { stack: 31, framePointer: 29, returnAddress: 30 },
};

/** Encodings of pointers that compilers write: relative, 4 bytes, signed. */
const PC_RELATIVE = 0x1b;
const TABLE_RELATIVE = 0x3b;
const HEADER_BYTES = 12;
const ROW_BYTES = 8;
/** More than a description has. */
const MOST_BYTES = 4096;

/** Reads numbers of DWARF one after the other. */
class Reader {
  readonly #view: DataView;
  at: number;

  constructor(view: DataView, at: number) {
    this.#view = view;
    this.at = at;
  }

  u8(): number {
    return this.#view.getUint8(this.at++);
  }

  u16(): number {
    return this.#view.getUint16((this.at += 2) - 2, true);
  }

  u32(): number {
    return this.#view.getUint32((this.at += 4) - 4, true);
  }

  i32(): number {
    return this.#view.getInt32((this.at += 4) - 4, true);
  }

  /** LEB128, signed or not. */
  leb(signed: boolean): number {
    let value = 0;
    let scale = 1;
    for (;;) {
      const byte = this.u8();
      value += (byte & 0x7f) * scale;
      scale *= 128;
      if (byte >= 128) continue;
      return signed && (byte & 0x40) !== 0 ? value - scale : value;
    }
  }

  text(): string {
    let text = "";
    for (let byte = this.u8(); byte !== 0; byte = this.u8()) text += String.fromCharCode(byte);
    return text;
  }
}

/** The row of a frame's table that holds at an address: how the frame of the caller is found. */
interface Rule {
  cfaRegister: number;
  cfaOffset: number;
  /** By register: where it was saved, from the caller's stack pointer on. */
  saved: Map<number, number>;
}

/**
 * The caller's registers; undefined where the tables do not tell.
 *
 * @param header where the .eh_frame_hdr of the module is
 */
export function callerOf(peek: Peek, header: number, registers: Registers): Registers | undefined {
  const numbers = NUMBERS[Deno.build.arch];
  const rule = numbers === undefined ? undefined : ruleAt(peek, header, registers.code);
  if (numbers === undefined || rule === undefined) return undefined;
  const base = rule.cfaRegister === numbers.stack
    ? registers.stack
    : rule.cfaRegister === numbers.framePointer
    ? registers.framePointer
    : undefined;
  if (base === undefined) return undefined;
  const stack = base + rule.cfaOffset;
  const word = (register: number) => {
    const offset = rule.saved.get(register);
    const view = offset === undefined ? undefined : peek(stack + offset, 8);
    return view === undefined ? undefined : Number(view.getBigUint64(0, true));
  };
  const code = word(numbers.returnAddress);
  const framePointer = word(numbers.framePointer) ?? registers.framePointer;
  return code === undefined ? undefined : { code, stack, framePointer };
}

/** Finds the description of the function at an address, and runs it up to there. */
function ruleAt(peek: Peek, header: number, code: number): Rule | undefined {
  const head = peek(header, HEADER_BYTES);
  if (head === undefined || head.getUint8(1) !== PC_RELATIVE || head.getUint8(3) !== TABLE_RELATIVE) {
    return undefined;
  }
  const count = head.getUint32(8, true);
  let [low, high] = [0, count];
  while (high - low > 1) {
    const middle = (low + high) >> 1;
    const row = peek(header + HEADER_BYTES + middle * ROW_BYTES, ROW_BYTES);
    if (row === undefined) return undefined;
    if (header + row.getInt32(0, true) <= code) low = middle;
    else high = middle;
  }
  const row = peek(header + HEADER_BYTES + low * ROW_BYTES, ROW_BYTES);
  return row === undefined ? undefined : describe(peek, header + row.getInt32(4, true), code);
}

function entryAt(peek: Peek, address: number): DataView | undefined {
  const length = peek(address, 4)?.getUint32(0, true);
  return length === undefined || length > MOST_BYTES ? undefined : peek(address, length + 4);
}

/** Runs the description at an address (an FDE and its CIE) for the instruction at `code`. */
function describe(peek: Peek, address: number, code: number): Rule | undefined {
  const fde = entryAt(peek, address);
  if (fde === undefined) return undefined;
  const cie = entryAt(peek, address + 4 - fde.getUint32(4, true));
  if (cie === undefined) return undefined;
  const common = new Reader(cie, 9);
  const augmentation = common.text();
  const codeFactor = common.leb(false);
  const dataFactor = common.leb(true);
  common.leb(false);
  if (!augmentation.startsWith("z")) return undefined;
  common.at = common.leb(false) + common.at;
  const own = new Reader(fde, 8);
  const start = address + 8 + own.i32();
  if (code < start || code >= start + own.u32()) return undefined;
  own.at = own.leb(false) + own.at;
  const rule: Rule = { cfaRegister: -1, cfaOffset: 0, saved: new Map() };
  const factors = { codeFactor, dataFactor };
  if (!execute(common, cie.byteLength, rule, Infinity, factors)) return undefined;
  return execute(own, fde.byteLength, rule, code - start, factors) ? rule : undefined;
}

/** Runs instructions until the one that begins behind `until`. False if there is one that is not known. */
function execute(
  reader: Reader,
  end: number,
  rule: Rule,
  until: number,
  { codeFactor, dataFactor }: { readonly codeFactor: number; readonly dataFactor: number },
): boolean {
  const states: Rule[] = [];
  const initial = new Map(rule.saved);
  let location = 0;
  while (reader.at < end) {
    const byte = reader.u8();
    const operand = byte & 0x3f;
    switch (byte >> 6 === 0 ? byte : byte & 0xc0) {
      case 0x00: // nop
        break;
      case 0x40: // advance_loc
        location += operand * codeFactor;
        break;
      case 0x02:
        location += reader.u8() * codeFactor;
        break;
      case 0x03:
        location += reader.u16() * codeFactor;
        break;
      case 0x04:
        location += reader.u32() * codeFactor;
        break;
      case 0x80: // offset
        rule.saved.set(operand, reader.leb(false) * dataFactor);
        break;
      case 0xc0: { // restore
        const before = initial.get(operand);
        if (before === undefined) rule.saved.delete(operand);
        else rule.saved.set(operand, before);
        break;
      }
      case 0x07: // undefined
      case 0x08: // same_value
        rule.saved.delete(reader.leb(false));
        break;
      case 0x0a: // remember_state
        states.push({ ...rule, saved: new Map(rule.saved) });
        break;
      case 0x0b: { // restore_state
        const state = states.pop();
        if (state === undefined) return false;
        Object.assign(rule, state);
        break;
      }
      case 0x0c: // def_cfa
        rule.cfaRegister = reader.leb(false);
        rule.cfaOffset = reader.leb(false);
        break;
      case 0x0d: // def_cfa_register
        rule.cfaRegister = reader.leb(false);
        break;
      case 0x0e: // def_cfa_offset
        rule.cfaOffset = reader.leb(false);
        break;
      case 0x2d: // the return address is signed from here on (arm64): its bits are cut off elsewhere
        break;
      case 0x2e: // GNU_args_size
        reader.leb(false);
        break;
      default:
        return false;
    }
    if (location > until) return true;
  }
  return true;
}
