/**
 * Composition: a topology becomes a wired host, a host becomes state and is rebuilt from it.
 */
import { Journal, type PutRow } from "../base/journal.ts";
import type { Json } from "../base/json.ts";
import { splitMix64 } from "../base/random.ts";
import { Tracer } from "../base/trace.ts";
import { type AdapterState, IsmAdapter } from "../ism/device/adapter.ts";
import { type FabricState, IsmFabric } from "../ism/device/fabric.ts";
import { TOKEN_ORDERS } from "../ism/device/tokens.ts";
import { IsmDriver } from "../ism/driver/driver.ts";
import type { DriverState } from "../ism/driver/driver_state.ts";
import { PFT_ISM } from "../ism/protocol.ts";
import { Kernel } from "../vfio/kernel.ts";
import type { KernelState } from "../vfio/kernel_state.ts";
import { refreshKernel } from "../vfio/process/refresh.ts";
import { LockPlan, type LockPlanState } from "../vfio/lock_plan.ts";
import type { Zdev } from "../vfio/s390/zdev.ts";
import { Clock, microsecondsSince1900 } from "../zpci/clock.ts";
import { FaultPlan, type FaultPlanState } from "../zpci/faults.ts";
import type { FunctionGroup, FunctionRecord, ZpciFunction } from "../zpci/function.ts";
import { Processor } from "../zpci/instruction.ts";
import { Partition } from "../zpci/partition.ts";
import { MainStorage, PAGE_SIZE, type StorageState } from "../zpci/storage.ts";
import { toEbcdic } from "./ebcdic.ts";
import { Rendezvous, type RendezvousState } from "./rendezvous.ts";
import { gidOf } from "./default_topology.ts";
import { MissingStateError } from "./errors.ts";
import type { Topology, TopologyFunction } from "./topology.ts";

/** One guest: a partition, its kernel and its driver process. */
export interface Guest {
  readonly index: number;
  readonly name: string;
  readonly partition: Partition;
  readonly processor: Processor;
  readonly kernel: Kernel;
}

/** One function with everything that belongs to it, from the adapter up to the driver. */
export interface HostFunction {
  /** Position in the host's list, over all guests. */
  readonly index: number;
  readonly guest: Guest;
  readonly fn: ZpciFunction;
  readonly adapter: IsmAdapter;
  readonly zdev: Zdev;
  readonly driver: IsmDriver;
}

/** Where the pieces of a saved host come from. */
export interface StateSource {
  /** State under a key, or undefined. */
  get(key: string): Json | undefined;
  /** A page of a guest's memory, or undefined if it was never written. */
  page(guest: number, address: number): Uint8Array | undefined;
}

const PFGID_ISM = 0x08;
const MSI_ADDRESS = 0xfe00_0000_0000_0000n;
const BAR_64BIT = 4;
const BAR_PREFETCH = 8;
const BAR0_EXPONENT = 48;
const UTILITY_STRING_BYTES = 64;
const PNETID_BYTES = 16;
const FMB_LENGTH = 128;

/** A whole simulated host. */
export class Host {
  /** What the transaction that is open has changed. */
  readonly journal = new Journal();
  readonly topology: Topology;
  readonly tracer = new Tracer();
  readonly clock: Clock;
  readonly guests: readonly Guest[];
  readonly functions: readonly HostFunction[];
  readonly fabrics: ReadonlyMap<number, IsmFabric>;
  /** Where driver processes of two guests find each other. */
  readonly rendezvous = new Rendezvous(this.journal);
  /** Faults to inject; {@linkcode applyFaults} makes changes count. */
  readonly faults = new FaultPlan(this.journal);
  /** Times at which a device lock is taken. */
  readonly locks = new LockPlan(this.journal);
  #clockAtBegin = 0;

  private constructor(topology: Topology, source: StateSource | undefined) {
    this.topology = topology;
    this.clock = new Clock(microsecondsSince1900(topology.clock));
    const fabrics = new Map<number, IsmFabric>();
    const adapters = new Map<ZpciFunction, IsmAdapter>();
    const group = groupOf(topology);

    const partitions = topology.guests.map((guest, index) => {
      const storage = source === undefined
        ? new MainStorage(topology.memory, this.journal, storageKey(index))
        : MainStorage.restore(
          topology.memory,
          read<StorageState>(source, storageKey(index)),
          { load: (address) => source.page(index, address) },
          this.journal,
          storageKey(index),
        );
      const { tracer, clock } = this;
      const key = `guest/${index}`;
      const partition = new Partition(guest.name, storage, tracer, clock, topology.machine, key);
      for (const description of guest.functions) {
        const fn = partition.addFunction(identityOf(topology, description), group);
        const fabric = fabrics.get(description.chid) ??
          createFabric(topology, description.chid, this.journal);
        fabrics.set(description.chid, fabric);
        adapters.set(fn, new IsmAdapter(fn, fabric, gidOf(topology, description), topology.ism));
      }
      return partition;
    });
    this.fabrics = fabrics;

    if (source !== undefined) {
      for (const [chid, fabric] of fabrics) fabric.restore(read<FabricState>(source, `fabric/${chid}`));
      for (const [fn, adapter] of adapters) {
        fn.restore(read<FunctionRecord>(source, `function/${fn.identity.fid}`));
        adapter.restore(read<AdapterState>(source, `adapter/${fn.identity.fid}`));
      }
    }

    const options = { ...topology.kernel, seed: topology.seed };
    this.guests = partitions.map((partition, index) => {
      const processor = new Processor(partition);
      const kernel = source === undefined ? Kernel.boot(partition, processor, options) : Kernel.restore(
        partition,
        processor,
        options,
        read<KernelState>(source, `guest/${index}/kernel`),
      );
      return { index, name: partition.name, partition, processor, kernel };
    });
    if (source !== undefined) {
      for (const fn of adapters.keys()) {
        fn.restoreTranslation(read<FunctionRecord>(source, `function/${fn.identity.fid}`));
      }
    }

    const functions: HostFunction[] = [];
    for (const guest of this.guests) {
      for (const fn of guest.partition.functions) {
        const zdev = guest.kernel.zdevs.find(({ facts }) => facts.fid === fn.identity.fid)!;
        const state = source === undefined
          ? undefined
          : read<DriverState>(source, `driver/${fn.identity.fid}`);
        const place = { journal: this.journal, key: `driver/${fn.identity.fid}` };
        const driver = new IsmDriver(guest.kernel.process, zdev.name, place, state);
        functions.push({ index: functions.length, guest, fn, adapter: adapters.get(fn)!, zdev, driver });
      }
    }
    this.functions = functions;
    for (const { kernel } of this.guests) kernel.locks = this.locks;
    if (source === undefined) return;
    this.clock.microseconds = read<number>(source, "clock");
    this.faults.restore(read<FaultPlanState>(source, "faults"));
    this.applyFaults();
    this.locks.restore(read<LockPlanState>(source, "locks"));
    this.rendezvous.restore(read<RendezvousState>(source, "rendezvous"));
  }

  /** Puts the fault plan where the processors look at it; an empty plan costs them nothing. */
  applyFaults(): void {
    const plan = this.faults.faults.length === 0 ? undefined : this.faults;
    for (const { processor } of this.guests) processor.faults = plan;
  }

  /** Powers a new host on. */
  static create(topology: Topology): Host {
    return new Host(topology, undefined);
  }

  /** Rebuilds a host from its topology and saved state. */
  static restore(topology: Topology, source: StateSource): Host {
    return new Host(topology, source);
  }

  /** Begins a transaction: {@linkcode settle} or {@linkcode revert} ends it. */
  begin(): void {
    this.#clockAtBegin = this.clock.microseconds;
    this.journal.open();
  }

  /** A transaction is open. */
  get isOpen(): boolean {
    return this.journal.isOpen;
  }

  /** Forgets what nothing refers to, before a transaction is stored. */
  tidy(): void {
    for (const { kernel } of this.guests) kernel.eventfds.dropUnused(kernel);
  }

  /** The rows of what the transaction changed. Memory is told by {@linkcode changedPages}. */
  writeRows(put: PutRow): void {
    if (this.clock.microseconds !== this.#clockAtBegin) put("clock", this.clock.microseconds);
    this.journal.writeRows(put);
  }

  /** Ends the transaction; what it changed stays. */
  settle(): void {
    this.journal.settle();
  }

  /** Ends the transaction; what it changed is undone. */
  revert(): void {
    this.journal.revert();
    this.clock.microseconds = this.#clockAtBegin;
    this.applyFaults();
  }

  /**
   * Takes over a row that another process has changed. Outside of a transaction.
   *
   * @returns false if that cannot be done in place
   */
  refresh(key: string, row: Json): boolean {
    if (key === "clock") this.clock.microseconds = row as number;
    else if (key === "rendezvous") this.rendezvous.restore(row as unknown as RendezvousState);
    else {
      const [, guest, part] = /^guest\/(\d+)\/kernel\/(.*)$/.exec(key) ?? [];
      const kernel = guest === undefined ? undefined : this.guests[Number(guest)]?.kernel;
      return kernel !== undefined && refreshKernel(kernel, part!, row);
    }
    return true;
  }

  /** Has pages read again when they are touched, because another process has changed them. Bytes. */
  forgetPages(guest: number, address: number, length: number): void {
    this.guests[guest]?.partition.storage.forget(address, length);
  }

  /** As the host would be if all real programs were killed now: a copy, or itself where there is none. */
  withoutPrograms(): Host {
    if (this.guests.every(({ kernel }) => kernel.processes.size === 1 && kernel.foreign.size === 0)) {
      return this;
    }
    const copy = this.fork();
    // What that changes of memory has to be stored, too.
    copy.begin();
    for (const { kernel } of copy.guests) kernel.endPrograms();
    return copy;
  }

  /** An independent copy, to try something out on; memory of real programs holds nothing in it. */
  fork(): Host {
    const state = new Map(
      [...this.save({ withPrograms: true })].map(([key, value]) => [key, JSON.stringify(value)]),
    );
    return Host.restore(this.topology, {
      get: (key) => {
        const json = state.get(key);
        return json === undefined ? undefined : JSON.parse(json) as Json;
      },
      page: (guest, address) => {
        const buffer = this.guests[guest]?.partition.storage.find(address, PAGE_SIZE);
        if (buffer === undefined) return undefined;
        const offset = address - buffer.address;
        return buffer.touch(offset, PAGE_SIZE, false).slice(offset, offset + PAGE_SIZE);
      },
    });
  }

  /** All state but memory contents, as JSON by key. */
  save(options: { readonly withPrograms?: boolean } = {}): Map<string, Json> {
    const state = new Map<string, unknown>([
      ["clock", this.clock.microseconds],
      ["faults", this.faults.save()],
      ["locks", this.locks.save()],
      ["rendezvous", this.rendezvous.save()],
    ]);
    for (const [chid, fabric] of this.fabrics) state.set(`fabric/${chid}`, fabric.save());
    for (const { index, partition, kernel } of this.guests) {
      state.set(`guest/${index}/storage`, partition.storage.save());
      state.set(`guest/${index}/kernel`, kernel.save(options));
    }
    for (const { fn, adapter, driver } of this.functions) {
      const { fid } = fn.identity;
      state.set(`function/${fid}`, fn.save());
      state.set(`adapter/${fid}`, adapter.save());
      state.set(`driver/${fid}`, driver.save());
    }
    return state as Map<string, Json>;
  }
}

const storageKey = (guest: number) => `guest/${guest}/storage`;

function read<State>(source: StateSource, key: string): State {
  const state = source.get(key);
  if (state === undefined) throw new MissingStateError(`The host has no state for ${key}`);
  return state as State;
}

/** A fabric whose first token number, any of the 20-bit range but 0, and order of tokens follow from the seed. */
function createFabric({ seed, ism }: Topology, chid: number, journal: Journal): IsmFabric {
  const firstToken = Number(splitMix64(BigInt(seed)) % 0xf_ffffn) + 1;
  return new IsmFabric(chid, firstToken, TOKEN_ORDERS[ism.tokens](seed), journal);
}

function groupOf({ machine }: Topology): FunctionGroup {
  return {
    pfgid: PFGID_ISM,
    noi: 1,
    version: 0,
    relaxed: machine.storeBlock === "relaxed",
    refresh: true,
    maxstbl: machine.maxstbl,
    mui: 4000,
    dasm: 0n,
    msia: MSI_ADDRESS,
    dtsm: 0x40,
  };
}

function identityOf({ machine, ism }: Topology, { fid, uid, chid, vfn, port, pnetid }: TopologyFunction) {
  const utilityString = new Uint8Array(UTILITY_STRING_BYTES);
  if (machine.utilityString) utilityString.set(toEbcdic(pnetid, PNETID_BYTES));
  return {
    fid,
    uid,
    pchid: chid,
    vfn,
    pft: PFT_ISM,
    port,
    sdma: machine.startDma,
    edma: machine.endDma,
    barExponents: [BAR0_EXPONENT, 0, Math.log2(ism.bar2Size), 0, 0, 0],
    barFlags: [BAR_64BIT | (machine.bar0Prefetch ? BAR_PREFETCH : 0), 0, BAR_64BIT, 0, 0, 0],
    fmbLength: FMB_LENGTH,
    pfip: new Uint8Array(4),
    utilityString,
  };
}
