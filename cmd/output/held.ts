/** What a transaction prints before it is committed: kept in order, and in a file of its own once it is long. */
import { FileError } from "../language/usage_error.ts";

/** What stays in memory. Bytes. */
const MEMORY_BYTES = 1024 * 1024;

/** The stream that a piece goes to. */
export type Stream = "out" | "err";
const STREAMS: readonly Stream[] = ["out", "err"];

/** Pieces of output in the order in which they came, whatever stream they go to. */
export class HeldOutput {
  /** Lengths of runs that go to one stream: to standard output first, then in turn. Bytes. */
  readonly #runs: number[] = [0];
  /** Made when it is needed: most transactions print nothing. */
  #memory = new Uint8Array(0);
  /** Bytes of `#memory` that are not in the file yet. */
  #used = 0;
  /** Has no name any more, so that nothing of it is left however the process ends. */
  #file: Deno.FsFile | undefined = undefined;

  /** @throws {FileError} if there is no room for them */
  add(stream: Stream, bytes: Uint8Array): void {
    if (STREAMS[(this.#runs.length - 1) % 2] !== stream) this.#runs.push(0);
    this.#runs[this.#runs.length - 1]! += bytes.length;
    if (this.#memory.length === 0) this.#memory = new Uint8Array(MEMORY_BYTES);
    for (let at = 0; at < bytes.length;) {
      if (this.#used === MEMORY_BYTES) this.#spill();
      const piece = bytes.subarray(at, at + MEMORY_BYTES - this.#used);
      this.#memory.set(piece, this.#used);
      this.#used += piece.length;
      at += piece.length;
    }
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

  close(): void {
    this.#file?.close();
    this.#file = undefined;
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
