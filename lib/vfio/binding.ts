/**
 * Which driver holds a function: sysfs bind, unbind, driver_override and drivers_probe.
 * Facts: vfio.bind.* and vfio.unplug.* (drivers/pci/pci-driver.c, drivers/base/bus.c, drivers/vfio/vfio_main.c).
 */
import { Kept, type Rows } from "../base/journal.ts";
import type { ErrorEvent } from "../zpci/partition.ts";
import { checkBind, checkBound, type DriverName, PROBE_ORDER } from "./bind_rules.ts";
import { VfioDevice } from "./device.ts";
import { ErrnoError, quietly } from "./errno.ts";
import { FunctionLocks, type RecoveryWindow } from "./function_locks.ts";
import { FunctionReset } from "./function_reset.ts";
import type { Kernel } from "./kernel.ts";
import type { LockName } from "./lock_plan.ts";
import { ErrorQueue } from "./s390/error_queue.ts";
import { listEntries } from "./s390/pci_clp.ts";
import { GenericVariant } from "./variant/generic.ts";
import { IsmVariant } from "./variant/ism.ts";
import { REQUEST_PERIOD } from "./waiting_removals.ts";
import type { Zdev } from "./s390/zdev.ts";

/** State of a binding, for the host file. */
export interface BindingState {
  readonly driver: DriverName | null;
  readonly override: string | null;
  readonly removing: boolean;
  /** When REQ is signalled again, by the machine's clock (microseconds since 1900); null while nothing waits. */
  readonly nextRequest: number | null;
  readonly probeAfter: boolean;
  readonly leaving: boolean;
  /** The machine has taken the function already. */
  readonly gone: boolean;
  readonly recovering: boolean;
  readonly errors: readonly ErrorEvent[];
  readonly droppedErrors: number;
  readonly window: RecoveryWindow;
}

/** The binding of one function. */
export class Binding extends Kept {
  readonly #kernel: Kernel;
  readonly zdev: Zdev;
  driver: DriverName | undefined = undefined;
  #override: string | undefined = undefined;
  /** The vfio-pci device while a vfio driver holds the function. */
  device: VfioDevice | undefined = undefined;
  /** An unbind waits for the last descriptor to be closed. */
  removing = false;
  #nextRequest: number | undefined = undefined;
  #probeAfter = false;
  /** The function goes back to the machine once the driver has let go of it. */
  #leaving = false;
  /** ... and the machine has it already. */
  #gone = false;
  /** The function is disabled and enabled once the driver has let go of it. */
  #recovering = false;
  /** Error events that wait for user space. */
  readonly errors = new ErrorQueue(() => this.touch());
  /** Device lock and state lock of the function. */
  readonly locks: FunctionLocks;
  readonly reset: FunctionReset;

  constructor(kernel: Kernel, zdev: Zdev) {
    super(kernel.journal);
    this.#kernel = kernel;
    this.zdev = zdev;
    this.locks = new FunctionLocks(() => kernel.locks, zdev.facts.fid, this);
    this.reset = new FunctionReset(zdev, this.locks, kernel.rules);
  }

  /** Text of `driver_override`. */
  get override(): string | undefined {
    return this.#override;
  }

  set override(override: string | undefined) {
    this.touch();
    this.#override = override;
  }

  get rows(): Rows | undefined {
    return this.zdev.rows;
  }

  protected override remember(): () => void {
    const { driver, device, removing } = this;
    const [override, nextRequest, probeAfter] = [this.#override, this.#nextRequest, this.#probeAfter];
    const [leaving, gone, recovering] = [this.#leaving, this.#gone, this.#recovering];
    const parts = [this.errors.remember(), this.locks.remember()];
    return () => {
      Object.assign(this, { driver, device, removing });
      this.#override = override;
      this.#waitUntil(nextRequest);
      this.#probeAfter = probeAfter;
      this.#leaving = leaving;
      this.#gone = gone;
      this.#recovering = recovering;
      for (const part of parts) part();
    };
  }

  /**
   * Whether a lock is held for as long as something waits: a removal has the device lock from its beginning to the last
   * close; one that takes or recovers the function has the state lock too, as an error event has that waits for it.
   */
  holds(lock: LockName): boolean {
    if (lock === "device") return this.removing;
    return this.#leaving || this.#recovering || this.#kernel.events.holdsState(this.zdev.facts.fid);
  }

  /** A write to the driver's `bind`. @throws {ErrnoError} ENODEV if the driver does not match, EBUSY if one holds it */
  bind(driver: DriverName): void {
    checkBind(this, driver);
    this.#attach(driver);
  }

  /**
   * A write to the driver's `unbind`. While descriptors are open it waits: REQ is signalled at once and then every
   * 10 seconds, no new descriptor is handed out, the ones that are open go on working.
   *
   * @returns true if it is done, false if it waits @throws {ErrnoError} ENODEV if no driver holds the function
   */
  unbind(): boolean {
    checkBound(this);
    if (this.removing) return false;
    if (this.device !== undefined && this.device.descriptors > 0) {
      this.touch();
      this.removing = true;
      this.#waitUntil(this.#kernel.partition.clock.microseconds);
      this.tick();
      return false;
    }
    this.#detach();
    return true;
  }

  /** When REQ is signalled again, by the machine's clock; undefined while nothing waits. Microseconds since 1900. */
  get nextRequest(): number | undefined {
    return this.#nextRequest;
  }

  /** The kernel asks only those that wait what is due, and must know that there are some. */
  #waitUntil(time: number | undefined): void {
    this.#nextRequest = time;
    if (time !== undefined) this.#kernel.removals.waits();
  }

  /** Signals REQ for every time that has come; without an eventfd the kernel would only log it (vfio.unplug.req). */
  tick(): void {
    const { partition } = this.#kernel;
    while (this.#nextRequest !== undefined && partition.clock.microseconds >= this.#nextRequest) {
      this.touch();
      this.device?.req?.signal(partition, this.zdev.facts.fid);
      this.#nextRequest += REQUEST_PERIOD;
    }
  }

  /** A write to `drivers_probe`: the driver that driver_override names, else the kernel's own. */
  probe(): void {
    if (this.removing) {
      this.touch();
      if (!this.#leaving) this.#probeAfter = true;
      return;
    }
    if (this.driver !== undefined || this.zdev.state !== "configured") return;
    const driver = PROBE_ORDER.find((name) => this.matches(name));
    if (driver !== undefined) this.#attach(driver);
  }

  /** The last descriptor was closed: a waiting unbind goes on, then the machine's reports that waited for it. */
  closed(): void {
    if (!this.removing || this.device === undefined || this.device.descriptors > 0) return;
    this.touch();
    this.#detach();
    this.#kernel.events.run();
    if (this.#leaving) this.#left();
    else if (this.#recovering) quietly(() => this.#recover());
    else if (this.#probeAfter) {
      this.#probeAfter = false;
      this.probe();
    }
    this.#kernel.events.run();
  }

  /** User space does not recover any more: what it has not read is lost, and the kernel says so. */
  endRecovery(): void {
    const { name: guest, tracer } = this.#kernel.partition;
    const unread = this.errors.end();
    if (unread === 0 || tracer.sink === undefined) return;
    const text = `${unread} unread error ${unread === 1 ? "event" : "events"} dropped`;
    const origin = { guest, fid: this.zdev.facts.fid };
    tracer.point({ layer: "irq", op: "kernel-message", ...origin, args: { unread, text } });
  }

  /**
   * The function came (back): the kernel takes its handle, enables it and looks for a driver. While it is still on its
   * way out, that waits; a function that is there already stays as it is.
   */
  arrived(fh: number): void {
    this.touch();
    if (this.#leaving) this.#probeAfter = true;
    if (this.#leaving || this.zdev.state === "configured") return;
    this.zdev.state = "configured";
    this.zdev.fh = fh;
    try {
      this.zdev.enable();
    } catch (error) {
      if (!(error instanceof ErrnoError)) throw error;
    }
    this.#scanned();
    this.probe();
  }

  /** The function was found: a new PCI device, which uses the kernel's own IOMMU domain until vfio takes it. */
  #scanned(): void {
    this.zdev.pci.scan();
    this.#kernel.defaultDomains.release(this.zdev);
  }

  /**
   * The function is to go, or has gone: its driver is removed, which waits while it is open. One that has gone is given
   * up at once.
   */
  leave(gone = false): void {
    this.touch();
    this.#leaving = true;
    this.#gone = gone;
    this.#probeAfter = false;
    if (gone) this.zdev.pci.channel = "permanent-failure";
    if (this.driver === undefined || this.unbind()) this.#left();
  }

  /** sysfs `recover`: the driver is removed, which waits while it is open; then disable, enable, probe. */
  recover(): void {
    this.touch();
    this.#recovering = true;
    if (this.driver === undefined || this.unbind()) this.#recover();
  }

  #recover(): void {
    try {
      this.zdev.attach(undefined);
      this.zdev.recover();
      this.#scanned();
    } finally {
      this.#recovering = false;
    }
    this.probe();
  }

  #left(): void {
    const isBack = this.#probeAfter;
    this.#probeAfter = false;
    if (this.#gone || isBack) {
      this.zdev.attach(undefined);
      const entry = listEntries(this.#kernel.partition).find(({ fid }) => fid === this.zdev.facts.fid);
      this.zdev.state = entry === undefined ? "reserved" : "standby";
      this.#leaving = this.#gone = false;
      if (isBack && entry?.configured === true) this.arrived(entry.fh);
      return;
    }
    this.#leaving = false;
    this.zdev.deconfigure();
  }

  /** ism_vfio_pci and vfio-pci match only by override or by a new id, the kernel's own driver only without another override. */
  matches(driver: DriverName): boolean {
    if (this.override !== undefined) return driver === this.override;
    return driver === "ism" || this.#kernel.dynamicIds.match(driver);
  }

  /** Gives a configured function that nobody holds to a driver that matches. */
  attach(driver: DriverName): void {
    if (this.driver === undefined && this.zdev.state === "configured") this.#attach(driver);
  }

  #attach(driver: DriverName): void {
    this.touch();
    this.driver = driver;
    if (driver === "ism") return;
    const variant = driver === "vfio-pci"
      ? new GenericVariant()
      : new IsmVariant(this.#kernel.options.driverRevision, this.#kernel.options.regionLayout);
    this.device = new VfioDevice(this.#kernel, this.zdev, variant);
  }

  #detach(): void {
    this.touch();
    if (this.device !== undefined) this.#kernel.group(this.zdev).dissolve();
    this.driver = undefined;
    this.device = undefined;
    this.removing = false;
    this.#nextRequest = undefined;
  }

  save(): BindingState {
    return {
      driver: this.driver ?? null,
      override: this.override ?? null,
      removing: this.removing,
      nextRequest: this.#nextRequest ?? null,
      probeAfter: this.#probeAfter,
      leaving: this.#leaving,
      gone: this.#gone,
      recovering: this.#recovering,
      errors: this.errors.events,
      droppedErrors: this.errors.dropped,
      window: this.locks.window,
    };
  }

  /** `open`: the function's device is open. */
  restore(state: BindingState, open: boolean): void {
    const { driver, override, removing, nextRequest, probeAfter } = state;
    this.#leaving = state.leaving;
    this.#gone = state.gone;
    this.#recovering = state.recovering;
    this.errors.restore(state.errors, state.droppedErrors, open && this.#kernel.userRecovery);
    this.locks.window = state.window;
    this.#override = override ?? undefined;
    if (driver !== null) this.#attach(driver);
    this.removing = removing;
    this.#waitUntil(nextRequest ?? undefined);
    this.#probeAfter = probeAfter;
  }
}
