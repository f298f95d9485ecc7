/**
 * A PCI function through VFIO, as any user-space driver would use it: group and container, GET_INFO with its
 * capabilities, regions at the offsets that the kernel reports (never at hard-coded ones), DMA mappings.
 */
import {
  CONTAINER_IOCTL,
  DEVICE_IOCTL,
  DMA_MAP,
  DMA_MAP_FLAGS,
  DMA_UNMAP,
  IRQ,
  IRQ_INFO,
  IRQ_SET,
  IRQ_SET_FLAGS,
} from "../../vfio/uapi.ts";
import { IOAS_MAP, IOAS_MAP_FLAGS, IOAS_UNMAP, IOMMUFD_IOCTL } from "../../vfio/uapi_iommufd.ts";
import { ErrnoError } from "../../vfio/errno.ts";
import type { SystemCalls } from "../../vfio/process/process.ts";
import type { Offset } from "../../vfio/process/vfs_checks.ts";
import { type DeviceInfo, deviceInfo, knownRegions, type RegionInfo, regionInfo } from "./device_info.ts";
import { CONTAINERS, openByCdev, openByGroup, type WayIn } from "./ways_in.ts";

/** What an open descriptor consists of, for the host file. */
export interface DescriptorState {
  readonly way: WayIn;
  /** Descriptors in the order in which they were opened. */
  readonly fds: readonly number[];
  /** Container or iommufd. */
  readonly iommu: number;
  /** IOAS id, for the iommufd. */
  readonly ioas: number;
  readonly device: number;
  readonly regions: readonly RegionInfo[];
  readonly maxStoreBlock: number;
  readonly startDma: number;
  readonly endDma: number;
}

/** Store limit to assume when the kernel has no capability chain (vfio.info.chain). */
const ASSUMED_STORE_BLOCK = 4096;
/** Start of IOVA space to assume without a capability chain. */
const ASSUMED_START_DMA = 2 ** 32;
const ASSUMED_END_DMA = 2 ** 40 - 1;

/**
 * Does what may have been done behind the driver's back: a descriptor that is closed already is no failure.
 *
 * @returns false if it was closed
 */
export function unlessClosed(work: () => void): boolean {
  try {
    work();
    return true;
  } catch (error) {
    if (error instanceof ErrnoError && error.code === "EBADF") return false;
    throw error;
  }
}

/** An opened function. */
export class VfioDescriptor {
  readonly #sys: SystemCalls;
  readonly #state: DescriptorState;
  readonly #regions = new Map<number, RegionInfo>();

  constructor(sys: SystemCalls, state: DescriptorState) {
    // A transfer is cut by this limit, and would never end with a smaller one.
    if (!(state.maxStoreBlock >= 1)) {
      throw new RangeError(`A store-block limit of ${state.maxStoreBlock} bytes`);
    }
    this.#sys = sys;
    this.#state = state;
    for (const region of state.regions) this.#regions.set(region.index, region);
  }

  /**
   * Opens a function by PCI address, in the order of vfio.group.getfd and vfio.cdev.bind.
   *
   * @throws {ErrnoError} what the kernel refuses with, everything opened so far closed again
   * @throws {DriverError} if the API version or the IOMMU type is not the one this driver knows
   */
  static open(sys: SystemCalls, address: string, way: WayIn = "group"): VfioDescriptor {
    const fds: number[] = [];
    const opened = (fd: number) => {
      fds.push(fd);
      return fd;
    };
    try {
      const { iommu, device, ioas } = way === "cdev"
        ? openByCdev(sys, address, opened)
        : openByGroup(sys, address, opened, CONTAINERS[way]);
      const info = deviceInfo(sys, device);
      return new VfioDescriptor(sys, {
        way,
        fds,
        iommu,
        ioas,
        device,
        regions: knownRegions(sys, device, info.numRegions),
        maxStoreBlock: info.group?.imaxstbl ?? ASSUMED_STORE_BLOCK,
        startDma: info.base?.startDma ?? ASSUMED_START_DMA,
        endDma: info.base?.endDma ?? ASSUMED_END_DMA,
      });
    } catch (error) {
      for (const fd of fds.reverse()) sys.close(fd);
      throw error;
    }
  }

  /** The way in that was taken. */
  get way(): WayIn {
    return this.#state.way;
  }

  /** The device descriptor's number. */
  get fd(): number {
    return this.#state.device;
  }

  /** Longest store block in bytes: `imaxstbl`, not the `maxstbl` field beside it (vfio.info.group). */
  get maxStoreBlock(): number {
    return this.#state.maxStoreBlock;
  }

  /** First and last DMA address that may be mapped. */
  get dmaRange(): readonly [first: number, last: number] {
    return [this.#state.startDma, this.#state.endDma];
  }

  /** Descriptors in the order in which they were opened. */
  get fds(): readonly number[] {
    return this.#state.fds;
  }

  /** Closes everything that is still open, in reverse; the kernel resets the function. */
  close(): void {
    for (const fd of [...this.fds].reverse()) unlessClosed(() => this.#sys.close(fd));
  }

  info(): DeviceInfo {
    return deviceInfo(this.#sys, this.fd);
  }

  /** GET_REGION_INFO. @throws {ErrnoError} EINVAL for an index without a region */
  regionInfo(index: number): RegionInfo {
    return regionInfo(this.#sys, this.fd, index);
  }

  /** GET_IRQ_INFO. @throws {ErrnoError} EINVAL */
  irqInfo(index: number): { readonly flags: number; readonly count: number } {
    const arg = IRQ_INFO.encode({ argsz: IRQ_INFO.size, index });
    this.#sys.ioctl(this.fd, DEVICE_IOCTL.VFIO_DEVICE_GET_IRQ_INFO, arg);
    return IRQ_INFO.decode(arg);
  }

  /** The kernel has interrupts of an index. */
  offersIrq(index: number): boolean {
    try {
      return this.irqInfo(index).count > 0;
    } catch (error) {
      if (error instanceof ErrnoError && error.code === "EINVAL") return false;
      throw error;
    }
  }

  /** The file position of an offset in a region: reported offset plus offset. @throws {ErrnoError} EINVAL */
  positionOf(region: number, offset: Offset): Offset {
    const { offset: base } = this.#regions.get(region) ?? this.regionInfo(region);
    return typeof offset === "bigint" ? BigInt(base) + offset : base + offset;
  }

  /** One pread of `count` bytes to index `start` of `into`. @returns bytes read, fewer at the end of a BAR */
  read(region: number, offset: Offset, count: Offset, into: Uint8Array, start = 0): number {
    return this.#sys.pread(this.fd, into, count, this.positionOf(region, offset), start);
  }

  /** One pwrite, and so one store block on a BAR, of `count` bytes of `from` at `start`. @returns bytes written */
  write(region: number, offset: number, from: Uint8Array, start = 0, count = from.length - start): number {
    const { offset: base } = this.#regions.get(region) ?? this.regionInfo(region);
    return this.#sys.pwrite(this.fd, from, count, base + offset, start);
  }

  /** Maps `size` bytes of the process's memory for reads and writes by the device. @throws {ErrnoError} */
  mapDma(vaddr: number, iova: number, size: number): void {
    if (this.#state.way === "cdev") {
      const { FIXED_IOVA, READABLE, WRITEABLE } = IOAS_MAP_FLAGS;
      const arg = IOAS_MAP.encode({
        size: IOAS_MAP.size,
        flags: FIXED_IOVA | READABLE | WRITEABLE,
        ioasId: this.#state.ioas,
        userVa: BigInt(vaddr),
        length: BigInt(size),
        iova: BigInt(iova),
      });
      this.#sys.ioctl(this.#state.iommu, IOMMUFD_IOCTL.IOMMU_IOAS_MAP, arg);
      return;
    }
    const arg = DMA_MAP.encode({
      argsz: DMA_MAP.size,
      flags: DMA_MAP_FLAGS.READ | DMA_MAP_FLAGS.WRITE,
      vaddr: BigInt(vaddr),
      iova: BigInt(iova),
      size: BigInt(size),
    });
    this.#sys.ioctl(this.#state.iommu, CONTAINER_IOCTL.VFIO_IOMMU_MAP_DMA, arg);
  }

  /** Unmaps. @returns bytes that were mapped in the range @throws {ErrnoError} */
  unmapDma(iova: number, size: number): number {
    if (this.#state.way === "cdev") {
      const fields = {
        size: IOAS_UNMAP.size,
        ioasId: this.#state.ioas,
        iova: BigInt(iova),
        length: BigInt(size),
      };
      const arg = IOAS_UNMAP.encode(fields);
      this.#sys.ioctl(this.#state.iommu, IOMMUFD_IOCTL.IOMMU_IOAS_UNMAP, arg);
      return Number(IOAS_UNMAP.decode(arg).length);
    }
    const arg = DMA_UNMAP.encode({ argsz: DMA_UNMAP.size, iova: BigInt(iova), size: BigInt(size) });
    this.#sys.ioctl(this.#state.iommu, CONTAINER_IOCTL.VFIO_IOMMU_UNMAP_DMA, arg);
    return Number(DMA_UNMAP.decode(arg).size);
  }

  /** Switches MSI vector 0 on with an eventfd. */
  enableMsi(eventfd: number): void {
    this.installEventFd(IRQ.MSI, eventfd);
  }

  /** Installs an eventfd for the first interrupt of an index; -1 removes it. @throws {ErrnoError} */
  installEventFd(index: number, eventfd: number): void {
    const arg = new Uint8Array(IRQ_SET.size + 4);
    IRQ_SET.encode({
      argsz: arg.length,
      flags: IRQ_SET_FLAGS.DATA_EVENTFD | IRQ_SET_FLAGS.TRIGGER,
      index,
      start: 0,
      count: 1,
    }, arg);
    new DataView(arg.buffer).setInt32(IRQ_SET.size, eventfd, true);
    this.#sys.ioctl(this.fd, DEVICE_IOCTL.VFIO_DEVICE_SET_IRQS, arg);
  }

  /** Switches MSI off. */
  disableMsi(): void {
    const flags = IRQ_SET_FLAGS.DATA_NONE | IRQ_SET_FLAGS.TRIGGER;
    const arg = IRQ_SET.encode({ argsz: IRQ_SET.size, flags, index: IRQ.MSI, start: 0, count: 0 });
    this.#sys.ioctl(this.fd, DEVICE_IOCTL.VFIO_DEVICE_SET_IRQS, arg);
  }

  /** VFIO_DEVICE_RESET. @returns 0, or the condition code of a machine that left the function disabled */
  reset(): number {
    return this.#sys.ioctl(this.fd, DEVICE_IOCTL.VFIO_DEVICE_RESET);
  }

  save(): DescriptorState {
    return this.#state;
  }
}
