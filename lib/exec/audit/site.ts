/**
 * Where in the program a call was made, as far as its stack tells: by the frame tables as far as these go, and behind them
 * by every word that may be a return address, so that programs without tables (Go) are no exception.
 */
import { remainder } from "../../base/bits.ts";
import { cString, libc, O, pinned, readFile } from "../libc.ts";
import { type CodeArea, parseCode } from "../maps.ts";
import { parsePointers } from "../proc_text.ts";
import { copyFrom, Scratch } from "../user_copy.ts";
import type { Frame, Site } from "./event.ts";
import { callerOf, type Registers } from "./unwind.ts";

/** As much of a stack as is looked at. Bytes. */
const STACK_BYTES = 8192;
/** Frames that are kept. */
const MOST_FRAMES = 12;
/** Bytes before a return address in which its call lies. */
const CALL_BYTES = 8;
const ELF_BYTES = 4096;
const PT_LOAD = 1;
const PT_GNU_EH_FRAME = 0x6474_e550;
const PAGE = 4096;

const stack = new Scratch(STACK_BYTES);
const one = new Scratch(PAGE);

/** A segment of an ELF file: bytes of the file, and where its symbols say that they are. */
interface Segment {
  readonly offset: number;
  readonly size: number;
  readonly address: number;
}

/** What is needed of an ELF file. */
interface Module {
  readonly loads: readonly Segment[];
  /** Address of its .eh_frame_hdr. */
  readonly frames: number | undefined;
}

/** The ELF files that were seen. */
const modules = new Map<string, Module>();

function textOf(path: string): string | undefined {
  const bytes = readFile(path);
  return bytes === undefined ? undefined : new TextDecoder().decode(bytes);
}

/** The place of the call that a thread waits for. */
export function siteOf(thread: number): Site {
  const pointers = parsePointers(textOf(`/proc/${thread}/syscall`) ?? "");
  const maps = textOf(`/proc/${thread}/maps`);
  if (pointers === undefined || maps === undefined) return { frames: [] };
  const areas = parseCode(maps);
  const areaOf = (address: number) => areas.find(({ start, end }) => address >= start && address < end);
  const pages = new Pages(thread);
  const frames: Frame[] = [];
  const add = (address: number, back: number) => {
    const area = areaOf(address);
    // The C library and others come with the system, and say nothing about the program.
    if (area === undefined || /^(\/usr)?\/lib(64)?\//.test(area.path)) return;
    const at = symbolAddress(area, address - back);
    if (at !== undefined) frames.push({ module: area.path, address: at });
  };
  add(pointers.code, 0);
  let registers: Registers = { ...pointers, framePointer: undefined };
  for (let back = 0; frames.length < MOST_FRAMES; back = 1) {
    const area = areaOf(registers.code);
    const header = area === undefined ? undefined : frameHeader(area);
    // A return address may lie behind the end of its function.
    const at = { ...registers, code: registers.code - back };
    const caller = header === undefined ? undefined : callerOf((from, n) => pages.read(from, n), header, at);
    if (caller === undefined || caller.stack <= registers.stack) break;
    registers = caller;
    add(registers.code, 1);
  }
  // From where the tables end, every word that lies behind a call may be a return address.
  const length = copyFrom(thread, registers.stack, stack, 0, STACK_BYTES);
  const words = new BigUint64Array(stack.bytes.buffer, 0, Math.floor(length / 8));
  for (let i = 0; i < words.length && frames.length < MOST_FRAMES; i++) {
    const word = Number(words[i]);
    if (areaOf(word) !== undefined && isBehindCall(pages, word)) add(word, 1);
  }
  return { frames };
}

/** Memory of a thread that waits, fetched by pages: where a word was asked for others are, too. */
class Pages {
  readonly #thread: number;
  readonly #pages = new Map<number, Uint8Array<ArrayBuffer> | undefined>();

  constructor(thread: number) {
    this.#thread = thread;
  }

  /** Bytes of the process; undefined if they cannot be read. */
  read(address: number, length: number): DataView | undefined {
    const at = remainder(address, PAGE);
    if (at + length <= PAGE) {
      const page = this.#page(address - at);
      return page === undefined ? undefined : new DataView(page.buffer, at, length);
    }
    const bytes = new Uint8Array(length);
    for (let start = address - at; start < address + length; start += PAGE) {
      const page = this.#page(start);
      if (page === undefined) return undefined;
      const skipped = Math.max(address - start, 0);
      bytes.set(page.subarray(skipped, address + length - start), start + skipped - address);
    }
    return new DataView(bytes.buffer);
  }

  #page(start: number): Uint8Array<ArrayBuffer> | undefined {
    if (this.#pages.has(start)) return this.#pages.get(start);
    const whole = copyFrom(this.#thread, start, one, 0, PAGE) === PAGE;
    const page = whole ? one.bytes.slice() : undefined;
    this.#pages.set(start, page);
    return page;
  }
}

/** Where the frame tables of a module are in the process. */
function frameHeader({ start, offset, path }: CodeArea): number | undefined {
  const { loads, frames } = moduleOf(path);
  const code = loads.find((each) => offset >= each.offset - PAGE && offset < each.offset + each.size);
  // Where the module was put, beyond what its addresses say.
  return code === undefined || frames === undefined
    ? undefined
    : start - offset - code.address + code.offset + frames;
}

/** True if the instruction before an address is a call. */
function isBehindCall(pages: Pages, address: number): boolean {
  const code = pages.read(address - CALL_BYTES, CALL_BYTES);
  if (code === undefined) return false;
  if (Deno.build.arch === "aarch64") {
    const instruction = code.getUint32(4, true);
    // BL, BLR
    return instruction >>> 26 === 0x25 || (instruction & 0xffff_fc1f) >>> 0 === 0xd63f_0000;
  }
  // E8 rel32, or FF /2 with a register, memory, a displacement of 1 or 4 bytes.
  if (code.getUint8(3) === 0xe8) return true;
  return [2, 3, 4, 6, 7].some((back) =>
    code.getUint8(8 - back) === 0xff && (code.getUint8(9 - back) >> 3 & 7) === 2
  );
}

/** The address that symbols have for an address of a process. */
function symbolAddress({ start, offset, path }: CodeArea, address: number): number | undefined {
  const at = address - start + offset;
  const segment = moduleOf(path).loads.find((each) => at >= each.offset && at < each.offset + each.size);
  return segment === undefined ? undefined : at - segment.offset + segment.address;
}

function moduleOf(path: string): Module {
  let found = modules.get(path);
  if (found === undefined) modules.set(path, found = readModule(path));
  return found;
}

/** What the program headers of an ELF file of 64 bits say. */
function readModule(path: string): Module {
  const nothing = { loads: [], frames: undefined };
  const fd = libc.open(cString(path), O.RDONLY | O.CLOEXEC, 0);
  if (fd < 0) return nothing;
  const head = pinned(ELF_BYTES);
  const length = libc.read(fd, head, BigInt(ELF_BYTES));
  libc.close(fd);
  const view = new DataView(head.buffer);
  const PROGRAM_HEADERS_AT = 32;
  if (length < 64 || view.getUint32(0) !== 0x7f45_4c46) return nothing;
  const first = Number(view.getBigUint64(PROGRAM_HEADERS_AT, true));
  const [size, count] = [view.getUint16(54, true), view.getUint16(56, true)];
  const loads: Segment[] = [];
  let frames: number | undefined = undefined;
  for (let at = first; at + 40 <= length && at < first + size * count; at += size) {
    const kind = view.getUint32(at, true);
    const [offset, address, bytes] = [8, 16, 32].map((field) => Number(view.getBigUint64(at + field, true)));
    if (kind === PT_LOAD) loads.push({ offset: offset!, size: bytes!, address: address! });
    else if (kind === PT_GNU_EH_FRAME) frames = address!;
  }
  return { loads, frames };
}
