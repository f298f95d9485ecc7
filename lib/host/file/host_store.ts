/** An open host, wherever it is kept: what commands do with it, in transactions. */
import type { Json } from "../../base/json.ts";
import type { Host } from "../host.ts";

/** Name of a host that lives as long as the process. */
export const MEMORY_HOST = ":memory:";

/** A format of the file, and the one that it was created with. */
export interface StoreFormat {
  readonly now: number;
  readonly created: number;
}

/** Where a page of a guest's memory is. */
export interface PagePlace {
  readonly guest: number;
  readonly address: number;
}

/** An open host. */
export interface HostStore extends Disposable {
  readonly path: string;
  /** Changes when another process commits. */
  readonly version: number;
  /** As of the last {@linkcode begin}. */
  readonly format: StoreFormat;
  /**
   * Begins a transaction and gives the host; {@linkcode commit} or {@linkcode rollback} ends it. A `"read"` transaction
   * never waits for writers and is always rolled back.
   *
   * @param options `forced` is false for what nothing is printed of before a later one is forced to the disk: a power
   * failure may undo it
   * @throws {HostFileError} if the file stays locked or cannot be read
   */
  begin(mode: "read" | "write", options?: { readonly forced?: boolean }): Host;
  /** Stores what changed. @throws {HostFileError}, nothing stored */
  commit(host: Host): void;
  /** Ends a transaction without a trace. */
  rollback(): void;
  /**
   * Takes the host for this process: until {@linkcode disown} it lives in memory, each transaction begins with it as it
   * is, and what is undone stays.
   *
   * @param note what others find of the owner
   * @returns the folder in which others ask; undefined if another process has it
   * @throws {HostFileError}
   */
  own(note: string): string | undefined;
  /** This process has the host for itself. */
  readonly isOwner: boolean;
  /** Others may have the host again, as the last commit left it. */
  disown(): void;
  /** Programs did something, which those who wait should look at. */
  readonly touched: () => void;
  /** Replaces everything by a freshly booted host of the same topology. @throws {HostFileError} */
  reset(): void;
  /** Where pages may be that are not zero, inside a transaction; those that were written in it may be missing. */
  pagePlaces(): readonly PagePlace[];
  /**
   * What the checksums say of everything that is stored; no line if all is well. Inside a transaction.
   *
   * @param progress is told how many memory pages have been looked at
   */
  damages(progress?: (pages: number) => void): string[];
  /** All state as documents by key, as it is stored, in this format. @throws {HostFileError} */
  rows(): ReadonlyMap<string, Json>;
  close(): void;
}
