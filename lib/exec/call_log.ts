/** The calls of a program on simulated files, one short text each, and where two runs of a program part. */
import { DeviceFile } from "../vfio/device_file.ts";
import { ERRNO, type ErrnoName } from "../vfio/errno.ts";
import { ioctlName } from "../vfio/process/strace.ts";
import { REGION } from "../vfio/uapi.ts";
import { type Call, PROCEED } from "./call.ts";
import type { CallName } from "./calls.ts";
import type { Observer } from "./observer.ts";

/** Calls that are kept of a run, and so compared. */
const MOST_CALLS = 100_000;
/** Offsets in BAR 0 are tokens above this: what a token is differs, where in a DMB it points does not. */
const TOKEN_FROM = 2 ** 28;
const DATA_BAR = 0;

/** A call in a log. */
export interface LoggedCall {
  /** Which of the calls on simulated files it was, counted from 1. */
  readonly number: number;
  /** What was called, with what does not differ from machine to machine. */
  readonly text: string;
  /** What came of it: `ok`, a number of bytes, an error's name. */
  readonly result: string;
}

const NAMES: ReadonlyMap<number, string> = new Map(
  (Object.entries(ERRNO) as [ErrnoName, number][]).map(([name, number]) => [number, name]),
);

/** Calls whose value is a number of bytes, and whether a position stands in their fourth argument. */
const TRANSFERS: Readonly<Partial<Record<CallName, boolean>>> = {
  pread64: true,
  pwrite64: true,
  preadv: true,
  pwritev: true,
  preadv2: true,
  pwritev2: true,
  read: false,
  write: false,
  readv: false,
  writev: false,
};

/** Takes down the calls of a run; with the log of another run it finds the first that went differently. */
export class CallLog implements Observer {
  readonly calls: LoggedCall[] = [];
  readonly #reference: readonly LoggedCall[] | undefined;
  #count = 0;
  #difference: { readonly expected: LoggedCall | undefined; readonly got: LoggedCall } | undefined =
    undefined;

  /** @param reference calls of another run, to compare with */
  constructor(reference?: readonly LoggedCall[]) {
    this.#reference = reference;
  }

  before(): void {}

  after(name: CallName, call: Call, value: number): void {
    if (value === PROCEED) return;
    const number = ++this.#count;
    if (number > MOST_CALLS || this.#difference !== undefined) return;
    const got = { number, text: textOf(name, call), result: resultOf(name, value) };
    if (this.#reference === undefined) this.calls.push(got);
    else {
      const expected = this.#reference[number - 1];
      if (expected?.text !== got.text || expected.result !== got.result) this.#difference = { expected, got };
    }
  }

  end(): void {}

  /**
   * The first call that went differently from the other run, whose call in its place may be missing; undefined where the
   * runs are alike.
   */
  get difference():
    | { readonly expected: LoggedCall | undefined; readonly got: LoggedCall | undefined }
    | undefined {
    if (this.#difference !== undefined || this.#reference === undefined) return this.#difference;
    const missing = this.#reference[this.#count];
    return missing === undefined ? undefined : { expected: missing, got: undefined };
  }
}

function textOf(name: CallName, call: Call): string {
  const { listener, process: { table } } = call;
  const hasPosition = TRANSFERS[name];
  if (hasPosition === undefined && name !== "ioctl" && name !== "mmap") return name;
  const file = table.ours(listener.int(name === "mmap" ? 4 : 0));
  if (file === undefined) return name;
  if (name === "ioctl") return `ioctl ${file.kind} ${ioctlName(file.kind, listener.uint(1))}`;
  const count = name.endsWith("64") ? ` ${listener.long(2)} bytes` : "";
  const position = hasPosition === true ? listener.offset(3) : undefined;
  if (!(file instanceof DeviceFile) || file.device.openCount === 0 || typeof position !== "number") {
    return `${name} ${file.kind}${count}`;
  }
  const { layout } = file.device;
  const region = layout.indexAt(position);
  const offset = layout.offsetAt(position);
  if (region < 0 || region >= REGION.COUNT) return `${name} outside of all regions`;
  const at = region === DATA_BAR ? offset % TOKEN_FROM : offset;
  return `${name} region ${region} + 0x${at.toString(16)}${count}`;
}

function resultOf(name: CallName, value: number): string {
  if (value < 0) return NAMES.get(-value) ?? `error ${-value}`;
  return name in TRANSFERS ? `${value} bytes` : "ok";
}
