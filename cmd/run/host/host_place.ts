/** The host file of a run: where it is, opening it, and what others do to it meanwhile. */
import type { Host } from "../../../lib/host/host.ts";
import { HostFileError, HostStore, MEMORY_HOST } from "../../../lib/host/file/store.ts";
import { defaultTopology } from "../../../lib/host/default_topology.ts";
import type { Topology } from "../../../lib/host/topology.ts";
import { createParent } from "../files.ts";
import { identityOf } from "../../output/file_names.ts";

/** The host file that a command line means. */
export class HostPlace {
  /** Undefined where the environment has no place for a host file. */
  readonly #hostPath: string | undefined;
  /** The line named it, so that it has to be there. */
  readonly #isNamed: boolean;
  readonly #dryRun: boolean;
  /** What a new host is made from. */
  readonly #topology: () => Topology;
  #store: HostStore | undefined = undefined;
  /** Device and inode of the host file when it was opened. */
  #opened: string | undefined = undefined;

  /**
   * @param named what the line named
   * @param byDefault what the environment names; undefined if it has no place for one
   */
  constructor(
    named: string | undefined,
    byDefault: string | undefined,
    dryRun: boolean,
    topology?: Topology,
  ) {
    this.#topology = () => topology ?? defaultTopology();
    this.#hostPath = named ?? byDefault;
    this.#isNamed = named !== undefined;
    this.#dryRun = dryRun;
  }

  /** The host file. @throws {HostFileError} if there is none that could be meant, or the name is a directory's */
  get path(): string {
    const path = this.#hostPath;
    if (path === undefined) {
      throw new HostFileError(
        "There is no place for the default host file: neither HOME nor XDG_STATE_HOME, as an absolute path, is set; " +
          "name a host file with --host FILE, or --host :memory: for one that lives as long as this process",
      );
    }
    if (path.endsWith("/")) {
      throw new HostFileError(
        `${path} is the name of a directory; name a file in it, such as ${path}host.db`,
      );
    }
    return path;
  }

  /** The host lives as long as this process. */
  get isInMemory(): boolean {
    return this.path === MEMORY_HOST;
  }

  /** This process has the host file for itself. */
  get isOwner(): boolean {
    return this.#store?.isOwner === true;
  }

  /** The place of a host file that is open, for lines of other processes. */
  static of(store: HostStore): HostPlace {
    const place = new HostPlace(undefined, store.path, false);
    place.#store = store;
    return place;
  }

  /** The open host file, if it is open. */
  get opened(): HostStore | undefined {
    return this.#store;
  }

  /** The open host file; created with the default topology if it is the default one and missing. */
  get store(): HostStore {
    if (this.#store !== undefined) return this.#store;
    this.#store = this.#open();
    this.#opened = identityOf(this.#store.path);
    return this.#store;
  }

  #open(): HostStore {
    const hostPath = this.path;
    if (hostPath === MEMORY_HOST) return HostStore.create(hostPath, this.#topology());
    if (this.#isNamed) return HostStore.open(hostPath);
    const isMissing = identityOf(hostPath) === undefined;
    // A dry run leaves no file behind either: its host is as the new one would be.
    if (isMissing && this.#dryRun) return HostStore.create(MEMORY_HOST, defaultTopology());
    if (isMissing) createParent(hostPath);
    return HostStore.openOrCreate(hostPath, defaultTopology());
  }

  /** Looks at the host as it is now, without creating one; undefined if there is none. @throws {HostFileError} */
  look<Of>(work: (host: Host) => Of): Of | undefined {
    this.refresh();
    if (this.path !== MEMORY_HOST && identityOf(this.path) === undefined) return undefined;
    const host = this.store.begin("read");
    try {
      return work(host);
    } finally {
      this.store.rollback();
    }
  }

  /** Lets go of the host file if another process has put another one in its place, or deleted it. */
  refresh(): void {
    if (this.#store === undefined || this.path === MEMORY_HOST) return;
    if (identityOf(this.path) === this.#opened) return;
    this.#store.close();
    this.#store = undefined;
  }

  close(): void {
    this.#store?.close();
    this.#store = undefined;
  }
}
