/** Where the lines of a shell come from, and lines that come through a pipe. */
import { fileError } from "../output/file_names.ts";
import { MAX_LINE_LENGTH } from "../language/limits.ts";
import { UsageError } from "../language/usage_error.ts";

/** What comes instead of a line. */
export type NoLine = "end" | "dropped";

/** Lines one at a time, without their ends. */
export interface LineSource {
  /**
   * @param continued the line goes on where the last one ended with a backslash
   * @returns `"dropped"` if the user has thrown away what was typed so far, `"end"` after the last line
   * @throws {UsageError} for a line that is no text; the next one can be asked for
   */
  next(continued: boolean): Promise<{ readonly text: string } | NoLine>;
  /** Forgets lines that were pasted and have not been asked for. */
  forget(): void;
  close(): void;
}

const CHUNK_BYTES = 64 * 1024;
const LINE_END = 10;
/** Until the next look at a stream that does not block. Milliseconds. */
const RETRY_MS = 1;

/** A stream that is read a piece at a time. */
interface PipedInput {
  readSync(into: Uint8Array): number | null;
}

/** Lines of a file, a pipe or a device, each as soon as it is complete. */
export class PipedLines implements LineSource {
  readonly #input: PipedInput;
  readonly #chunk = new Uint8Array(CHUNK_BYTES);
  #pending: Uint8Array = new Uint8Array();
  #ended = false;

  constructor(input: PipedInput) {
    this.#input = input;
  }

  async next(): Promise<{ readonly text: string } | NoLine> {
    const pieces: Uint8Array[] = [];
    let length = 0;
    for (;;) {
      const end = this.#pending.indexOf(LINE_END);
      // What is to be continued has to outlive the next read.
      const piece = end < 0 ? this.#pending.slice() : this.#pending.subarray(0, end);
      // The rest of a line that is too long is read and forgotten.
      if (piece.length > 0 && length <= MAX_LINE_LENGTH * 4) pieces.push(piece);
      length += piece.length;
      if (end >= 0) {
        this.#pending = this.#pending.subarray(end + 1);
        return { text: decode(pieces) };
      }
      this.#pending = this.#ended ? new Uint8Array() : await this.#read();
      if (this.#pending.length === 0) {
        this.#ended = true;
        return length === 0 ? "end" : { text: decode(pieces) };
      }
    }
  }

  forget(): void {}

  close(): void {}

  /** The next bytes; none at the end. @throws {FileError} */
  async #read(): Promise<Uint8Array> {
    try {
      // Nothing else goes on while a shell waits for its next line, and to hand the wait over takes longer than a line.
      return this.#chunk.subarray(0, this.#input.readSync(this.#chunk) ?? 0);
    } catch (error) {
      if (!(error instanceof Deno.errors.WouldBlock)) throw fileError("-", error);
      await new Promise((resolve) => setTimeout(resolve, RETRY_MS));
      return await this.#read();
    }
  }
}

const ONE_PIECE = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

function decode(pieces: readonly Uint8Array[]): string {
  const [only] = pieces;
  if (only === undefined) return "";
  try {
    // A decoder of pieces is made anew each time, and costs as much as the rest of the line.
    if (pieces.length === 1) return ONE_PIECE.decode(only);
    const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
    return pieces.map((piece) => decoder.decode(piece, { stream: true })).join("") + decoder.decode();
  } catch {
    throw new UsageError("The line is not text in UTF-8");
  }
}
