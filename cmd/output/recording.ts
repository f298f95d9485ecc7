/** A terminal that keeps what is printed, for a process that prints it later. */
import type { Stream } from "./held.ts";
import { ProcessTerminal } from "./terminal.ts";

/** Keeps what is printed. */
export class RecordingTerminal extends ProcessTerminal {
  readonly #pieces: (readonly [stream: Stream, bytes: Uint8Array])[] = [];
  /** Pieces before the transaction that is open. */
  #kept: number | undefined = undefined;

  /** What was printed, in its order. */
  get pieces(): readonly (readonly [stream: Stream, bytes: Uint8Array])[] {
    return this.#pieces;
  }

  override get outIsTerminal(): boolean {
    return false;
  }

  override get errIsTerminal(): boolean {
    return false;
  }

  override outBytes(bytes: Uint8Array): void {
    this.#pieces.push(["out", bytes.slice()]);
  }

  override errBytes(bytes: Uint8Array): void {
    this.#pieces.push(["err", bytes.slice()]);
  }

  override progress(_text: string): void {}

  override hold(): void {
    this.#kept ??= this.#pieces.length;
  }

  override discard(): void {
    if (this.#kept !== undefined) this.#pieces.length = this.#kept;
    this.#kept = undefined;
  }

  override release(): void {
    this.#kept = undefined;
  }
}
