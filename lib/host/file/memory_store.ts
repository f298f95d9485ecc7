/** A host that lives as long as the process. There is no database: what a transaction changed stays, or is undone. */
import type { Json } from "../../base/json.ts";
import { Host } from "../host.ts";
import { FORMAT } from "../state/migrations.ts";
import { compareStates, type Comparison } from "./comparison.ts";
import { type HostStore, MEMORY_HOST, type PagePlace } from "./host_store.ts";

/** The host of a process. */
export class MemoryStore implements HostStore {
  readonly path = MEMORY_HOST;
  readonly version = 0;
  readonly format = { now: FORMAT, created: FORMAT };
  #host: Host;
  readonly #comparison: Comparison | undefined;

  constructor(host: Host) {
    this.#host = host;
    this.#comparison = compareStates();
    this.#keep();
  }

  /** Nothing has to be stored of what is there. */
  #keep(): void {
    for (const { partition } of this.#host.guests) {
      for (const buffer of partition.storage.buffers) buffer.clean();
    }
    this.#comparison?.start(this.#host);
  }

  begin(_mode: "read" | "write"): Host {
    this.#host.begin();
    return this.#host;
  }

  commit(host: Host): void {
    try {
      host.tidy();
      this.#comparison?.commit(host);
    } catch (error) {
      this.rollback();
      throw error;
    }
    host.settle();
  }

  rollback(): void {
    this.#host.revert();
    this.#comparison?.rollback(this.#host);
  }

  reset(): void {
    this.#host = Host.create(this.#host.topology);
    this.#keep();
  }

  pagePlaces(): readonly PagePlace[] {
    const places: PagePlace[] = [];
    for (const { index, partition } of this.#host.guests) {
      for (const buffer of partition.storage.buffers) {
        for (const offset of buffer.writtenPages()) {
          places.push({ guest: index, address: buffer.address + offset });
        }
      }
    }
    return places;
  }

  readonly isOwner = false;

  own(_note: string): string | undefined {
    throw new Error("A host in memory is one process's own anyway");
  }

  disown(): void {}

  readonly touched = (): void => {};

  damages(): string[] {
    return [];
  }

  rows(): ReadonlyMap<string, Json> {
    return new Map<string, Json>([
      ["topology", this.#host.topology as unknown as Json],
      ...this.#host.save(),
    ]);
  }

  close(): void {}

  [Symbol.dispose](): void {}
}
