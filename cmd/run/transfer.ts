/** Files on their way through a stream: where bytes come from, where they go, and how far they are. */
import { createHash, type Hash } from "node:crypto";
import { DMB } from "../../lib/ism/protocol.ts";
import type { IsmDriver } from "../../lib/ism/driver/driver.ts";
import type { StreamWriter } from "../../lib/ism/driver/stream.ts";
import type { Context, Kind } from "../language/command.ts";
import { checkOutput, fileError, openInput, outputError } from "./files.ts";
import { number } from "../language/kinds.ts";
import { quoteText } from "../output/diagnostic.ts";
import { UsageError } from "../language/usage_error.ts";
import { roundSize } from "../output/units.ts";

const READ_BYTES = 64 * 1024;
const PROGRESS_MS = 100;

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
  readonly #hash: Hash = createHash("sha256");
  readonly #path: string;
  readonly #file: Deno.FsFile | undefined;
  readonly #buffer = new Uint8Array(READ_BYTES);
  #at = 0;
  #end = 0;
  #dry = false;
  /** Size if known, for the progress bar. */
  readonly size: number | undefined;

  /** @throws {FileError} */
  constructor(path: string) {
    this.#path = path;
    this.#file = path === "-" ? undefined : openInput(path);
    const info = this.#file?.statSync();
    this.size = info?.isFile === true ? info.size : undefined;
  }

  /** Moves as much as fits into the stream, then tells its reader. @throws {FileError} @throws {ErrnoError} */
  push(driver: IsmDriver, writer: StreamWriter): void {
    this.#fill();
    while (!this.#dry && writer.room > 0) {
      this.#at += writer.write(driver, this.#buffer, this.#at, this.#end - this.#at);
      this.#fill();
    }
    writer.publish(driver, this.#dry);
  }

  /** SHA-256 of everything that was read, in hexadecimal. Once. */
  digest(): string {
    return this.#hash.digest("hex");
  }

  close(): void {
    this.#file?.close();
  }

  #fill(): void {
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

/** What a sink keeps in memory before it writes; beyond that, an interrupted transfer leaves a part of the file. */
const KEPT_BYTES = 256 * 1024 * 1024;

/**
 * Where bytes go: a file, standard output, or nowhere; the hash is taken of what arrived. A file is written when
 * everything has arrived, so that an interrupted transfer leaves an old one alone.
 */
export class Sink {
  readonly #hash: Hash = createHash("sha256");
  readonly #path: string | undefined;
  readonly #context: Context;
  #file: Deno.FsFile | undefined = undefined;
  #kept: Uint8Array[] = [];
  #keptBytes = 0;
  bytes = 0;

  constructor(context: Context, path: string | undefined) {
    this.#context = context;
    this.#path = context.dryRun ? undefined : path;
  }

  /** Makes sure that the file can be written, without touching what is in it. @throws {FileError} */
  open(): void {
    if (this.#path === undefined || this.#path === "-") return;
    checkOutput(this.#path, this.#context.hostPath);
    try {
      this.#file = Deno.openSync(this.#path, { write: true, create: true });
    } catch (error) {
      throw outputError(this.#path, error);
    }
  }

  /** Takes a piece of what arrived. @throws {FileError} */
  readonly take = (piece: Uint8Array): void => {
    this.bytes += piece.length;
    this.#hash.update(piece);
    if (this.#path === "-") return this.#context.terminal.outBytes(piece);
    if (this.#file === undefined) return;
    this.#kept.push(piece.slice());
    this.#keptBytes += piece.length;
    if (this.#keptBytes > KEPT_BYTES) this.#write(this.#path!, this.#file);
  };

  /** Writes what is still kept; the file has exactly what arrived then. @throws {FileError} */
  finish(): void {
    if (this.#file === undefined) return;
    this.#write(this.#path!, this.#file);
    // A pipe or a device has no length.
    if (this.#file.statSync().isFile) this.#file.truncateSync(this.bytes);
  }

  /** SHA-256 of everything that arrived, in hexadecimal. Once. */
  digest(): string {
    return this.#hash.digest("hex");
  }

  close(): void {
    this.#file?.close();
  }

  #write(path: string, file: Deno.FsFile): void {
    try {
      for (const piece of this.#kept) {
        for (let at = 0; at < piece.length;) at += file.writeSync(piece.subarray(at));
      }
    } catch (error) {
      throw fileError(path, error);
    }
    this.#kept = [];
    this.#keptBytes = 0;
  }
}

/** A progress bar on a terminal, at most ten times a second. `total` is 0 if nobody knows. */
export function progressBar({ terminal }: Context, total: number, done: () => number): () => void {
  if (!terminal.errIsTerminal) return () => {};
  let next = performance.now() + PROGRESS_MS;
  return () => {
    if (performance.now() < next) return;
    next = performance.now() + PROGRESS_MS;
    const text = `${roundSize(done())}${total === 0 ? "" : ` of ${roundSize(total)}`}`;
    const width = Math.min(40, terminal.columns - text.length - 4);
    if (total === 0 || width < 5) return terminal.progress(text);
    const filled = Math.round(width * Math.min(1, done() / total));
    terminal.progress(`[${"#".repeat(filled)}${" ".repeat(width - filled)}] ${text}`);
  };
}

/** Seconds since a moment of performance.now(), to the millisecond. */
export function secondsSince(started: number): number {
  return Math.round(performance.now() - started) / 1000;
}
