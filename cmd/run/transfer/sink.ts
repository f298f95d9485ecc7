/** Where what arrives goes: a file, a stream, or nowhere; the hash is taken of it. */
import { STDERR } from "../../language/streams.ts";
import type { Hash } from "node:crypto";
import type { Context } from "../../language/command.ts";
import { checkOutput, fileError, outputError } from "../../output/file_names.ts";

/** What is needed of the context of a command. */
type SinkContext = Pick<Context, "terminal" | "hostPath" | "dryRun">;

/**
 * A file is written under another name beside its own and gets its name when it is complete, so that a transfer that
 * fails or is interrupted leaves an old file alone and no part of a new one. A pipe or a device is written as it comes.
 */
export class Sink implements Disposable {
  readonly #hash: Hash | undefined;
  readonly #path: string | undefined;
  readonly #context: SinkContext;
  #file: Deno.FsFile | undefined = undefined;
  /** Where the bytes are until they are complete, and the name that they get then. */
  #aside: { readonly path: string; readonly target: string } | undefined = undefined;
  bytes = 0;

  /** @param hash of nothing so far; without one there is no {@linkcode digest} */
  constructor(context: SinkContext, path: string | undefined, hash?: Hash) {
    this.#hash = hash;
    this.#context = context;
    this.#path = context.dryRun ? undefined : path;
  }

  /** Makes sure that the file can be written, without touching what is in it. @throws {FileError} */
  open(): void {
    const path = this.#path;
    if (path === undefined || path === "-" || path === STDERR) return;
    checkOutput(path, this.#context.hostPath);
    try {
      const old = existing(path);
      if (old?.isFile === false) this.#file = Deno.openSync(path, { write: true });
      else this.#openAside(path, old);
    } catch (error) {
      throw outputError(path, error);
    }
  }

  #openAside(path: string, old: Deno.FileInfo | undefined): void {
    // A file that may not be written must not be replaced either.
    if (old !== undefined) Deno.openSync(path, { write: true }).close();
    const target = old === undefined ? path : Deno.realPathSync(path);
    const aside = `${target}.${crypto.randomUUID().slice(0, 8)}.part`;
    this.#file = Deno.openSync(aside, { write: true, createNew: true });
    this.#aside = { path: aside, target };
    if (old !== undefined && old.mode !== null) Deno.chmodSync(aside, old.mode & 0o777);
  }

  /** Somebody sees what arrives before it is complete. */
  get isSeen(): boolean {
    return this.#path !== undefined && this.#aside === undefined;
  }

  /** Takes a piece of what arrived. @throws {FileError} */
  readonly take = (piece: Uint8Array): void => {
    this.bytes += piece.length;
    this.#hash?.update(piece);
    if (this.#path === "-") return this.#context.terminal.outBytes(piece);
    if (this.#path === STDERR) return this.#context.terminal.errBytes(piece);
    if (this.#file === undefined) return;
    try {
      for (let at = 0; at < piece.length;) at += this.#file.writeSync(piece.subarray(at));
    } catch (error) {
      throw fileError(this.#path!, error);
    }
  };

  /** Everything has arrived: gives the file its name. @throws {FileError} */
  finish(): void {
    if (this.#aside === undefined) return;
    try {
      this.#file!.syncDataSync();
      Deno.renameSync(this.#aside.path, this.#aside.target);
      this.#aside = undefined;
    } catch (error) {
      throw fileError(this.#path!, error);
    }
  }

  /** SHA-256 of everything that arrived, in hexadecimal. Once. */
  digest(): string {
    return this.#hash!.digest("hex");
  }

  /** Ends it; what is not complete is removed. */
  [Symbol.dispose](): void {
    this.#file?.close();
    this.#file = undefined;
    if (this.#aside !== undefined) Deno.removeSync(this.#aside.path);
    this.#aside = undefined;
  }
}

/** What is there under a name, links followed. */
function existing(path: string): Deno.FileInfo | undefined {
  try {
    return Deno.statSync(path);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw error;
  }
}
