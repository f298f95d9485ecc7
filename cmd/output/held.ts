/** What a transaction prints before it is committed: kept in order, and in a file of its own once it is long. */
import { FileError } from "../language/usage_error.ts";

/** What stays in memory, at most and at first. Bytes. */
const MEMORY_BYTES = 1024 * 1024;
const FIRST_BYTES = 4096;

/** The stream that a piece goes to. */
export type Stream = "out" | "err";
const STREAMS: readonly Stream[] = ["out", "err"];

/**
 * Pieces of output in the order in which they came, whatever stream they go to. One serves many transactions, one after
 * the other: its memory is made once.
 */
export class HeldOutput {
  /** Lengths of runs that go to one stream: to standard output first, then in turn. Bytes. */
  readonly #runs: number[] = [0];
  /** Grows to what is needed: most transactions print little. */
  #memory = new Uint8Array(0);
  /** Bytes of `#memory` that are not in the file yet. */
  #used = 0;
  /** Has no name any more, so that nothing of it is left however the process ends. */
  #file: Deno.FsFile | undefined = undefined;

  /** @throws {FileError} if there is no room for them */
  add(stream: Stream, bytes: Uint8Array): void {
    if (STREAMS[(this.#runs.length - 1) % 2] !== stream) this.#runs.push(0);
    this.#runs[this.#runs.length - 1]! += bytes.length;
    if (this.#used + bytes.length > this.#memory.length) this.#grow(this.#used + bytes.length);
    for (let at = 0; at < bytes.length;) {
      if (this.#used === MEMORY_BYTES) this.#spill();
      const piece = at === 0 && bytes.length <= MEMORY_BYTES - this.#used
        ? bytes
        : bytes.subarray(at, at + MEMORY_BYTES - this.#used);
      this.#memory.set(piece, this.#used);
      this.#used += piece.length;
      at += piece.length;
    }
  }

  #grow(needed: number): void {
    let length = Math.max(this.#memory.length, FIRST_BYTES);
    while (length < needed && length < MEMORY_BYTES) length *= 2;
    if (length === this.#memory.length) return;
    const memory = new Uint8Array(length);
    memory.set(this.#memory.subarray(0, this.#used));
    this.#memory = memory;
  }

  /** Hands on everything that was added. Once; each piece is good until the next one. @throws {FileError} */
  *pieces(): Generator<readonly [stream: Stream, bytes: Uint8Array]> {
    const file = this.#file;
    if (file !== undefined) {
      this.#spill();
      guarded(() => file.seekSync(0, Deno.SeekMode.Start));
    }
    let at = 0;
    for (const [i, length] of this.#runs.entries()) {
      for (let left = length; left > 0;) {
        if (at === this.#used) {
          this.#used = file === undefined ? 0 : guarded(() => file.readSync(this.#memory)) ?? 0;
          at = 0;
          if (this.#used === 0) throw new Error("Less is kept than was added");
        }
        const piece = this.#memory.subarray(at, Math.min(this.#used, at + left));
        at += piece.length;
        left -= piece.length;
        yield [STREAMS[i % 2]!, piece];
      }
    }
  }

  /** Forgets everything. */
  close(): void {
    this.#file?.close();
    this.#file = undefined;
    this.#runs.length = 1;
    this.#runs[0] = 0;
    this.#used = 0;
  }

  #spill(): void {
    guarded(() => {
      this.#file ??= anonymousFile();
      for (let at = 0; at < this.#used;) at += this.#file.writeSync(this.#memory.subarray(at, this.#used));
    });
    this.#used = 0;
  }
}

/** A file that only this process can reach. */
function anonymousFile(): Deno.FsFile {
  const path = Deno.makeTempFileSync({ prefix: "ism-output-" });
  try {
    return Deno.openSync(path, { read: true, write: true });
  } finally {
    Deno.removeSync(path);
  }
}

function guarded<Of>(work: () => Of): Of {
  try {
    return work();
  } catch (error) {
    if (!(error instanceof Error)) throw error;
    throw new FileError(
      "-",
      `Results are held back in a temporary file until they are committed, and it cannot be used: ${error.message}; ` +
        "set TMPDIR to a directory with room, or use --quiet",
    );
  }
}
