/**
 * The listener of a seccomp filter: takes calls that stopped, answers them, puts descriptors into their processes.
 * Source: include/uapi/linux/seccomp.h (struct seccomp_notif, seccomp_notif_resp, seccomp_notif_addfd).
 */
import { REQUEST_BYTES } from "./held_call.ts";
import { errno, libc, O, pinned } from "./libc.ts";

const RECV = 0xc050_2100n;
const SEND = 0xc018_2101n;
const ADD_DESCRIPTOR = 0x4018_2103n;
const SET_FLAGS = 0x4008_2104n;
const SYNC_WAKE_UP = 1n;
const CONTINUE = 1;
const SET_DESCRIPTOR = 1;
const RESPONSE_BYTES = 24;
const ADD_BYTES = 24;
const TWO_32 = 2 ** 32;
const ENOENT = 2;
const EINTR = 4;

/** The listener; it holds one call at a time. */
export class Listener {
  /** Our descriptor of it. */
  readonly fd: number;
  readonly #request: Uint8Array<ArrayBuffer>;
  readonly #words: Uint32Array;
  readonly #response = pinned(RESPONSE_BYTES);
  readonly #answer = new Int32Array(this.#response.buffer);
  readonly #values = new BigInt64Array(this.#response.buffer);
  readonly #add = pinned(ADD_BYTES);
  readonly #addWords = new Int32Array(this.#add.buffer);
  /** The kernel hands the processor over with the answer; without it a call takes several times as long. */
  readonly handsOver: boolean;

  /** @param request where the call lies that it holds, of {@linkcode REQUEST_BYTES} */
  constructor(fd: number, request = pinned(REQUEST_BYTES)) {
    this.fd = fd;
    this.#request = request;
    this.#words = new Uint32Array(request.buffer);
    this.handsOver = libc.ioctlValue(fd, SET_FLAGS, SYNC_WAKE_UP) === 0;
  }

  /** Lets the listener go: what still waits is answered ENOSYS by the kernel. */
  close(): void {
    libc.close(this.fd);
  }

  /** Takes a call. @returns false if it has gone meanwhile */
  receive(): boolean {
    this.#words.fill(0);
    if (libc.ioctl(this.fd, RECV, this.#request) === 0) return true;
    const error = errno();
    if (error === ENOENT || error === EINTR) return false;
    throw new Error(`SECCOMP_IOCTL_NOTIF_RECV failed with error number ${error}`);
  }

  /** A call was taken, and may have been answered since. */
  get holdsCall(): boolean {
    return this.#words[0] !== 0 || this.#words[1] !== 0;
  }

  /** The thread that called. */
  get thread(): number {
    return this.#words[2]!;
  }

  /** Number of the call. */
  get call(): number {
    return this.#words[4]!;
  }

  /** An argument as an int. */
  int(index: number): number {
    return this.#words[8 + 2 * index]! | 0;
  }

  /** An argument as an unsigned int. */
  uint(index: number): number {
    return this.#words[8 + 2 * index]!;
  }

  /** An argument of 64 bits, exact up to 2^53: an address, or a count. */
  long(index: number): number {
    return this.#words[9 + 2 * index]! * TWO_32 + this.#words[8 + 2 * index]!;
  }

  /** An argument of 64 bits, unsigned: a number where that is exact. */
  offset(index: number): number | bigint {
    const value = this.long(index);
    if (value < Number.MAX_SAFE_INTEGER) return value;
    return BigInt(this.#words[9 + 2 * index]!) << 32n | BigInt(this.#words[8 + 2 * index]!);
  }

  /** Ends the call with a value, or with an error number if it is negative. */
  answer(value: number): void {
    const failed = value < 0;
    this.#values[1] = 0n;
    if (!failed) {
      this.#answer[2] = value | 0;
      if (value >= TWO_32 / 2) this.#values[1] = BigInt(value);
    }
    this.#answer[4] = failed ? value : 0;
    this.#answer[5] = 0;
    this.#send();
  }

  /** Lets the kernel carry the call out. */
  proceed(): void {
    this.#values[1] = 0n;
    this.#answer[4] = 0;
    this.#answer[5] = CONTINUE;
    this.#send();
  }

  #send(): void {
    this.#answer[0] = this.#words[0]!;
    this.#answer[1] = this.#words[1]!;
    // ENOENT: the caller was killed meanwhile.
    libc.ioctl(this.fd, SEND, this.#response);
  }

  /**
   * Puts a descriptor of ours into the process that called.
   *
   * @param at its number there; undefined for the lowest that is free
   * @returns the number, or a negative error number
   */
  addDescriptor(fd: number, at: number | undefined, closeOnExec: boolean): number {
    const words = this.#addWords;
    words[0] = this.#words[0]!;
    words[1] = this.#words[1]!;
    words[2] = at === undefined ? 0 : SET_DESCRIPTOR;
    words[3] = fd;
    words[4] = at ?? 0;
    words[5] = closeOnExec ? O.CLOEXEC : 0;
    const number = libc.ioctl(this.fd, ADD_DESCRIPTOR, this.#add);
    return number < 0 ? -errno() : number;
  }
}
