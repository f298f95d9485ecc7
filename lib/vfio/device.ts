/**
 * A function in the hands of a vfio-pci driver: what all its descriptors share, from first open to last close. Facts:
 * vfio.open.sequence and vfio.close.sequence (drivers/vfio/pci/vfio_pci_core.c: vfio_pci_core_enable,
 * vfio_pci_core_disable).
 */
import { Kept, type Rows } from "../base/journal.ts";
import { ConfigSpace, type ConfigSpaceState } from "./config/space.ts";
import { ErrnoError, quietly } from "./errno.ts";
import type { FunctionLocks } from "./function_locks.ts";
import type { FunctionReset } from "./function_reset.ts";
import type { EventFd } from "./process/eventfd.ts";
import type { Iommufd } from "./iommu/iommufd.ts";
import type { Kernel } from "./kernel.ts";
import { headerHex, headerOf, type SavedHeader } from "./pci/pci_device.ts";
import type { RegionLayout } from "./region_layout.ts";
import type { Variant } from "./variant/variant.ts";
import type { Zdev } from "./s390/zdev.ts";

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
  readonly err: number | null;
  /** Header of config space as it was saved at open, hexadecimal; null while the device is not open. */
  readonly openState: string | null;
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
export class VfioDevice extends Kept {
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
  /** Eventfd that tells of errors of the function. */
  err: EventFd | undefined = undefined;
  /** Header of config space as it was when the open had reset the function; the last close puts it back. */
  #openState: SavedHeader | undefined = undefined;
  #compat: CompatBinding | undefined = undefined;
  #config: ConfigSpace | undefined = undefined;
  #slab: Uint8Array | undefined = undefined;
  #opens = 0;
  #layout: RegionLayout | undefined = undefined;

  constructor(kernel: Kernel, zdev: Zdev, variant: Variant) {
    super(kernel.journal);
    this.kernel = kernel;
    this.zdev = zdev;
    this.variant = variant;
  }

  get rows(): Rows | undefined {
    return this.zdev.rows;
  }

  protected override remember(): () => void {
    const { openCount, descriptors, resetWorks, lowPower, req, err } = this;
    const msi = this.msi && [...this.msi];
    const [openState, compat, opens, layout] = [this.#openState, this.#compat, this.#opens, this.#layout];
    const [config, contents] = [this.#config, this.#config?.remember()];
    return () => {
      Object.assign(this, { openCount, descriptors, resetWorks, lowPower, req, err, msi });
      this.#openState = openState;
      this.#compat = compat;
      this.#opens = opens;
      this.#layout = layout;
      this.#config = config;
      contents?.();
    };
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
    this.touch();
    if (this.openCount === 0) this.#enable();
    this.openCount++;
  }

  /**
   * As {@linkcode open}, through a group whose container is an iommufd: the first descriptor binds the device, and
   * attaches it to the compatibility IOAS after the function was enabled (drivers/vfio/group.c: vfio_df_group_open).
   *
   * @throws {ErrnoError} EAGAIN, ENODEV; ENODEV without a compatibility IOAS, EADDRINUSE
   */
  openThrough(iommufd: Iommufd): void {
    if (this.openCount > 0) return this.open();
    this.openBound(() => {
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
    });
  }

  /**
   * As {@linkcode open}, for an iommufd: user space has the function's DMA from before the open on. What fails gives it
   * back (drivers/iommu/iommufd/device.c: iommufd_device_bind).
   *
   * @param bind what is done once the device is open @throws {ErrnoError} EAGAIN, ENODEV, or what `bind` throws
   */
  openBound(bind: () => void): void {
    this.kernel.defaultDomains.claim(this.zdev);
    try {
      this.open();
      bind();
    } catch (error) {
      this.kernel.defaultDomains.release(this.zdev);
      throw error;
    }
  }

  /** One descriptor less; the last one takes everything back. */
  close(): void {
    this.touch();
    this.openCount--;
    if (this.openCount > 0) return;
    this.#disable();
    const compat = this.#compat;
    if (compat === undefined) return;
    this.#compat = undefined;
    compat.iommufd.detach(this.zdev);
    compat.iommufd.unbindDevice(compat.devid);
    this.kernel.defaultDomains.release(this.zdev);
  }

  /** The iommufd that the device was bound to through its group. */
  get compat(): CompatBinding | undefined {
    return this.#compat;
  }

  /** The resets of the function. */
  get reset(): FunctionReset {
    return this.kernel.binding(this.zdev).reset;
  }

  /** The locks of the function. */
  get #locks(): FunctionLocks {
    return this.kernel.binding(this.zdev).locks;
  }

  /** The error handler of the driver: user space is told; the kernel's handling holds the locks for a while. */
  errorDetected(): void {
    this.err?.signal(this.kernel.partition, this.zdev.facts.fid);
    this.#locks.openWindow(this.kernel.options.recoveryWindow);
  }

  /** An interrupt of a vector: signals its eventfd. */
  interrupt(vector: number): void {
    this.msi?.[vector]?.signal(this.kernel.partition, this.zdev.facts.fid);
  }

  /** vfio_pci_core_enable. @throws {ErrnoError} EAGAIN, ENODEV */
  #enable(): void {
    const { zdev, kernel } = this;
    const { errors } = kernel.binding(zdev);
    zdev.pci.clearMaster();
    zdev.startMeasurement();
    zdev.pci.enableResources();
    try {
      this.resetWorks = this.#resetAtOpen();
      zdev.pci.save(kernel.rules);
      errors.userRecovers = kernel.userRecovery;
      zdev.pci.checkGivenUp();
      this.#config = ConfigSpace.build(this.#hardware(), this.#facts(), () => this.#msiGrant());
      this.#config.touch = () => this.touch();
    } catch (error) {
      kernel.binding(zdev).endRecovery();
      this.#disableDevice();
      throw error;
    }
    this.#openState = zdev.pci.saved;
    this.#opens++;
    this.#layout = undefined;
  }

  /** Only a taken lock aborts the open; any other failure withdraws the RESET capability. */
  #resetAtOpen(): boolean {
    try {
      return this.reset.try("open") === 0;
    } catch (error) {
      if (error instanceof ErrnoError && error.code !== "EAGAIN") return false;
      throw error;
    }
  }

  /** vfio_pci_core_disable. Cannot fail (vfio.driver.life), whatever the function says. */
  #disable(): void {
    const { zdev } = this;
    this.kernel.eventfds.mayBeUnused();
    this.lowPower = false;
    zdev.pci.clearMaster();
    if (this.msi !== undefined) zdev.teardownInterrupts();
    this.msi = undefined;
    this.#config = undefined;
    this.kernel.binding(zdev).endRecovery();
    zdev.pci.saved = this.#openState ?? zdev.pci.saved;
    this.#openState = undefined;
    zdev.pci.quiesce();
    if (this.resetWorks && this.#locks.try("device", "close")) quietly(() => this.reset.slot("close"));
    this.#locks.closeWindow();
    zdev.pci.restore();
    this.#disableDevice();
    this.req = undefined;
    this.err = undefined;
  }

  /** pci_disable_device. */
  #disableDevice(): void {
    this.zdev.pci.clearMaster();
    this.zdev.stopMeasurement();
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
      err: this.err?.id ?? null,
      openState: this.#openState === undefined ? null : headerHex(this.#openState),
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
    this.msi = state.msi?.map((id) => id === null ? undefined : this.kernel.eventfds.get(id)) ?? undefined;
    this.req = state.req === null ? undefined : this.kernel.eventfds.get(state.req);
    this.err = state.err === null ? undefined : this.kernel.eventfds.get(state.err);
    this.#openState = state.openState === null ? undefined : headerOf(state.openState);
    if (state.compat !== null) this.#restoreCompat(state.compat);
    if (state.config === null) return;
    this.#config = ConfigSpace.restore(state.config, this.#hardware(), this.#facts(), () => this.#msiGrant());
    this.#config.touch = () => this.touch();
  }
}
