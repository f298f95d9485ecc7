/**
 * A guest's process before its kernel, for the tests of tests/kernel: numbers and structs are written by hand from the
 * reference (docs/reference/vfio), never by the codecs under test, and each refused call must leave host and arguments
 * as they were.
 */
import { assertEquals } from "@std/assert";
import { isAccess, type TraceEvent } from "../../lib/base/trace.ts";
import { Host, type HostFunction } from "../../lib/host/host.ts";
import { parseTopology } from "../../lib/host/topology.ts";
import type { FaultKind, FaultMatch } from "../../lib/zpci/faults.ts";
import { ErrnoError } from "../../lib/vfio/errno.ts";
import type { LockName, LockOp } from "../../lib/vfio/lock_plan.ts";
import type { Process } from "../../lib/vfio/process/process.ts";
import type { Offset } from "../../lib/vfio/process/vfs_checks.ts";

/** ioctl numbers of vfio.ioctl.numbers, as written there. */
export const IOCTL = {
  GET_API_VERSION: 0x3b64,
  CHECK_EXTENSION: 0x3b65,
  SET_IOMMU: 0x3b66,
  GROUP_GET_STATUS: 0x3b67,
  GROUP_SET_CONTAINER: 0x3b68,
  GROUP_UNSET_CONTAINER: 0x3b69,
  GROUP_GET_DEVICE_FD: 0x3b6a,
  GET_INFO: 0x3b6b,
  GET_REGION_INFO: 0x3b6c,
  GET_IRQ_INFO: 0x3b6d,
  SET_IRQS: 0x3b6e,
  RESET: 0x3b6f,
  GET_PCI_HOT_RESET_INFO: 0x3b70,
  IOMMU_GET_INFO: 0x3b70,
  PCI_HOT_RESET: 0x3b71,
  MAP_DMA: 0x3b71,
  UNMAP_DMA: 0x3b72,
  IOEVENTFD: 0x3b74,
  FEATURE: 0x3b75,
  DIRTY_PAGES: 0x3b75,
  BIND_IOMMUFD: 0x3b76,
  ATTACH_PT: 0x3b77,
  DETACH_PT: 0x3b78,
  DESTROY: 0x3b80,
  IOAS_ALLOC: 0x3b81,
  IOAS_ALLOW_IOVAS: 0x3b82,
  IOAS_COPY: 0x3b83,
  IOAS_IOVA_RANGES: 0x3b84,
  IOAS_MAP: 0x3b85,
  IOAS_UNMAP: 0x3b86,
  OPTION: 0x3b87,
  VFIO_IOAS: 0x3b88,
  HWPT_ALLOC: 0x3b89,
  GET_HW_INFO: 0x3b8a,
  HWPT_SET_DIRTY_TRACKING: 0x3b8b,
  HWPT_GET_DIRTY_BITMAP: 0x3b8c,
  HWPT_INVALIDATE: 0x3b8d,
  FAULT_QUEUE_ALLOC: 0x3b8e,
  IOAS_MAP_FILE: 0x3b8f,
  VIOMMU_ALLOC: 0x3b90,
  VDEVICE_ALLOC: 0x3b91,
  IOAS_CHANGE_PROCESS: 0x3b92,
  VEVENTQ_ALLOC: 0x3b93,
  HW_QUEUE_ALLOC: 0x3b94,
  NOIOMMU_GET_PA: 0x3b95,
} as const;

/** First byte of region `index` in an ISM device descriptor (vfio.region.table). */
export const region = (index: number): number => index * 2 ** 48;
/** BAR 2 has 64 KiB, config space 256 bytes (ism.config.bars and ism.config.ids). */
export const BAR2_SIZE = 0x10000;
export const CONFIG_SIZE = 0x100;
/** First DMA address that may be mapped (zpci.dma.window). */
export const START_DMA = 0x1_0000_0000;
export const PAGE = 4096;

/** Result of a system call, or the name of its errno. */
export type Outcome = number | string;

/** The bytes of a struct: a `number` is 32 bits, a `bigint` 64 bits, in order, little-endian. */
export function words(...values: readonly (number | bigint)[]): Uint8Array {
  const size = values.reduce<number>((sum, value) => sum + (typeof value === "bigint" ? 8 : 4), 0);
  const view = new DataView(new ArrayBuffer(size));
  let at = 0;
  for (const value of values) {
    if (typeof value === "bigint") view.setBigUint64(at, BigInt.asUintN(64, value), true);
    else view.setUint32(at, value >>> 0, true);
    at += typeof value === "bigint" ? 8 : 4;
  }
  return new Uint8Array(view.buffer);
}

/** The 32-bit number at an offset of a struct. */
export function u32(bytes: Uint8Array, at: number): number {
  return new DataView(bytes.buffer, bytes.byteOffset).getUint32(at, true);
}

/** The 64-bit number at an offset of a struct. */
export function u64(bytes: Uint8Array, at: number): bigint {
  return new DataView(bytes.buffer, bytes.byteOffset).getBigUint64(at, true);
}

/** A C string. */
export function cString(text: string): Uint8Array {
  return new TextEncoder().encode(`${text}\0`);
}

/** What a call returned, or the name of the errno that it was refused with. */
export function outcome(act: () => number): Outcome {
  try {
    return act();
  } catch (error) {
    if (error instanceof ErrnoError) return error.code;
    throw error;
  }
}

/** How a function is opened: through its group, with a container or an iommufd, or through its character device. */
export const WAYS = ["group", "compat", "cdev"] as const;
export type Way = (typeof WAYS)[number];

/** Parts of a topology that a test chooses. */
export interface Choices {
  readonly machine?: Record<string, unknown>;
  readonly ism?: Record<string, unknown>;
  readonly kernel?: Record<string, unknown>;
  readonly seed?: number;
  /** Bytes of main memory of the guest. */
  readonly memory?: number;
  /** vfn of the function; 1 by default. */
  readonly vfn?: number;
  /** Functions of the guest; 1 by default. */
  readonly functions?: number;
  /** Driver that holds the function; ism_vfio_pci by default. */
  readonly driver?: "ism_vfio_pci" | "vfio-pci";
}

/** Says that a refused call has an effect all the same, as the facts want it. */
export interface Effects {
  readonly effect?: boolean;
}

/** One guest with one function (or more), and its process. */
export class Rig {
  readonly host: Host;
  readonly target: HostFunction;
  readonly process: Process;
  /** PCI address of the function. */
  readonly name: string;
  /** Descriptors of an opened function; -1 before. */
  container = -1;
  group = -1;
  iommufd = -1;
  device = -1;
  devid = -1;
  ioas = -1;

  constructor({ vfn = 1, functions = 1, driver, ...choices }: Choices = {}) {
    const each = Array.from({ length: functions }, (_, i) => ({
      fid: 0x10 + i,
      uid: 1 + i,
      vfn: vfn === 0 ? 0 : vfn + i,
      gid: `0xa${i + 1}`,
    }));
    this.host = Host.create(parseTopology({ guests: [{ name: "guest", functions: each }], ...choices }));
    this.target = this.host.functions[0]!;
    this.process = this.target.guest.kernel.process;
    this.name = this.target.zdev.name;
    if (driver !== undefined) this.#bind(driver);
  }

  #bind(driver: string): void {
    const binding = this.target.guest.kernel.binding(this.target.zdev);
    binding.unbind();
    binding.override = driver;
    binding.probe();
  }

  /** The IOMMU domain that the process attached the function to. */
  get domain() {
    return this.target.guest.kernel.defaultDomains.userDomain(this.target.zdev);
  }

  /** A rig whose function is open. */
  static opened(way: Way = "group", choices: Choices = {}): Rig {
    const rig = new Rig(choices);
    if (way === "cdev") rig.openCdev();
    else rig.openGroup(way);
    return rig;
  }

  /** Group and container, step by step (vfio.group.compat); with "compat" the container is an iommufd. */
  openGroup(way: "group" | "compat" = "group"): this {
    this.container = this.process.open(way === "group" ? "/dev/vfio/vfio" : "/dev/iommu");
    this.group = this.process.open("/dev/vfio/0");
    this.process.ioctl(this.group, IOCTL.GROUP_SET_CONTAINER, words(this.container));
    this.process.ioctl(this.container, IOCTL.SET_IOMMU, 3);
    this.device = this.deviceFd();
    return this;
  }

  /** One more descriptor of the open group's function. */
  deviceFd(): number {
    return this.process.ioctl(this.group, IOCTL.GROUP_GET_DEVICE_FD, cString(this.name));
  }

  /** Character device and iommufd (vfio.cdev.bind). */
  openCdev(): this {
    this.iommufd = this.process.open("/dev/iommu");
    this.device = this.process.open("/dev/vfio/devices/vfio0");
    const bind = words(24, 0, this.iommufd, 0, 0n);
    this.process.ioctl(this.device, IOCTL.BIND_IOMMUFD, bind);
    this.devid = u32(bind, 12);
    this.ioas = this.newIoas();
    this.process.ioctl(this.device, IOCTL.ATTACH_PT, words(16, 0, this.ioas, 0));
    return this;
  }

  /** A new IOAS in the iommufd. */
  newIoas(): number {
    const alloc = words(12, 0, 0);
    this.process.ioctl(this.iommufd, IOCTL.IOAS_ALLOC, alloc);
    return u32(alloc, 8);
  }

  /** Closes what is open, the device first. */
  close(): void {
    for (const fd of [this.device, this.group, this.container, this.iommufd]) {
      if (fd >= 0) this.process.close(fd);
    }
    this.device =
      this.group =
      this.container =
      this.iommufd =
        -1;
  }

  /** Runs a call; one that is refused must not have changed anything on the host. */
  call(act: () => number, { effect = false }: Effects = {}): Outcome {
    const before = this.state();
    const result = outcome(act);
    if (typeof result === "string" && !effect) assertEquals(this.state(), before, `${result} had an effect`);
    return result;
  }

  /** ioctl(2); nothing is copied back to the argument of one that is refused (vfio.region.struct). */
  ioctl(fd: number, request: number, arg: Uint8Array | number = 0, effects: Effects = {}): Outcome {
    const before = typeof arg === "number" ? arg : arg.slice();
    const result = this.call(() => this.process.ioctl(fd, request, arg), effects);
    if (typeof result === "string" && effects.effect !== true) assertEquals(arg, before, "copied back");
    return result;
  }

  /** pread(2) of `count` bytes; a refused one leaves the buffer alone unless it says otherwise. */
  pread(
    position: Offset,
    count: Offset,
    { buffer = bufferFor(count), ...effects }: ReadOptions = {},
  ): Outcome {
    const before = buffer.slice();
    const result = this.call(() => this.process.pread(this.device, buffer, count, position), effects);
    if (typeof result === "string" && effects.effect !== true) assertEquals(buffer, before);
    return result;
  }

  /** pwrite(2) of `count` bytes, zeros unless a buffer is given. */
  pwrite(
    position: Offset,
    count: Offset,
    { buffer = bufferFor(count), ...effects }: ReadOptions = {},
  ): Outcome {
    return this.call(() => this.process.pwrite(this.device, buffer, count, position), effects);
  }

  /** Bytes of config space, little-endian, through the descriptor. */
  config(offset: number, width: 1 | 2 | 4): number {
    const bytes = new Uint8Array(4);
    this.process.pread(this.device, bytes, width, region(7) + offset);
    return u32(bytes, 0);
  }

  /** Writes config space through the descriptor. */
  setConfig(offset: number, width: 1 | 2 | 4, value: number): void {
    this.process.pwrite(this.device, words(value), width, region(7) + offset);
  }

  /** Count of an eventfd since it was last read. */
  signals(eventfd: number): number {
    const bytes = new Uint8Array(8);
    const result = outcome(() => this.process.read(eventfd, bytes, 8));
    return result === "EAGAIN" ? 0 : Number(u64(bytes, 0));
  }

  /** Memory of the process, mapped for the device's reads and writes. @returns its address in the process */
  mapDma(iova: number, size = PAGE): number {
    const vaddr = this.process.mmapAnonymous(size);
    if (this.iommufd >= 0) {
      const map = words(40, 7, this.ioas, 0, BigInt(vaddr), BigInt(size), BigInt(iova));
      this.process.ioctl(this.iommufd, IOCTL.IOAS_MAP, map);
    } else {
      const map = words(32, 3, BigInt(vaddr), BigInt(iova), BigInt(size));
      this.process.ioctl(this.container, IOCTL.MAP_DMA, map);
    }
    return vaddr;
  }

  /** Lets the `at`-th access that matches answer as `fault` says, and no other. */
  inject(fault: FaultKind, match: FaultMatch, at = 1): void {
    this.host.faults.clear();
    this.host.faults.add(fault, match, at);
    this.host.applyFaults();
  }

  /** Somebody else holds a lock for the next `times` attempts, those of one call or all. */
  takeLock(times = 1, lock: LockName = "device", op?: LockOp): void {
    const which = op === undefined ? {} : { op };
    this.host.locks.add({ id: this.host.faults.takeId(), lock, ...which, at: 1, times });
  }

  /** Instructions on BARs and config space while `act` runs: `PCILG 2 0x8 8`, operation, space, offset, length. */
  instructions(act: () => unknown, spaces = [0, 1, 2, 3, 4, 5]): string[] {
    const lines: string[] = [];
    const enter = (event: TraceEvent) => {
      if (event.layer !== "insn" || !isAccess(event) || !spaces.includes(event.space)) return;
      lines.push(`${event.op} ${event.space} 0x${event.offset.toString(16)} ${event.length}`);
    };
    this.host.tracer.sink = { enter, leave: () => {} };
    try {
      act();
    } finally {
      this.host.tracer.sink = undefined;
    }
    return lines;
  }

  /** The whole saved state but the clock and what a test injected, as text. */
  state(): string {
    const injected = ["clock", "faults", "locks"];
    return JSON.stringify([...this.host.save()].filter(([key]) => !injected.includes(key)));
  }
}

/** Options of {@linkcode Rig.pread} and {@linkcode Rig.pwrite}. */
export interface ReadOptions extends Effects {
  /** The caller's memory; bytes behind its end fault. As long as the count by default. */
  readonly buffer?: Uint8Array;
}

function bufferFor(count: Offset): Uint8Array {
  return new Uint8Array(Number(count) > 2 ** 20 ? 2 ** 20 : Number(count));
}
