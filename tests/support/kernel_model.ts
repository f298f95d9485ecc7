/**
 * A second opinion on what the kernel answers: tables of docs/reference/vfio, for a guest with one ISM function whose
 * BAR 0 loads give zeros and for which nobody has a DMB. Written from those alone; it imports nothing from lib.
 */
import { type File, IOCTLS, type Result } from "./ioctl_model.ts";
import { DEVICE_SLOT, type Node, type Operation, type Prediction } from "./kernel_operations.ts";
import { transfer } from "./transfer_model.ts";

/** Descriptors, the group, low power: docs/reference/vfio/open.md. */
export class KernelModel {
  readonly files: (File | undefined)[] = [undefined, undefined, undefined];
  box: File["box"] | undefined;
  lowPower = false;
  /** The device was opened through an iommufd of its group, and still is open. */
  owned = false;
  #groupOpen = false;

  constructor(readonly maxstbl = 4096n, readonly is71 = false) {}

  /** The number of the descriptor that a slot picks. */
  fd(slot: number): number {
    const open = [...this.files.keys()].filter((fd) => this.files[fd]);
    if (slot === DEVICE_SLOT) return open.findLast((fd) => this.files[fd]!.bound) ?? 99;
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
    this.files[fd] = { kind, box: { type: 0, iommu: kind === "iommu", compat: false }, position: 0n, bound };
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
    if (position < 0n || position >= 2n ** 63n) return "EINVAL"; // vfio.rw.vfs, before the descriptor
    const file = this.file(call.slot);
    if (file === undefined) return "EBADF";
    const isDevice = file.kind === "device" || file.kind === "cdev";
    if (call.op === "ioctl") {
      if (isDevice && !file.bound && call.call !== "BIND_IOMMUFD") return "EINVAL"; // vfio.cdev.before
      const rule = IOCTLS[file.kind][call.call];
      if (rule) return rule(this, file, call.value);
      return file.kind === "container" && !file.box.type ? "EINVAL" : "ENOTTY";
    }
    if (call.op === "close") return this.#close(this.fd(call.slot));
    if (call.op === "mmap") return isDevice ? "EINVAL" : file.kind === "iommu" ? "ENXIO" : "ENODEV"; // 6
    if (!("count" in call)) return "ESPIPE";
    // Opened by their path, with positions, but with nothing to read or write (vfio.rw.others).
    if (!isDevice) return "EINVAL";
    const at = "position" in call ? position : file.position;
    const prediction = transfer(this.maxstbl, file.bound, call.op.endsWith("write"), at, call);
    if ("position" in call) return prediction;
    const moved = typeof prediction === "object" ? prediction.result : prediction;
    if (typeof moved === "number") file.position += BigInt(moved);
    return prediction;
  }

  #open(node: Node): number | string {
    if (node === "group" && (this.open("cdev") > 0 || this.groupInUse)) return "EBUSY";
    this.#groupOpen ||= node === "group";
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
}
