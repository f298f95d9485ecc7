/**
 * BAR 2: the command area as memory, which store starts a command, and the order that a driver has to keep.
 * Facts: docs/reference/ism/commands.md, ism.cmd.area. The commands are in commands.ts.
 */
import { Kept } from "../../base/journal.ts";
import { STATUS } from "../../zpci/answer.ts";
import { PEC } from "../../zpci/error_events.ts";
import { MODEL } from "../../zpci/function.ts";
import { HEADER_BYTES } from "../protocol.ts";
import type { IsmAdapter } from "./adapter.ts";
import { executeCommand } from "./commands.ts";
import type { IsmOptions } from "./options.ts";

/** Bytes of BAR 2 that mean something: room for the longest command there can be. */
export const COMMAND_AREA_BYTES = 4096;

/** State of BAR 2, for the host file. */
export interface CommandBarState {
  /** Hexadecimal, without the bytes at the end that are as before any command. */
  readonly area: string;
  readonly payloadWaits: boolean;
  readonly responseWaits: boolean;
  readonly busyLoads: number;
}

const INITIAL_BYTE: Readonly<Record<IsmOptions["bar2Initial"], number>> = { zeros: 0x00, ones: 0xff };
/** Longest store that starts a command. */
const LONGEST_START: Readonly<Record<IsmOptions["wholeCommandStores"], number>> = {
  execute: COMMAND_AREA_BYTES,
  "store-only": HEADER_BYTES,
};
/** What the device answers to an access that a choice allows or refuses. */
const ANSWER = { ignore: MODEL.OK, store: MODEL.OK, refuse: STATUS.INVALID_SPACE } as const;
/** What follows when a command overlaps another one. Event 0x3a was seen on real machines (ism.cmd.serial). */
const ON_OVERLAP: Readonly<Record<IsmOptions["concurrency"], (adapter: IsmAdapter) => void>> = {
  mix: () => {},
  fail: (adapter) => adapter.fn.fail(PEC.SERVICE_ACTION, 0, true),
};

/** BAR 2 of one function. */
export class CommandBar extends Kept {
  /** Request and response share these bytes (ism.cmd.start). */
  readonly area = new Uint8Array(COMMAND_AREA_BYTES);
  readonly #adapter: IsmAdapter;
  readonly #initialByte: number;
  readonly #longestStart: number;
  readonly #partialHeaders: number;
  readonly #outside: number;
  /** A payload was stored whose header has not come. */
  #payloadWaits = false;
  /** A command was executed whose response header was not loaded. */
  #responseWaits = false;
  /** Loads that will still answer busy. */
  #busyLoads = 0;
  /** The area as it was when the transaction began, if it changed since; used again by every transaction. */
  #areaBefore: Uint8Array | undefined = undefined;

  constructor(adapter: IsmAdapter) {
    super(adapter.journal);
    const { bar2Initial, wholeCommandStores, partialHeaderStores, bar2Outside } = adapter.options;
    this.#adapter = adapter;
    this.#initialByte = INITIAL_BYTE[bar2Initial];
    this.#longestStart = LONGEST_START[wholeCommandStores];
    this.#partialHeaders = ANSWER[partialHeaderStores];
    this.#outside = ANSWER[bar2Outside];
    this.reset();
  }

  /** A load never crosses the end of the area, as it stays in one doubleword. */
  load(offset: number, length: number, into: Uint8Array, at: number): number {
    if (this.#busyLoads > 0) {
      this.touch();
      this.#busyLoads--;
      return MODEL.BUSY;
    }
    if (offset >= COMMAND_AREA_BYTES) {
      const byte = this.#initialByte;
      // A loop, because it is a few bytes at most, for which a call of fill() takes longer.
      for (let i = 0; i < length; i++) into[at + i] = byte;
      return this.#outside;
    }
    for (let i = 0; i < length; i++) into[at + i] = this.area[offset + i]!;
    if (offset < HEADER_BYTES && this.#responseWaits) {
      this.touch();
      this.#responseWaits = false;
    }
    return MODEL.OK;
  }

  /** A store that covers all of the header starts the command; any other only leaves its bytes. */
  store(offset: number, source: Uint8Array, length: number): number {
    if (offset >= COMMAND_AREA_BYTES) return this.#outside;
    const wholeHeader = offset === 0 && length >= HEADER_BYTES;
    if (offset < HEADER_BYTES && !wholeHeader && this.#partialHeaders !== MODEL.OK) {
      return this.#partialHeaders;
    }
    const hasPayload = offset + length > HEADER_BYTES;
    if (this.#responseWaits || (this.#payloadWaits && hasPayload)) {
      this.#overlap(offset, length);
      if (this.#adapter.failed) return MODEL.OK;
    }
    this.touch();
    for (let i = 0; i < length; i++) this.area[offset + i] = source[i]!;
    this.#responseWaits = false;
    this.#payloadWaits ||= hasPayload;
    if (wholeHeader && length <= this.#longestStart) this.#execute();
    return MODEL.OK;
  }

  /** One request and its response at a time: what the driver broke, and what the choice makes of it. */
  #overlap(offset: number, length: number): void {
    const adapter = this.#adapter;
    const broken = this.#responseWaits
      ? "the last response was not loaded"
      : "the last payload got no header";
    adapter.trace("concurrency", () => ({ offset, length, broken }));
    ON_OVERLAP[adapter.options.concurrency](adapter);
  }

  #execute(): void {
    this.#payloadWaits = false;
    executeCommand(this.#adapter);
    if (this.#adapter.failed) return;
    this.#responseWaits = true;
    this.#busyLoads = this.#adapter.options.responseDelay;
  }

  /** As before any command. */
  reset(): void {
    this.touch();
    this.area.fill(this.#initialByte);
    this.#payloadWaits = false;
    this.#responseWaits = false;
    this.#busyLoads = 0;
  }

  /** The adapter's row holds it. */
  get rows(): IsmAdapter {
    return this.#adapter;
  }

  protected override remember(): () => void {
    const area = this.#areaBefore ??= new Uint8Array(COMMAND_AREA_BYTES);
    area.set(this.area);
    const [payloadWaits, responseWaits, busyLoads] = [
      this.#payloadWaits,
      this.#responseWaits,
      this.#busyLoads,
    ];
    return () => {
      this.area.set(area);
      this.#payloadWaits = payloadWaits;
      this.#responseWaits = responseWaits;
      this.#busyLoads = busyLoads;
    };
  }

  save(): CommandBarState {
    const end = this.area.findLastIndex((byte) => byte !== this.#initialByte) + 1;
    return {
      area: this.area.subarray(0, end).toHex(),
      payloadWaits: this.#payloadWaits,
      responseWaits: this.#responseWaits,
      busyLoads: this.#busyLoads,
    };
  }

  restore(state: CommandBarState): void {
    this.reset();
    this.area.set(Uint8Array.fromHex(state.area));
    this.#payloadWaits = state.payloadWaits;
    this.#responseWaits = state.responseWaits;
    this.#busyLoads = state.busyLoads;
  }
}
