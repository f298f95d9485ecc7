/**
 * The seccomp filter as a BPF program: which calls stop and wait for the supervisor. Sources: the kernel's
 * include/uapi/linux/filter.h, include/uapi/linux/seccomp.h (struct seccomp_data).
 */
import type { Architecture } from "./calls.ts";

/** Codes of BPF instructions that the filter uses. */
export const BPF = { LOAD: 0x20, JUMP_EQUAL: 0x15, JUMP_AT_LEAST: 0x35, RETURN: 0x06 } as const;
/** What a filter answers. */
export const ACTION = { NOTIFY: 0x7fc0_0000, ALLOW: 0x7fff_0000 } as const;

/** Offsets in struct seccomp_data; arguments have 8 bytes each, of which a descriptor is the low half. */
const NUMBER_AT = 0;
const ARCH_AT = 4;
const ARGUMENTS_AT = 16;
/** struct sock_filter. */
const INSTRUCTION_BYTES = 8;

/** Descriptors from `first` up to, not including, `end`. */
export interface DescriptorRange {
  readonly first: number;
  readonly end: number;
}

/** Most numbers that mean simulated files, and the end that select(2) sets. */
const RANGE_SIZE = 224;
const RANGE_END = 1024;
/** One more than any descriptor. */
export const MAX_FD = 0x7fff_ffff;

/** Numbers that mean simulated files: below 1024 and below the limit of descriptors, at most a quarter of them. */
export function descriptorRange(limit: number, anyDescriptor: boolean): DescriptorRange {
  if (anyDescriptor) return { first: 0, end: MAX_FD };
  const end = Math.min(limit, RANGE_END);
  return { first: end - Math.min(RANGE_SIZE, Math.floor(end / 4)), end };
}

type Instruction = readonly [code: number, ifTrue: number, ifFalse: number, k: number];

/** The instructions that ask whether argument `index` is a descriptor of the range: 3, the last one falls through. */
function argumentCheck(index: number, { first, end }: DescriptorRange, toNotify: number): Instruction[] {
  return [
    [BPF.LOAD, 0, 0, ARGUMENTS_AT + 8 * index],
    [BPF.JUMP_AT_LEAST, 0, 1, first],
    [BPF.JUMP_AT_LEAST, 0, toNotify, end],
  ];
}

/**
 * The filter of an architecture: calls of other architectures (32-bit programs) and calls that are not in the table go
 * through. Descriptors are compared as the kernel takes them: as 32 bits.
 *
 * @returns an array of struct sock_filter
 */
export function buildFilter({ audit, calls }: Architecture, range: DescriptorRange): Uint8Array {
  // The blocks behind the comparisons: one per set of arguments, then NOTIFY and ALLOW.
  const sets = new Map<string, readonly number[]>();
  for (const { trigger } of calls) if (trigger !== "always") sets.set(trigger.join(), trigger);
  const blockAt = new Map<string, number>();
  const head = 4;
  let at = head + calls.length + 1;
  for (const [key, indices] of sets) {
    blockAt.set(key, at);
    at += 3 * indices.length + 1;
  }
  const notifyAt = at;

  const program: Instruction[] = [
    [BPF.LOAD, 0, 0, ARCH_AT],
    [BPF.JUMP_EQUAL, 1, 0, audit],
    [BPF.RETURN, 0, 0, ACTION.ALLOW],
    [BPF.LOAD, 0, 0, NUMBER_AT],
  ];
  for (const { number, trigger } of calls) {
    const target = trigger === "always" ? notifyAt : blockAt.get(trigger.join())!;
    program.push([BPF.JUMP_EQUAL, target - program.length - 1, 0, number]);
  }
  program.push([BPF.RETURN, 0, 0, ACTION.ALLOW]);
  for (const indices of sets.values()) {
    for (const index of indices) {
      program.push(...argumentCheck(index, range, notifyAt - program.length - 3));
    }
    program.push([BPF.RETURN, 0, 0, ACTION.ALLOW]);
  }
  program.push([BPF.RETURN, 0, 0, ACTION.NOTIFY]);
  return encode(program);
}

function encode(program: readonly Instruction[]): Uint8Array {
  // A buffer of its own: the kernel is given its address.
  const bytes = new Uint8Array(new ArrayBuffer(program.length * INSTRUCTION_BYTES));
  const view = new DataView(bytes.buffer);
  program.forEach(([code, ifTrue, ifFalse, k], i) => {
    if (ifTrue > 255 || ifFalse > 255) throw new RangeError(`Instruction ${i} of the filter jumps too far`);
    view.setUint16(i * INSTRUCTION_BYTES, code, true);
    view.setUint8(i * INSTRUCTION_BYTES + 2, ifTrue);
    view.setUint8(i * INSTRUCTION_BYTES + 3, ifFalse);
    view.setUint32(i * INSTRUCTION_BYTES + 4, k, true);
  });
  return bytes;
}
