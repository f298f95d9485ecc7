/**
 * Which driver holds a function: sysfs bind, unbind, driver_override and drivers_probe.
 * Facts: VFIO sheet 1.1 and 8.5 (drivers/pci/pci-driver.c, drivers/base/bus.c, drivers/vfio/vfio_main.c).
 */
import { VfioDevice } from "./device.ts";
import type { Kernel } from "./kernel.ts";
import { coreError } from "./refusal.ts";
import { GenericVariant } from "./variant/generic.ts";
import { IsmVariant } from "./variant/ism.ts";
import type { Zdev } from "./zdev.ts";

/** Drivers that know the function: the variant driver, the generic one, and the kernel's own network driver. */
export const DRIVERS = ["ism_vfio_pci", "vfio-pci", "ism"] as const;
export type DriverName = (typeof DRIVERS)[number];

/** State of a binding, for the host file. */
export interface BindingState {
  readonly driver: DriverName | null;
  readonly override: string | null;
  readonly removing: boolean;
  readonly probeAfter: boolean;
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
  #probeAfter = false;

  constructor(kernel: Kernel, zdev: Zdev) {
    this.#kernel = kernel;
    this.zdev = zdev;
  }

  /** A write to the driver's `bind`. @throws {ErrnoError} ENODEV if the driver does not match, EBUSY if one holds it */
  bind(driver: DriverName): void {
    const source = "drivers/base/bus.c: bind_store";
    if (!this.#matches(driver)) {
      throw coreError(
        "ENODEV",
        "driver match",
        source,
        `${driver} does not match the function without driver_override`,
        `write ${driver} to driver_override first`,
      );
    }
    if (this.driver !== undefined) {
      throw coreError("EBUSY", "bound", source, `${this.driver} holds the function`, "unbind it first");
    }
    this.#attach(driver);
  }

  /**
   * A write to the driver's `unbind`. While descriptors are open it waits: REQ is signalled, no new descriptor is
   * handed out, the ones that are open go on working.
   *
   * @returns true if it is done, false if it waits @throws {ErrnoError} ENODEV if no driver holds the function
   */
  unbind(): boolean {
    if (this.driver === undefined) {
      throw coreError(
        "ENODEV",
        "not bound",
        "drivers/base/bus.c: unbind_store",
        "No driver holds the function",
      );
    }
    if (this.device !== undefined && this.device.openCount > 0) {
      this.removing = true;
      this.device.req?.signal(this.#kernel.partition.tracer, this.zdev.facts.fid);
      return false;
    }
    this.#detach();
    return true;
  }

  /** A write to `drivers_probe`: the driver that driver_override names, else the kernel's own. */
  probe(): void {
    if (this.removing) {
      this.#probeAfter = true;
      return;
    }
    if (this.driver !== undefined) return;
    const driver = DRIVERS.find((name) => name === (this.override ?? "ism"));
    if (driver !== undefined) this.#attach(driver);
  }

  /** The last descriptor was closed: a waiting unbind goes on. */
  closed(): void {
    if (!this.removing || this.device === undefined || this.device.openCount > 0) return;
    this.#detach();
    if (!this.#probeAfter) return;
    this.#probeAfter = false;
    this.probe();
  }

  /** ism_vfio_pci and vfio-pci match only by override, the kernel's own driver only without another override. */
  #matches(driver: DriverName): boolean {
    return this.override === undefined ? driver === "ism" : driver === this.override;
  }

  #attach(driver: DriverName): void {
    this.driver = driver;
    if (driver === "ism") return;
    const variant = driver === "vfio-pci"
      ? new GenericVariant()
      : new IsmVariant(this.#kernel.options.driverRevision);
    this.device = new VfioDevice(this.#kernel, this.zdev, variant);
  }

  #detach(): void {
    this.driver = undefined;
    this.device = undefined;
    this.removing = false;
  }

  save(): BindingState {
    return {
      driver: this.driver ?? null,
      override: this.override ?? null,
      removing: this.removing,
      probeAfter: this.#probeAfter,
    };
  }

  restore({ driver, override, removing, probeAfter }: BindingState): void {
    this.override = override ?? undefined;
    if (driver !== null) this.#attach(driver);
    this.removing = removing;
    this.#probeAfter = probeAfter;
  }
}
