/** Copies between the supervisor and a program's memory (process_vm_readv(2), process_vm_writev(2)). */
import { addressOf, libc, pinned } from "./libc.ts";

const TWO_32 = 2 ** 32;

/** A buffer with its address, for copies that take no allocation. */
export class Scratch {
  readonly bytes: Uint8Array<ArrayBuffer>;
  readonly low: number;
  readonly high: number;

  constructor(length: number) {
    this.bytes = pinned(length);
    const address = addressOf(this.bytes);
    this.low = Number(address & 0xffff_ffffn);
    this.high = Number(address >> 32n);
  }
}

// struct iovec: address and length, of 8 bytes each.
const local = pinned(16);
const remote = pinned(16);
const localWords = new Uint32Array(local.buffer);
const remoteWords = new Uint32Array(remote.buffer);

function prepare(address: number, { low, high }: Scratch, at: number, length: number): void {
  const start = low + at;
  localWords[0] = start;
  localWords[1] = high + Math.floor(start / TWO_32);
  localWords[2] = length;
  localWords[3] = Math.floor(length / TWO_32);
  remoteWords[0] = address % TWO_32;
  remoteWords[1] = Math.floor(address / TWO_32);
  remoteWords[2] = length;
  remoteWords[3] = localWords[3]!;
}

// Places of one process that are copied at once, in their order.
const SCATTERED = 4;
const scattered = pinned(16 * SCATTERED);
const scatteredWords = new Uint32Array(scattered.buffer);

/** Names the place `index` of a copy of several: `length` bytes (below 2^32) at `address`. */
export function place(index: number, address: number, length: number): void {
  scatteredWords[4 * index] = address % TWO_32;
  scatteredWords[4 * index + 1] = Math.floor(address / TWO_32);
  scatteredWords[4 * index + 2] = length;
}

/** Reads the first `places` that {@linkcode place} named into the start of a buffer. @returns bytes read */
export function gather(thread: number, into: Scratch, places: bigint, length: number): number {
  prepare(0, into, 0, length);
  return libc.processVmReadv(thread, local, 1n, scattered, places, 0n);
}

/**
 * Writes the start of a buffer to the first `places` that {@linkcode place} named, one place after the other: who sees
 * a later one sees those before.
 *
 * @returns bytes written: fewer where a place cannot be written, and then nothing behind it is
 */
export function scatter(thread: number, from: Scratch, places: bigint, length: number): number {
  prepare(0, from, 0, length);
  return libc.processVmWritev(thread, local, 1n, scattered, places, 0n);
}

/**
 * Reads `length` bytes at `address` of a thread's process into a buffer at `at`.
 *
 * @returns bytes read: fewer where the memory ends or may not be read, 0 where the thread has gone
 */
export function copyFrom(
  thread: number,
  address: number,
  into: Scratch,
  at: number,
  length: number,
): number {
  if (length === 0) return 0;
  prepare(address, into, at, length);
  const count = libc.processVmReadv(thread, local, 1n, remote, 1n, 0n);
  return count < 0 ? 0 : count;
}

/** Writes `length` bytes of a buffer from `at` to `address` of a thread's process. @returns bytes written */
export function copyTo(thread: number, address: number, from: Scratch, at: number, length: number): number {
  if (length === 0) return 0;
  prepare(address, from, at, length);
  const count = libc.processVmWritev(thread, local, 1n, remote, 1n, 0n);
  return count < 0 ? 0 : count;
}

/** What is tried out on this process: it does not move. */
const own = new Scratch(8);
const ownAddress = own.high * TWO_32 + own.low;

/** This process can read its own memory in this way: whether the system has the call, and allows it. */
export function tryCopyFrom(): boolean {
  return copyFrom(libc.getpid(), ownAddress, own, 0, 8) === 8;
}

/** This process can write to its own memory in this way. */
export function tryCopyTo(): boolean {
  return copyTo(libc.getpid(), ownAddress, own, 0, 8) === 8;
}
