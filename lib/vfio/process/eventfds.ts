/** Eventfds of a guest: one lives as long as a descriptor or interrupt wiring refers to it. */
import { type Journal, KeptMap } from "../../base/journal.ts";
import type { VfioDevice } from "../device.ts";
import { EventFd, EventFdFile } from "./eventfd.ts";
import type { OpenFile } from "./file.ts";

/** What may refer to eventfds. */
export interface EventFdUsers {
  readonly process: { files(): Iterable<readonly [fd: number, file: OpenFile]> };
  readonly devices: readonly VfioDevice[];
}

/** Eventfds by id. */
export class EventFds {
  readonly #journal: Journal;
  readonly #list: () => string;
  readonly #eventfds: KeptMap<EventFd>;
  /** Some may be there that nothing refers to. */
  #mayDrop = false;

  /** `list` is the key of the list of their rows in the saved state. */
  constructor(journal: Journal, list: () => string) {
    this.#journal = journal;
    this.#list = list;
    this.#eventfds = new KeptMap(journal, (put, id, eventfd) => {
      if (eventfd === undefined) put(`${list()}/${id}`, undefined);
      else eventfd.writeRows(put);
    });
  }

  get all(): Iterable<EventFd> {
    return this.#eventfds.values();
  }

  /** A new one, under a number that nothing has yet. */
  create(id: number): EventFd {
    const eventfd = this.#make(id);
    this.#eventfds.set(id, eventfd);
    return eventfd;
  }

  #make(id: number): EventFd {
    return new EventFd(id, {
      journal: this.#journal,
      write: (put, eventfd) => {
        if (this.#eventfds.get(id) === eventfd) put(`${this.#list()}/${id}`, eventfd.save());
      },
      closed: () => this.mayBeUnused(),
    });
  }

  /** The eventfd with an id of a saved state. */
  get(id: number): EventFd {
    const eventfd = this.#eventfds.get(id);
    if (eventfd === undefined) throw new Error(`Eventfd ${id} is not there`);
    return eventfd;
  }

  /** Puts those of a saved state back. */
  restore(saved: readonly { readonly id: number; readonly count: number | string }[]): void {
    this.mayBeUnused();
    for (const { id, count } of saved) {
      const eventfd = this.#make(id);
      eventfd.count = BigInt(count);
      this.#eventfds.set(id, eventfd);
    }
  }

  /** One may have lost the last thing that refers to it. */
  mayBeUnused(): void {
    this.#mayDrop = true;
  }

  /** Forgets those that nothing refers to. */
  dropUnused({ process, devices }: EventFdUsers): void {
    if (!this.#mayDrop) return;
    this.#mayDrop = false;
    const used = new Set<EventFd | undefined>();
    for (const [, file] of process.files()) if (file instanceof EventFdFile) used.add(file.context);
    for (const { msi, req, err } of devices) {
      used.add(req).add(err);
      msi?.forEach((eventfd) => used.add(eventfd));
    }
    for (const [id, eventfd] of this.#eventfds) if (!used.has(eventfd)) this.#eventfds.delete(id);
  }
}
