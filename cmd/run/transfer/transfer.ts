/** Files on their way through a stream: where bytes come from, and how far they are. */
import type { Hash } from "node:crypto";
import { DMB } from "../../../lib/ism/protocol.ts";
import type { IsmDriver } from "../../../lib/ism/driver/driver.ts";
import type { StreamWriter } from "../../../lib/ism/driver/stream.ts";
import type { Kind } from "../../language/command.ts";
import { ErrnoError } from "../../../lib/vfio/errno.ts";
import { HostFileError } from "../../../lib/host/file/host_path.ts";
import { CommandError } from "../../../lib/ism/driver/errors.ts";
import { InterruptedError } from "../../output/failure.ts";
import { openInput } from "../files.ts";
import { fileError } from "../../output/file_names.ts";
import { number } from "../../language/kinds.ts";
import { quoteText } from "../../language/quote.ts";
import { UsageError } from "../../language/usage_error.ts";

const READ_BYTES = 256 * 1024;

/** A size that a DMB can have. */
export const DMB_SIZE: Kind<number> = {
  placeholder: "SIZE",
  parse(text, what) {
    const size = number("SIZE").parse(text, what);
    if (size % DMB.UNIT === 0 && size >= DMB.UNIT && size <= DMB.MAX) return size;
    throw new UsageError(
      `${what}: a DMB has a multiple of 4096 bytes, from 4k to 1M, not ${quoteText(text)}`,
      { token: text },
    );
  },
};

/** Where bytes come from, one buffer at a time. */
export class Source {
  readonly #hash: Hash;
  readonly #path: string;
  readonly #file: Deno.FsFile | undefined;
  readonly #buffer = new Uint8Array(READ_BYTES);
  #at = 0;
  #end = 0;
  #dry = false;
  /** Size if known, for the progress bar. */
  readonly size: number | undefined;

  /** @param hash of nothing so far @throws {FileError} */
  constructor(path: string, hash: Hash) {
    this.#hash = hash;
    this.#path = path;
    this.#file = path === "-" ? undefined : openInput(path);
    const info = this.#file?.statSync();
    this.size = info?.isFile === true ? info.size : undefined;
  }

  /** Moves as much as fits into the stream, then tells its reader. @throws {FileError} @throws {ErrnoError} */
  push(driver: IsmDriver, writer: StreamWriter): void {
    this.readOn();
    while (!this.#dry && writer.room > 0) {
      this.#move(driver, writer, Infinity);
      this.readOn();
    }
    writer.publish(driver, this.#dry);
  }

  /** As {@linkcode push}, at most `most` bytes and what was read. @throws {ErrnoError} */
  pushPart(driver: IsmDriver, writer: StreamWriter, most: number): void {
    this.#move(driver, writer, most);
    writer.publish(driver, this.#dry);
  }

  #move(driver: IsmDriver, writer: StreamWriter, most: number): void {
    this.#at += writer.write(driver, this.#buffer, this.#at, Math.min(this.#end - this.#at, most));
  }

  /** SHA-256 of everything that was read, in hexadecimal. Once. */
  digest(): string {
    return this.#hash.digest("hex");
  }

  close(): void {
    this.#file?.close();
  }

  /** Reads on if everything is moved that was read. @throws {FileError} */
  readOn(): void {
    if (this.#at < this.#end || this.#dry) return;
    try {
      const read = (this.#file ?? Deno.stdin).readSync(this.#buffer);
      this.#at = 0;
      this.#end = read ?? 0;
      this.#dry = read === null || read === 0;
    } catch (error) {
      throw fileError(this.#path, error);
    }
    this.#hash.update(this.#buffer.subarray(0, this.#end));
  }
}

/** Unregisters a DMB after a failure; a device that does not answer any more keeps it, and says so by itself. */
export function releaseDmb(driver: IsmDriver, token: number): void {
  if (!driver.dmbs.some((each) => each.token === token)) return;
  try {
    driver.unregisterDmb(token);
  } catch (error) {
    if (!(error instanceof ErrnoError || error instanceof CommandError)) throw error;
  }
}

/**
 * Takes back what a transfer has set up that failed.
 *
 * @param left what to say of an interrupted one
 * @returns the error to throw: the failure, whatever taking back ends with
 */
export function takenBack(failure: unknown, left: string, takeBack: () => void): unknown {
  try {
    takeBack();
  } catch (error) {
    // A disk that is full, or a lock that is not released, is what the first error tells of, too.
    if (!(error instanceof HostFileError)) throw error;
    return failure;
  }
  return failure instanceof InterruptedError ? failure.and(left) : failure;
}

/** Seconds since a moment of performance.now(), to the millisecond. */
export function secondsSince(started: number): number {
  return Math.round(performance.now() - started) / 1000;
}
