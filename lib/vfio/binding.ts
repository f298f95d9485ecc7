/**
 * Which driver holds a function: sysfs bind, unbind, driver_override and drivers_probe.
 * Facts: vfio.bind.* and vfio.unplug.* (drivers/pci/pci-driver.c, drivers/base/bus.c, drivers/vfio/vfio_main.c).
 */
import type { ErrorEvent } from "../zpci/partition.ts";
import { VfioDevice } from "./device.ts";
import { ErrnoError } from "./errno.ts";
import type { Kernel } from "./kernel.ts";
import { listEntries } from "./s390/pci_clp.ts";
import { coreError } from "./refusal.ts";
import { GenericVariant } from "./variant/generic.ts";
import { IsmVariant } from "./variant/ism.ts";
import type { Zdev } from "./s390/zdev.ts";

/** Drivers that know the function: the variant driver, the generic one, and the kernel's own network driver. */
export const DRIVERS = ["ism_vfio_pci", "vfio-pci", "ism"] as const;
export type DriverName = (typeof DRIVERS)[number];
/** The order in which the bus tries drivers. */
const PROBE_ORDER: readonly DriverName[] = ["ism", "ism_vfio_pci", "vfio-pci"];

/** Most error events that the kernel keeps for a function (recovery.queue.ring). */
const ERROR_QUEUE = 4;

/** While a removal waits, the process is asked for the device again and again after this time. Microseconds. */
const REQUEST_PERIOD = 10_000_000;

/** State of a binding, for the host file. */
export interface BindingState {
  readonly driver: DriverName | null;
  readonly override: string | null;
  readonly removing: boolean;
  /** When REQ is signalled again, by the machine's clock (microseconds since 1900); null while nothing waits. */
  readonly nextRequest: number | null;
  readonly probeAfter: boolean;
  readonly leaving: boolean;
  readonly recovering: boolean;
  readonly errors: readonly ErrorEvent[];
  readonly droppedErrors: number;
}

/** The binding of one function. */
export class Binding {
  readonly #kernel: Kernel;
  readonly zdev: Zdev;
  driver: DriverName | undefined = undefined;
  /** Text of `driver_override`. */
  override: string | undefined = undefined;
  /** The vfio-pci device while a vfio driver holds the function. */
  device: VfioDevice | undefined = undefined;
  /** An unbind waits for the last descriptor to be closed. */
  removing = false;
  #nextRequest: number | undefined = undefined;
  #probeAfter = false;
  /** The function goes back to the machine once the driver has let go of it. */
  #leaving = false;
  /** The function is disabled and enabled once the driver has let go of it. */
  #recovering = false;
  /** Error events since the function was opened, at most {@linkcode ERROR_QUEUE}; and how many came on top. */
  #errors: ErrorEvent[] = [];
  #droppedErrors = 0;

  constructor(kernel: Kernel, zdev: Zdev) {
    this.#kernel = kernel;
    this.zdev = zdev;
  }

  /** A write to the driver's `bind`. @throws {ErrnoError} ENODEV if the driver does not match, EBUSY if one holds it */
  bind(driver: DriverName): void {
    const source = "drivers/base/bus.c: bind_store";
    if (!this.matches(driver)) {
      throw coreError(
        "ENODEV",
        "vfio.bind.errno",
        "driver match",
        source,
        `${driver} does not match the function without driver_override`,
        `write ${driver} to driver_override first`,
      );
    }
    this.requirePciDevice();
    if (this.driver !== undefined) {
      throw coreError(
        "EBUSY",
        "vfio.bind.errno",
        "bound",
        source,
        `${this.driver} holds the function`,
        "unbind it first",
      );
    }
    this.#attach(driver);
  }

  /** A function in standby is no PCI device, and has no files in sysfs. @throws {ErrnoError} ENODEV */
  requirePciDevice(): void {
    if (this.zdev.state === "configured") return;
    throw coreError(
      "ENODEV",
      "vfio.bind.errno",
      "no PCI device",
      "drivers/base/bus.c: bind_store",
      `The function is in ${this.zdev.state}; there is no PCI device to bind`,
      '"ism zpci configure" or "ism zpci event 0x0301" brings it back',
    );
  }

  /**
   * A write to the driver's `unbind`. While descriptors are open it waits: REQ is signalled at once and then every
   * 10 seconds, no new descriptor is handed out, the ones that are open go on working.
   *
   * @returns true if it is done, false if it waits @throws {ErrnoError} ENODEV if no driver holds the function
   */
  unbind(): boolean {
    if (this.driver === undefined) {
      throw coreError(
        "ENODEV",
        "vfio.bind.errno",
        "not bound",
        "drivers/base/bus.c: unbind_store",
        "No driver holds the function",
      );
    }
    if (this.removing) return false;
    if (this.device !== undefined && this.device.descriptors > 0) {
      this.removing = true;
      this.#nextRequest = this.#kernel.partition.clock.microseconds;
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

  /** Signals REQ for every time that has come; without an eventfd the kernel would only log it (vfio.unplug.req). */
  tick(): void {
    const { clock, tracer } = this.#kernel.partition;
    while (this.#nextRequest !== undefined && clock.microseconds >= this.#nextRequest) {
      this.device?.req?.signal(tracer, this.zdev.facts.fid);
      this.#nextRequest += REQUEST_PERIOD;
    }
  }

  /** A write to `drivers_probe`: the driver that driver_override names, else the kernel's own. */
  probe(): void {
    if (this.removing) {
      if (!this.#leaving) this.#probeAfter = true;
      return;
    }
    if (this.driver !== undefined || this.zdev.state !== "configured") return;
    const driver = PROBE_ORDER.find((name) => this.matches(name));
    if (driver !== undefined) this.#attach(driver);
  }

  /** The last descriptor was closed: a waiting unbind goes on. */
  closed(): void {
    if (!this.removing || this.device === undefined || this.device.descriptors > 0) return;
    this.#detach();
    if (this.#leaving) return this.#left();
    if (this.#recovering) return this.#recover();
    if (!this.#probeAfter) return;
    this.#probeAfter = false;
    this.probe();
  }

  /** Error events that found no place in the queue. */
  get droppedErrors(): number {
    return this.#droppedErrors;
  }

  /** Error events that user space has not recovered from. */
  get errors(): readonly ErrorEvent[] {
    return this.#errors;
  }

  /** Queues an error event for user space; the kernel's own driver has no recovery (recovery.queue.ring). */
  errorEvent(event: ErrorEvent): void {
    if (this.#errors.length < ERROR_QUEUE) this.#errors.push(event);
    else this.#droppedErrors++;
  }

  /** The device was opened, reset or closed: what happened before does not matter any more. */
  clearErrors(): void {
    this.#errors = [];
    this.#droppedErrors = 0;
  }

  /**
   * The function came (back): the kernel takes its handle, enables it and looks for a driver. While it is still on its
   * way out, that waits; a function that is there already stays as it is.
   */
  arrived(fh: number): void {
    if (this.#leaving) this.#probeAfter = true;
    if (this.#leaving || this.zdev.state === "configured") return;
    this.zdev.state = "configured";
    this.zdev.fh = fh;
    try {
      this.zdev.enable();
    } catch (error) {
      if (!(error instanceof ErrnoError)) throw error;
    }
    this.probe();
  }

  /**
   * The function is to go, or has gone: its driver is removed, which waits while it is open. Deconfiguring a function
   * that has gone already is harmless, so both cases end in the same way.
   */
  leave(): void {
    this.#leaving = true;
    this.#probeAfter = false;
    if (this.driver === undefined || this.unbind()) this.#left();
  }

  /** sysfs `recover`: the driver is removed, which waits while it is open; then disable, enable, probe. */
  recover(): void {
    this.#recovering = true;
    if (this.driver === undefined || this.unbind()) this.#recover();
  }

  #recover(): void {
    this.#recovering = false;
    this.zdev.recover();
    this.clearErrors();
    this.probe();
  }

  #left(): void {
    this.#leaving = false;
    const isBack = this.#probeAfter;
    this.#probeAfter = false;
    if (!isBack) return this.#kernel.deconfigure(this.zdev);
    this.zdev.attach(undefined);
    this.zdev.state = "standby";
    const entry = listEntries(this.#kernel.partition).find(({ fid }) => fid === this.zdev.facts.fid);
    if (entry?.configured === true) this.arrived(entry.fh);
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
    this.driver = driver;
    if (driver === "ism") return;
    const variant = driver === "vfio-pci"
      ? new GenericVariant()
      : new IsmVariant(this.#kernel.options.driverRevision, this.#kernel.options.regionLayout);
    this.device = new VfioDevice(this.#kernel, this.zdev, variant);
  }

  #detach(): void {
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
      recovering: this.#recovering,
      errors: this.#errors,
      droppedErrors: this.#droppedErrors,
    };
  }

  restore(
    { driver, override, removing, nextRequest, probeAfter, leaving, recovering, errors, droppedErrors }:
      BindingState,
  ): void {
    this.#leaving = leaving;
    this.#recovering = recovering;
    this.#errors = [...errors];
    this.#droppedErrors = droppedErrors;
    this.override = override ?? undefined;
    if (driver !== null) this.#attach(driver);
    this.removing = removing;
    this.#nextRequest = nextRequest ?? undefined;
    this.#probeAfter = probeAfter;
  }
}
