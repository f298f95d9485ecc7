/**
 * System calls as lines, carried out by the simulated process of ism's own commands as tests/exec/interpreter.c carries
 * them out in a real one; what comes of a line is the same text in both.
 */
import { ERRNO, ErrnoError } from "../../lib/vfio/errno.ts";
import type { Process } from "../../lib/vfio/process/process.ts";

/** Bytes of memory that lines name by offset. */
export const ARENA = 64 * 4096;
const GET_DEVICE_FD = 0x3b6a;

/** Carries lines out. @returns one text for each */
export function carryOut(process: Process, lines: readonly string[]): string[] {
  const arena = process.mmapAnonymous(ARENA);
  const results: number[] = [];
  return lines.map((line) => {
    const [text, result] = new Line(process, arena, results, line.split(" ")).run();
    results.push(result);
    return text;
  });
}

const hexOf = (text: string) => text === "-" ? new Uint8Array(0) : Uint8Array.fromHex(text);

class Line {
  readonly #process: Process;
  readonly #arena: number;
  readonly #results: readonly number[];
  readonly #words: readonly string[];
  #shown = new Uint8Array(0);

  constructor(process: Process, arena: number, results: readonly number[], words: readonly string[]) {
    this.#process = process;
    this.#arena = arena;
    this.#results = results;
    this.#words = words;
  }

  run(): [text: string, result: number] {
    const result = this.#outcome();
    const [op, , request] = this.#words;
    const isDescriptor = ["open", "eventfd", "dup", "dup2"].includes(op!) ||
      (op === "ioctl" && Number(request) === GET_DEVICE_FD);
    return [`${isDescriptor && result > 0 ? 0 : result} ${this.#shown.toHex()}`, result];
  }

  #outcome(): number {
    try {
      return this.#call();
    } catch (error) {
      if (error instanceof ErrnoError) return -ERRNO[error.code];
      throw error;
    }
  }

  #number(at: number): number {
    return Number(this.#offset(at));
  }

  #offset(at: number): bigint {
    const word = this.#words[at]!;
    return word.startsWith("$") ? BigInt(this.#results[Number(word.slice(1))]!) : BigInt(word);
  }

  #call(): number {
    const process = this.#process;
    const words = this.#words;
    const fd = words.length > 1 && /^(\$|\d)/.test(words[1]!) ? this.#number(1) : 0;
    switch (words[0]) {
      case "open":
        return process.open(words[1]!);
      case "readlink":
        this.#shown = new TextEncoder().encode(process.readlink(words[1]!));
        return this.#shown.length;
      case "eventfd":
        return process.eventfd();
      case "close":
        return process.close(fd);
      case "dup":
        return process.dup(fd);
      case "dup2":
        return process.dup2(fd, this.#number(2));
      case "lseek":
        return process.lseek(fd, 0, "SEEK_SET");
      case "mmap":
        return process.mmap(fd, this.#offset(2), this.#offset(3));
      case "pread": {
        const buffer = new Uint8Array(this.#number(4));
        return this.#show(buffer, process.pread(fd, buffer, this.#offset(2), this.#offset(3)));
      }
      case "read": {
        const buffer = new Uint8Array(this.#number(3));
        return this.#show(buffer, process.read(fd, buffer, this.#offset(2)));
      }
      case "pwrite":
        return process.pwrite(fd, hexOf(words[4]!), this.#offset(2), this.#offset(3));
      case "write":
        return process.write(fd, hexOf(words[3]!), this.#offset(2));
      case "preadv":
      case "readv":
        return this.#readVector(fd);
      case "pwritev":
        return process.pwritev(fd, words[3]!.split(",").map(hexOf), this.#offset(2));
      case "writev":
        return process.writev(fd, words[2]!.split(",").map(hexOf));
      case "ioctl":
        return words[3] === "x" ? this.#ioctlStruct(fd) : process.ioctl(fd, this.#number(2), this.#number(3));
      case "memory":
        this.#shown = process.memory(this.#arena + this.#number(1), this.#number(2), false).slice();
        return 0;
      case "set": {
        const bytes = hexOf(words[2]!);
        process.memory(this.#arena + this.#number(1), bytes.length, true).set(bytes);
        return 0;
      }
    }
    throw new Error(`No line ${words.join(" ")}`);
  }

  #show(buffer: Uint8Array<ArrayBuffer>, count: number): number {
    this.#shown = buffer.subarray(0, count);
    return count;
  }

  #readVector(fd: number): number {
    const isPositioned = this.#words[0] === "preadv";
    const counts = this.#words[isPositioned ? 3 : 2]!.split(",").map(Number);
    const segments = counts.map((count) => new Uint8Array(count));
    const result = isPositioned
      ? this.#process.preadv(fd, segments, this.#offset(2))
      : this.#process.readv(fd, segments);
    let left = result;
    const parts = segments.map((segment) => {
      const part = segment.subarray(0, left);
      left -= part.length;
      return part.toHex();
    });
    this.#shown = Uint8Array.fromHex(parts.join(""));
    return result;
  }

  #ioctlStruct(fd: number): number {
    const bytes = hexOf(this.#words[4]!);
    const view = new DataView(bytes.buffer);
    const patches = this.#words.slice(5).map((word) => {
      const [place = "", value = ""] = word.split("=");
      return { isDescriptor: place[0] === "f", at: Number(place.slice(1)), value };
    });
    for (const { isDescriptor, at, value } of patches) {
      if (!isDescriptor) view.setBigUint64(at, BigInt(this.#arena) + BigInt(value), true);
      else {view.setInt32(
          at,
          value.startsWith("$") ? this.#results[Number(value.slice(1))]! : Number(value),
          true,
        );}
    }
    try {
      return this.#process.ioctl(fd, this.#number(2), bytes);
    } finally {
      for (const { isDescriptor, at } of patches) bytes.fill(0, at, at + (isDescriptor ? 4 : 8));
      this.#shown = bytes;
    }
  }
}
