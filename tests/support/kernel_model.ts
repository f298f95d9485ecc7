/**
 * A second opinion on what the kernel answers: tables of the VFIO sheet, for a guest with one ISM function whose BAR 0
 * loads give zeros and for which nobody has a DMB. Written from the sheet alone; it imports nothing from lib.
 */
import {
  type Call,
  DEVICE_SLOT,
  type Node,
  type Operation,
  type Prediction,
  type Span,
} from "./kernel_operations.ts";

type Result = number | string | undefined; // undefined: the sheet is silent
/** A container, or an iommufd in its place: `compat` once a group was in it. */
type Box = { type: number; iommu: boolean; compat: boolean };
type File = { kind: Node | "device"; box: Box; position: bigint; bound: boolean };
type Rule = (model: KernelModel, file: File, value: number) => Result;

const SSIZE_MAX = 2n ** 63n - 1n;
const BARS = [2n ** 48n, 0n, 0x1_0000n, 0n, 0n, 0n];

/** The errno of the first condition that holds. */
const refuse = (...rows: [boolean, string][]) => rows.find(([holds]) => holds)?.[1];
const extension = (...silent: number[]): Rule => (_, __, value) =>
  silent.includes(value) ? undefined : +[1, 3, 9].includes(value);

/** ioctls by kind of descriptor (1.3); a call that is not in the table is unknown to the kind. */
const IOCTLS: Record<File["kind"], Partial<Record<Call, Rule>>> = {
  container: {
    GET_API_VERSION: () => 0,
    // UPDATE_VADDR is one of a container with an IOMMU.
    CHECK_EXTENSION: (model, file, value) =>
      value === 10 ? +(file.box.type !== 0) : extension(4)(model, file, value),
    SET_IOMMU: (model, { box }, type) =>
      refuse([model.box !== box || box.type !== 0, "EINVAL"], [type !== 1 && type !== 3, "ENODEV"]) ??
        ((box.type = type) && 0),
    FEATURE: () => undefined,
  },
  group: {
    GROUP_GET_STATUS: () => 0,
    GROUP_SET_CONTAINER(model, _, slot) {
      const file = model.file(slot);
      const box = file?.kind === "container" || file?.kind === "iommu" ? file.box : undefined;
      const no = refuse([!file, "EBADF"], [!!model.box, "EINVAL"], [!box, "EBADFD"], [
        !box?.iommu && model.owned,
        "EBUSY",
      ]);
      if (no === undefined) (model.box = box!).compat = true;
      return no ?? 0;
    },
    GROUP_UNSET_CONTAINER: (model) =>
      refuse([!model.box, "EINVAL"], [!model.box?.iommu && model.open("device") > 0, "EBUSY"]) ??
        model.leave(),
    GROUP_GET_DEVICE_FD(model, _, name) {
      const no = refuse([name % 2 === 1, "ENODEV"], [!model.box?.iommu && !model.box?.type, "EINVAL"]);
      if (no === undefined && model.open("device") === 0) model.owned = model.box!.iommu;
      return no ?? model.install("device", true);
    },
  },
  iommu: {
    GET_API_VERSION: () => 0,
    CHECK_EXTENSION: extension(4),
    SET_IOMMU: (_, { box }, type) =>
      refuse([type !== 1 && type !== 3, "EINVAL"], [!box.compat, "ENODEV"]) ?? 0,
  },
  cdev: {
    BIND_IOMMUFD(model, file, slot) { // The row of 1.5, in its order.
      const iommu = model.file(slot);
      const no = refuse(
        [file.kind === "device", "EINVAL"],
        [model.groupInUse, "EBUSY"],
        [file.bound, "EINVAL"],
        [!iommu, "EBADF"],
        [iommu?.kind !== "iommu", "EBADFD"],
        [model.open("cdev") + model.open("device") > 0, "EINVAL"],
      );
      if (no === undefined) file.bound = true;
      return no ?? 0;
    },
    GET_INFO: (_, __, argsz) => argsz < 16 ? "EINVAL" : 0,
    GET_REGION_INFO: (_, __, index) => index > 5 && index !== 7 ? "EINVAL" : 0,
    GET_IRQ_INFO: (_, __, index) => index > 4 || index === 3 ? "EINVAL" : 0,
    RESET: () => 0,
    FEATURE(model, _, flags) { // 8.4
      const n = flags & 0xffff;
      const [get, set, probe] = [0x1_0000, 0x2_0000, 0x4_0000].map((bit) => (flags & bit) !== 0);
      const no = refuse([flags > 0x7_ffff || !!(get && set && !probe), "EINVAL"], [n === 11, "EOPNOTSUPP"], [
        ![3, 5, 12].includes(n),
        "ENOTTY",
      ], [n === 12 || !!get || (!set && !probe) || (n === 3 && !probe && model.lowPower), "EINVAL"]);
      if (no === undefined && !probe) model.lowPower = n === 3;
      return no ?? 0;
    },
  },
  device: {},
};
IOCTLS.device = IOCTLS.cdev;

/** Descriptors, the group, low power: sections 1.4 to 1.6. */
export class KernelModel {
  readonly files: (File | undefined)[] = [undefined, undefined, undefined];
  box: File["box"] | undefined;
  lowPower = false;
  /** The device was opened through an iommufd of its group, and still is open. */
  owned = false;
  #groupOpen = false;

  constructor(readonly maxstbl = 4096n) {}

  /** The number of the descriptor that a slot picks. */
  fd(slot: number): number {
    if (slot === DEVICE_SLOT) return this.files.findLastIndex((file) => file?.bound);
    const open = [...this.files.keys()].filter((fd) => this.files[fd]);
    return open[slot % (open.length + 1)] ?? 99;
  }

  file(slot: number): File | undefined {
    return this.files[this.fd(slot)];
  }

  /** Descriptors of the device that work. */
  open(kind: "device" | "cdev"): number {
    return this.files.filter((file) => file?.kind === kind && file.bound).length;
  }

  get groupInUse(): boolean {
    return this.#groupOpen || this.box !== undefined;
  }

  install(kind: File["kind"], bound = false): number {
    const free = this.files.findIndex((file, fd) => fd >= 3 && file === undefined);
    const fd = free < 0 ? this.files.length : free;
    const box = { type: 0, iommu: kind === "iommu", compat: false };
    this.files[fd] = { kind, box, position: 0n, bound };
    return fd;
  }

  leave(): number {
    if (this.box !== undefined) this.box.type = 0;
    this.box = undefined;
    return 0;
  }

  /** Predicts a call and does what it would do. */
  perform(call: Operation): Prediction | undefined {
    const result = this.#perform(call);
    return typeof result === "object" || result === undefined ? result : { result, instructions: [] };
  }

  #perform(call: Operation): Prediction | Result {
    if (call.op === "open") return this.#open(call.node);
    const position = "position" in call ? call.position : 0n;
    if (position < 0n || position > SSIZE_MAX) return "EINVAL"; // 4.1, before the descriptor
    const file = this.file(call.slot);
    if (file === undefined) return "EBADF";
    const isDevice = file.kind === "device" || file.kind === "cdev";
    if (call.op === "ioctl") {
      if (isDevice && !file.bound && call.call !== "BIND_IOMMUFD") return "EINVAL"; // 1.5
      const rule = IOCTLS[file.kind][call.call];
      return rule
        ? rule(this, file, call.value)
        : file.kind === "container" && !file.box.type
        ? "EINVAL"
        : "ENOTTY";
    }
    if (call.op === "close") return this.#close(this.fd(call.slot));
    if (!("count" in call)) return call.op === "mmap" ? "EINVAL" : "ESPIPE";
    const isWrite = call.op === "pwrite" || call.op === "write";
    if ("position" in call) return isDevice ? this.#transfer(file, isWrite, position, call) : "ESPIPE";
    const prediction = this.#transfer(file, isWrite, file.position, call);
    const moved = typeof prediction === "object" ? prediction.result : prediction;
    if (typeof moved === "number") file.position += BigInt(moved);
    return prediction;
  }

  #open(node: Node): number | string {
    if (node === "group" && (this.open("cdev") > 0 || this.groupInUse)) return "EBUSY";
    if (node === "group") this.#groupOpen = true;
    return this.install(node);
  }

  #close(fd: number): number {
    if (this.files[fd]!.kind === "group") this.#groupOpen = false;
    this.files[fd] = undefined;
    // With an iommufd the device does not keep its group open.
    if (!this.#groupOpen && (this.open("device") === 0 || this.box?.iommu)) this.leave();
    if (this.open("device") === 0) this.owned = false;
    if (this.open("device") + this.open("cdev") === 0) this.lowPower = false;
    return 0;
  }

  /** Sections 4.1 to 4.4, in order. */
  #transfer(
    file: File,
    isWrite: boolean,
    position: bigint,
    { count, accessible }: Span,
  ): Prediction | Result {
    if (count > SSIZE_MAX || position + count > SSIZE_MAX || !file.bound) return "EINVAL";
    const [index, offset] = [Number(position >> 48n), position % 2n ** 48n];
    if (count === 0n) return 0;
    if (index === 7) return offset + count > 256n || accessible < count ? "EFAULT" : Number(count);
    const size = BARS[index] ?? 0n;
    if (offset >= size) return "EINVAL";
    const length = [count, size - offset, 0x7fff_f000n].reduce((a, b) => a < b ? a : b);
    if (!isWrite) return load(index, offset, length, accessible);
    if (length > this.maxstbl || offset % 4096n + length > 4096n) return "EINVAL";
    if (accessible < length) return "EFAULT";
    const instructions = [`PCISTB ${index} 0x${offset.toString(16)} ${length}`];
    return { result: index === 0 ? "EIO" : Number(length), instructions };
  }
}

/** 4.3: the widest aligned load that is left; a load whose bytes cannot be copied has happened all the same. */
function load(index: number, offset: bigint, length: bigint, accessible: number): Prediction {
  const instructions: string[] = [];
  for (let done = 0n; done < length;) {
    const width = [8n, 4n, 2n, 1n].find((each) => length - done >= each && (offset + done) % each === 0n)!;
    instructions.push(`PCILG ${index} 0x${(offset + done).toString(16)} ${width}`);
    done += width;
    if (done > accessible) return { result: "EFAULT", instructions };
  }
  return { result: Number(length), instructions };
}
