/**
 * GET_IRQ_INFO and SET_IRQS. Facts: vfio.irqinfo.* and vfio.setirqs.*
 * (drivers/vfio/pci/vfio_pci_core.c, drivers/vfio/pci/vfio_pci_intrs.c, drivers/vfio/vfio_main.c).
 */
import type { VfioDevice } from "../device.ts";

import { EventFd, EventFdFile } from "../process/eventfd.ts";
import { ErrnoError } from "../errno.ts";
import type { Kernel } from "../kernel.ts";
import { coreError } from "../refusal.ts";
import { IRQ, IRQ_FLAGS, IRQ_INFO, IRQ_SET, IRQ_SET_FLAGS } from "../uapi.ts";
import { MSI_CAPABILITY } from "../pci/pci_device.ts";
import { checkArgsz, copyToUser } from "../process/user_memory.ts";

const CORE = "drivers/vfio/pci/vfio_pci_core.c";
const INTRS = "drivers/vfio/pci/vfio_pci_intrs.c";
const MAIN = "drivers/vfio/vfio_main.c";
const IRQ_NAMES = ["INTx", "MSI", "MSI-X", "ERR", "REQ"];

/**
 * Interrupts of an index: the pin is forced to 0, MSI as the function says now, no MSI-X, one REQ, and one ERR from
 * 7.3 on.
 */
function irqCount({ config, zdev, kernel: { rules } }: VfioDevice, index: number): number {
  if (index !== IRQ.MSI) return index === IRQ.REQ || (index === IRQ.ERR && rules.errInterrupt) ? 1 : 0;
  const msi = config.capabilities.find(({ id }) => id === MSI_CAPABILITY);
  return msi === undefined ? 0 : zdev.pci.msiVectors(msi.start);
}

const ERR_SINCE = "from Linux 7.3 on an ISM function has it";

/** What to know of an index that refuses everything. */
function noInterrupts({ kernel: { rules } }: VfioDevice, index: number): string {
  return index === IRQ.ERR
    ? `in Linux ${rules.release} ERR exists on PCIe functions only; ${ERR_SINCE}`
    : "an index without interrupts refuses everything, a disable as well";
}

/** VFIO_DEVICE_GET_IRQ_INFO (vfio.irqinfo.table). */
export function getIrqInfo(device: VfioDevice, arg: Uint8Array): number {
  const source = `${CORE}: vfio_pci_ioctl_get_irq_info`;
  const argsz = checkArgsz(arg, IRQ_INFO.size, source);
  const { index } = IRQ_INFO.decode(arg);
  if (index >= IRQ.COUNT) {
    throw coreError("EINVAL", "vfio.irqinfo.table", "irq index", source, `IRQ index ${index} does not exist`);
  }
  if (index === IRQ.ERR && !device.kernel.rules.errInterrupt) {
    const { release } = device.kernel.rules;
    throw coreError(
      "EINVAL",
      "vfio.irqinfo.table",
      "irq index",
      source,
      `The ERR interrupt exists on PCIe only in Linux ${release}`,
      ERR_SINCE,
    );
  }
  const flags = index === IRQ.INTX
    ? IRQ_FLAGS.EVENTFD | IRQ_FLAGS.MASKABLE | IRQ_FLAGS.AUTOMASKED
    : IRQ_FLAGS.EVENTFD | IRQ_FLAGS.NORESIZE;
  const count = irqCount(device, index);
  copyToUser(arg, 0, IRQ_INFO.encode({ argsz, flags, index, count }), 0, IRQ_INFO.size);
  return 0;
}

type DataKind = "none" | "bool" | "eventfd";

/** A validated SET_IRQS. */
interface IrqSet {
  readonly action: number;
  readonly kind: DataKind;
  readonly start: number;
  readonly count: number;
  readonly bools: readonly boolean[];
  readonly fds: readonly number[];
}

/** VFIO_DEVICE_SET_IRQS, validation in the order of vfio.setirqs.order, then dispatch by index. */
export function setIrqs(device: VfioDevice, arg: Uint8Array, kernel: Kernel): number {
  const { index, set } = parseSet(device, arg);
  if (set.action !== IRQ_SET_FLAGS.TRIGGER) {
    throw coreError(
      "ENOTTY",
      "vfio.setirqs.action",
      "irq action",
      `${INTRS}: vfio_pci_set_irqs_ioctl`,
      `${IRQ_NAMES[index]} takes exactly the TRIGGER action`,
    );
  }
  if (index === IRQ.MSI) return triggerMsi(device, kernel, set);
  return triggerSingle(device, kernel, index === IRQ.ERR ? "err" : "req", set);
}

function parseSet(device: VfioDevice, arg: Uint8Array): { index: number; set: IrqSet } {
  const source = `${MAIN}: vfio_set_irqs_validate_and_prepare`;
  const { flags, index, start, count } = IRQ_SET.decode(arg);
  // The kernel counts before it validates, argsz included.
  const available = arg.length < IRQ_SET.size ? 0 : irqCount(device, index);
  const argsz = checkArgsz(arg, IRQ_SET.size, source);
  const invalid = (rule: string, message: string, hint?: string) =>
    coreError("EINVAL", "vfio.setirqs.order", rule, source, message, hint);
  if (index >= IRQ.COUNT) throw invalid("irq index", `IRQ index ${index} does not exist`);
  if (count >= 0xffff_ffff - start) throw invalid("irq count", "Start plus count is too large");
  if (flags >= 64) throw invalid("flags", `Unknown flags in ${flags}`);
  if (start >= available || start + count > available) {
    throw coreError(
      "EINVAL",
      "vfio.setirqs.range",
      "irq range",
      source,
      `${IRQ_NAMES[index]} has ${available} interrupt${
        available === 1 ? "" : "s"
      }, start ${start} and count ${count} are not within`,
      available === 0 ? noInterrupts(device, index) : undefined,
    );
  }
  const types = flags & 7;
  const kind: DataKind | undefined = types === IRQ_SET_FLAGS.DATA_NONE
    ? "none"
    : types === IRQ_SET_FLAGS.DATA_BOOL
    ? "bool"
    : types === IRQ_SET_FLAGS.DATA_EVENTFD
    ? "eventfd"
    : undefined;
  if (kind === undefined) throw invalid("data type", "SET_IRQS takes exactly one data type");
  const size = kind === "none" ? 0 : kind === "bool" ? count : count * 4;
  if (argsz - IRQ_SET.size < size) throw invalid("argsz", `argsz ${argsz} has no room for ${count} entries`);
  if (arg.length < IRQ_SET.size + size) {
    throw coreError(
      "EFAULT",
      "vfio.setirqs.order",
      "user memory",
      source,
      "The caller's data is not accessible",
    );
  }
  const view = new DataView(arg.buffer, arg.byteOffset + IRQ_SET.size);
  const each = Array.from({ length: count }, (_, i) => i);
  return {
    index,
    set: {
      action: flags & ~7,
      kind,
      start,
      count,
      bools: kind === "bool" ? each.map((i) => view.getUint8(i) !== 0) : [],
      fds: kind === "eventfd" ? each.map((i) => view.getInt32(i * 4, true)) : [],
    },
  };
}

function triggerMsi(device: VfioDevice, kernel: Kernel, set: IrqSet): number {
  const source = `${INTRS}: vfio_pci_set_msi_trigger`;
  const { kind, start, count } = set;
  if (kind === "none" && count === 0 && device.msi !== undefined) {
    disableMsi(device);
    return 0;
  }
  if (kind === "eventfd") {
    if (device.msi !== undefined) return installVectors(device, kernel, set);
    if (start + count === 0) {
      throw coreError(
        "ERANGE",
        "vfio.setirqs.msi",
        "no vectors",
        source,
        "MSI cannot be switched on with no vectors",
      );
    }
    const { noi } = device.zdev.facts;
    device.zdev.setupInterrupts(Math.min(start + count, noi));
    // More than the function can have, which only one that does not answer may be asked for: what there is, a positive number.
    if (start + count > noi) {
      device.zdev.teardownInterrupts();
      return noi;
    }
    device.touch();
    device.msi = new Array(start + count).fill(undefined);
    try {
      return installVectors(device, kernel, set);
    } catch (error) {
      disableMsi(device);
      throw error;
    }
  }
  if (device.msi === undefined) {
    throw coreError(
      "EINVAL",
      "vfio.setirqs.msi",
      "MSI off",
      source,
      "MSI is not switched on",
      "SET_IRQS with VFIO_IRQ_SET_DATA_EVENTFD switches it on; switching it off twice is refused",
    );
  }
  for (let i = 0; i < count; i++) {
    if (kind === "none" || set.bools[i]) device.interrupt(start + i);
  }
  return 0;
}

function disableMsi(device: VfioDevice): void {
  changeWiring(device);
  device.msi = undefined;
  device.zdev.teardownInterrupts();
}

/** Installs an eventfd per vector; a failing one takes all vectors of the call away. */
function installVectors(device: VfioDevice, kernel: Kernel, { start, fds }: IrqSet): number {
  changeWiring(device);
  const vectors = device.msi!;
  try {
    fds.forEach((fd, i) => {
      vectors[start + i] = undefined;
      vectors[start + i] = fd < 0 ? undefined : eventFdOf(kernel, fd);
    });
  } catch (error) {
    fds.forEach((_, i) => vectors[start + i] = undefined);
    throw error;
  }
  return 0;
}

/** REQ and ERR: one eventfd each, whatever the function's state. */
function triggerSingle(
  device: VfioDevice,
  kernel: Kernel,
  which: "req" | "err",
  { kind, count, bools, fds }: IrqSet,
): number {
  const source = `${INTRS}: vfio_pci_set_ctx_trigger_single`;
  const name = which.toUpperCase();
  const invalid = (message: string) =>
    coreError(
      "EINVAL",
      which === "req" ? "vfio.setirqs.req" : "vfio.setirqs.err",
      `${name} trigger`,
      source,
      message,
    );
  const signal = () => device[which]?.signal(kernel.partition, device.zdev.facts.fid);
  if (kind === "none") {
    if (device[which] === undefined) throw invalid(`No eventfd is installed for ${name}`);
    if (count > 0) signal();
    else {
      changeWiring(device);
      device[which] = undefined;
    }
    return 0;
  }
  if (count === 0) throw invalid(`${name} needs a count of 1 with data`);
  if (kind === "bool") {
    if (bools[0] === true) signal();
    return 0;
  }
  const fd = fds[0]!;
  if (fd < -1) throw invalid(`Descriptor ${fd} is not valid`);
  changeWiring(device);
  device[which] = fd === -1 ? undefined : eventFdOf(kernel, fd);
  return 0;
}

/** Eventfds may come to be unused by that. */
function changeWiring(device: VfioDevice): void {
  device.touch();
  device.kernel.eventfds.mayBeUnused();
}

/** The eventfd behind a descriptor. @throws {ErrnoError} EBADF, EINVAL */
function eventFdOf(kernel: Kernel, fd: number): EventFd {
  const file = kernel.current.file(fd);
  if (file instanceof EventFdFile) return file.context;
  throw new ErrnoError("EINVAL", {
    layer: "vfio-core",
    ref: "vfio.setirqs.fds",
    rule: "eventfd",
    source: "fs/eventfd.c: eventfd_ctx_fdget",
    message: `Descriptor ${fd} is not an eventfd`,
  });
}
