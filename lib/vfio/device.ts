/**
 * A function in the hands of a vfio-pci driver: what all its descriptors share, from first open to last close.
 * Facts: vfio.open.sequence and vfio.close.sequence (drivers/vfio/pci/vfio_pci_core.c: vfio_pci_core_enable, vfio_pci_core_disable).
 */
import { ConfigSpace, type ConfigSpaceState } from "./config/space.ts";
import { ErrnoError } from "./errno.ts";
import type { EventFd } from "./process/eventfd.ts";
import type { Iommufd } from "./iommu/iommufd.ts";
import type { Kernel } from "./kernel.ts";
import type { LockOp } from "./lock_plan.ts";
import { restorePciState, savePciState, setCommandBits } from "./s390/pci_state.ts";
import { coreError } from "./refusal.ts";
import type { RegionLayout } from "./region_layout.ts";
import type { Variant } from "./variant/variant.ts";
import type { Zdev } from "./s390/zdev.ts";

const COMMAND_MEMORY = 0x0002;
const COMMAND_MASTER = 0x0004;
const CONFIG_BYTES = 256;

/** State of an open device, for the host file. */
export interface DeviceState {
  readonly fid: number;
  readonly openCount: number;
  readonly resetWorks: boolean;
  readonly config: ConfigSpaceState | null;
  /** Eventfd ids per MSI vector, null where none is installed; null altogether while MSI is off. */
  readonly msi: readonly (number | null)[] | null;
  readonly req: number | null;
  readonly lowPower: boolean;
  /** How often the device was opened for the first time; a layout may differ from open to open. */
  readonly opens: number;
  /** What a device that was opened through its group is bound to if the group's container is an iommufd. */
  readonly compat: { readonly iommufd: number; readonly devid: number; readonly ioas: number } | null;
}

/** A device that is open through its group is bound to the iommufd that the group has for a container. */
export interface CompatBinding {
  readonly iommufd: Iommufd;
  readonly devid: number;
  /** Id of the compatibility IOAS when it was attached. */
  readonly ioas: number;
}

/** The vfio-pci device. */
export class VfioDevice {
  readonly zdev: Zdev;
  readonly variant: Variant;
  readonly kernel: Kernel;
  openCount = 0;
  /** Descriptors, with those of the character device that are not bound yet: a driver cannot go while there is one. */
  descriptors = 0;
  /** The reset at open worked, so that VFIO_DEVICE_FLAGS_RESET is offered. */
  resetWorks = false;
  /** Eventfd per MSI vector while MSI is on. */
  msi: (EventFd | undefined)[] | undefined = undefined;
  /** LOW_POWER_ENTRY was asked for; it has no visible effect. */
  lowPower = false;
  /** Eventfd that asks the process to give the device back. */
  req: EventFd | undefined = undefined;
  #compat: CompatBinding | undefined = undefined;
  #config: ConfigSpace | undefined = undefined;
  #slab: Uint8Array | undefined = undefined;
  #opens = 0;
  #layout: RegionLayout | undefined = undefined;

  constructor(kernel: Kernel, zdev: Zdev, variant: Variant) {
    this.kernel = kernel;
    this.zdev = zdev;
    this.variant = variant;
  }

  /** The config shadow; there is one while the device is open. */
  get config(): ConfigSpace {
    if (this.#config === undefined) throw new Error(`Device ${this.zdev.name} is not open`);
    return this.#config;
  }

  /** Where the regions lie while the device is open. */
  get layout(): RegionLayout {
    return this.#layout ??= this.variant.layout(this, this.#opens);
  }

  /** The bounce buffer of writes: an object of maxstbl bytes, as the driver's slab cache hands out. */
  get slab(): Uint8Array {
    return this.#slab ??= new Uint8Array(this.zdev.facts.maxstbl);
  }

  /** One more descriptor; the first one enables and resets the function. @throws {ErrnoError} EAGAIN, ENODEV */
  open(): void {
    if (this.openCount === 0) this.#enable();
    this.openCount++;
  }

  /**
   * As {@linkcode open}, through a group whose container is an iommufd: the first descriptor binds the device and
   * attaches it to the compatibility IOAS, after the function was enabled (drivers/vfio/group.c: vfio_df_group_open).
   *
   * @throws {ErrnoError} EAGAIN, ENODEV; ENODEV without a compatibility IOAS, EADDRINUSE
   */
  openThrough(iommufd: Iommufd): void {
    this.open();
    if (this.openCount > 1) return;
    const devid = iommufd.bindDevice();
    try {
      const ioas = iommufd.compatIoas();
      iommufd.attach({ ioas, hwpt: undefined }, this.zdev);
      this.#compat = { iommufd, devid, ioas: ioas.id };
    } catch (error) {
      iommufd.unbindDevice(devid);
      this.close();
      throw error;
    }
  }

  /** One descriptor less; the last one takes everything back. */
  close(): void {
    this.openCount--;
    if (this.openCount > 0) return;
    this.#disable();
    const compat = this.#compat;
    if (compat === undefined) return;
    this.#compat = undefined;
    compat.iommufd.detach(this.zdev);
    compat.iommufd.unbindDevice(compat.devid);
  }

  /** The iommufd that the device was bound to through its group. */
  get compat(): CompatBinding | undefined {
    return this.#compat;
  }

  /** An attempt to take the device lock. @returns false if somebody else holds it */
  tryLock(op: LockOp): boolean {
    return !this.kernel.locks.taken(op, this.zdev.facts.fid);
  }

  /**
   * vfio_pci_try_reset_function: registers of the PCI header survive, everything in the device is lost. A function in
   * the error state cannot be asked for its registers; it comes back as after power-on, with memory decode on.
   *
   * @throws {ErrnoError} EAGAIN if the device lock is taken, EIO if the machine does not reset
   */
  reset(op: "open" | "reset" = "reset"): void {
    if (!this.tryLock(op)) {
      const source = "drivers/pci/pci.c: pci_try_reset_function";
      throw coreError(
        "EAGAIN",
        "recovery.lock.calls",
        "device lock",
        source,
        "Somebody else holds the device lock",
        "try again",
      );
    }
    this.resetLocked();
  }

  /** The reset, with the device lock held. @throws {ErrnoError} EIO if the machine does not reset */
  resetLocked(): void {
    const state = quietly(() => savePciState(this.zdev));
    this.zdev.hotReset();
    if (state === undefined) setCommandBits(this.zdev, 0, COMMAND_MEMORY);
    else restorePciState(this.zdev, state);
    this.kernel.binding(this.zdev).clearErrors();
  }

  /** An interrupt of a vector: signals its eventfd. */
  interrupt(vector: number): void {
    this.msi?.[vector]?.signal(this.kernel.partition.tracer, this.zdev.facts.fid);
  }

  #enable(): void {
    // A function in the error state refuses these; the reset brings it back.
    quietly(() => setCommandBits(this.zdev, COMMAND_MASTER, COMMAND_MEMORY));
    this.resetWorks = this.#resetAtOpen();
    this.#config = ConfigSpace.build(this.#hardware(), this.#facts(), () => this.#msiGrant());
    this.#opens++;
    this.#layout = undefined;
  }

  /** Only a taken lock aborts the open; any other failure withdraws the RESET capability. */
  #resetAtOpen(): boolean {
    try {
      this.reset("open");
      return true;
    } catch (error) {
      if (error instanceof ErrnoError && error.code !== "EAGAIN") return false;
      throw error;
    }
  }

  #disable(): void {
    if (this.msi !== undefined) this.zdev.teardownInterrupts();
    this.msi = undefined;
    this.req = undefined;
    this.lowPower = false;
    this.#config = undefined;
    this.kernel.binding(this.zdev).clearErrors();
    // Close cannot fail (vfio.close.sequence), whatever the function says.
    quietly(() => setCommandBits(this.zdev, COMMAND_MASTER, 0));
    quietly(() => this.zdev.hotReset());
    quietly(() => setCommandBits(this.zdev, 0, COMMAND_MEMORY));
  }

  #hardware() {
    const { zdev } = this;
    return {
      load: (offset: number, width: 1 | 2 | 4) => zdev.configLoad(offset, width),
      store: (offset: number, width: 1 | 2 | 4, value: number) => zdev.configStore(offset, width, value),
    };
  }

  #facts() {
    const { bars, vfn } = this.zdev.facts;
    return {
      size: CONFIG_BYTES,
      barSizes: bars.map(({ size }) => size === 0 ? undefined : size),
      bar64: bars.map(({ is64 }) => is64),
      barPrefetch: bars.map(({ prefetch }) => prefetch),
      virtualFunction: vfn !== 0,
    };
  }

  #msiGrant() {
    return {
      enabled: this.msi !== undefined,
      vectorsLog2: this.msi === undefined ? 0 : Math.ceil(Math.log2(this.msi.length)),
    };
  }

  save(): DeviceState {
    return {
      fid: this.zdev.facts.fid,
      openCount: this.openCount,
      resetWorks: this.resetWorks,
      config: this.#config?.save() ?? null,
      msi: this.msi?.map((eventfd) => eventfd?.id ?? null) ?? null,
      req: this.req?.id ?? null,
      lowPower: this.lowPower,
      opens: this.#opens,
      compat: this.#compat === undefined ? null : { ...this.#compat, iommufd: this.#compat.iommufd.id },
    };
  }

  #restoreCompat({ iommufd: id, devid, ioas }: NonNullable<DeviceState["compat"]>): void {
    const iommufd = this.kernel.iommufds.get(id)!;
    iommufd.devices.add(devid);
    this.#compat = { iommufd, devid, ioas };
    iommufd.ioases.get(ioas)?.adopt(this.zdev, { hwpt: undefined, bounded: false });
  }

  restore(state: DeviceState): void {
    this.openCount = state.openCount;
    this.resetWorks = state.resetWorks;
    this.lowPower = state.lowPower;
    this.#opens = state.opens;
    this.msi = state.msi?.map((id) => id === null ? undefined : this.kernel.eventFd(id)) ?? undefined;
    this.req = state.req === null ? undefined : this.kernel.eventFd(state.req);
    if (state.compat !== null) this.#restoreCompat(state.compat);
    if (state.config === null) return;
    this.#config = ConfigSpace.restore(state.config, this.#hardware(), this.#facts(), () => this.#msiGrant());
  }
}

/** Runs a step whose refusal does not matter; undefined if it was refused. */
function quietly<Of>(step: () => Of): Of | undefined {
  try {
    return step();
  } catch (error) {
    if (error instanceof ErrnoError) return undefined;
    throw error;
  }
}
