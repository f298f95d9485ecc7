/** The VFIO life of a function: open, close, reset; DMA memory of the guest. */
import { hex } from "../../lib/base/hex.ts";
import { DRIVERS } from "../../lib/vfio/binding.ts";
import { DEVICE_IOCTL, FEATURE, FEATURE_FLAGS } from "../../lib/vfio/uapi.ts";
import { DriverError, WAYS_IN } from "../../lib/ism/driver/descriptor.ts";
import { argument, defaulted, defineCommand, flag, optional, required } from "../language/command.ts";
import { choice, DATA, number, SIZE } from "../language/kinds.ts";
import { checkShown } from "../language/limits.ts";
import { renderTable } from "../output/terminal.ts";
import { hexdump } from "../output/hexdump.ts";
import { sizeText } from "../output/units.ts";
import type { HostFunction } from "../../lib/host/host.ts";

const IOVA = number("IOVA");

export const open = defineCommand({
  name: "open",
  group: "host",
  summary: "Open the function: container, group, IOMMU, device; the kernel resets it",
  details:
    `Other commands open the function by themselves, through its group and a container. With --via compat an iommufd
serves as the container; with --via cdev the way in is the character device and an iommufd. Does nothing if the function
is open already in the same way.`,
  args: {},
  options: {
    via: defaulted(
      choice("WAY", WAYS_IN),
      "group",
      "group (container), compat (group, iommufd) or cdev (iommufd)",
    ),
  },
  access: "write",
  examples: ["open", "open -d 1 --via cdev --trace=syscall", "open -d 1 --via compat"],
  run({ target }, { via }) {
    const { driver } = target;
    const descriptor = driver.isOpen && driver.descriptor.way === via ? driver.descriptor : driver.open(via);
    return { address: target.zdev.name, via, fds: [...descriptor.fds], device: descriptor.fd };
  },
});

export const close = defineCommand({
  name: "close",
  group: "host",
  summary: "Unregister everything and close the function; the kernel resets it",
  details: `What "fd open" and "ioctl" opened stays open; "fd close" closes it.`,
  args: {},
  options: {},
  access: "write",
  examples: ["close"],
  run({ target }) {
    const wasOpen = target.driver.isOpen;
    target.driver.close();
    return { address: target.zdev.name, was_open: wasOpen };
  },
});

export const reset = defineCommand({
  name: "reset",
  group: "host",
  summary: "Reset the function (VFIO_DEVICE_RESET); everything registered with it is gone",
  args: {},
  options: {},
  access: "write",
  examples: ["reset"],
  run({ target }) {
    target.driver.reset();
    return { address: target.zdev.name, fh: hex(target.fn.fh, 8) };
  },
});

const DRIVER = choice("DRIVER", DRIVERS);

export const bind = defineCommand({
  name: "bind",
  group: "host",
  summary: "Bind a driver to the function",
  details:
    `Writes driver_override, unbinds the old driver and probes, as driverctl does. With --no-override only the
driver's bind file is written: vfio drivers refuse that with ENODEV.`,
  args: {},
  options: {
    driver: defaulted(DRIVER, "ism_vfio_pci", "ism_vfio_pci, vfio-pci, or ism (the kernel's own driver)"),
    noOverride: flag("write the driver's bind file only"),
  },
  access: "write",
  examples: ["bind --driver vfio-pci", "bind"],
  run({ target }, { driver, noOverride }) {
    const binding = target.guest.kernel.binding(target.zdev);
    binding.requirePciDevice();
    if (noOverride) binding.bind(driver);
    else {
      binding.override = driver;
      if (binding.driver !== undefined) binding.unbind();
      binding.probe();
    }
    return {
      address: target.zdev.name,
      driver: binding.driver ?? null,
      next: driver,
      waiting: binding.removing,
    };
  },
  text: ({ address, next, waiting }) =>
    waiting ? `${address} is open: ${next} takes it over after "ism close"` : "",
});

export const unbind = defineCommand({
  name: "unbind",
  group: "host",
  summary: "Take the function from its driver; waits while it is open",
  details:
    `An open function is not taken away: REQ is signalled, no new descriptor is handed out, and the unbind goes on
when the last descriptor is closed. --clear-override also clears driver_override.`,
  args: {},
  options: { clearOverride: flag("write a newline to driver_override first") },
  access: "write",
  examples: ["unbind"],
  run({ target }, { clearOverride }) {
    const binding = target.guest.kernel.binding(target.zdev);
    if (clearOverride) binding.override = undefined;
    const done = binding.unbind();
    return { address: target.zdev.name, waiting: !done };
  },
  text: ({ address, waiting }) => waiting ? `${address} is open: it is unbound after "ism close"` : "",
});

export const feature = defineCommand({
  name: "feature",
  group: "host",
  summary: "Call VFIO_DEVICE_FEATURE",
  args: {
    number: argument(number("NUMBER", { max: 0xffff }), "feature number; 3 is LOW_POWER_ENTRY, 11 DMA_BUF"),
  },
  options: {
    get: flag("with the GET flag"),
    set: flag("with the SET flag"),
    probe: flag("with the PROBE flag; the default if neither --get nor --set is given"),
    payload: optional(DATA, "bytes behind the header"),
  },
  access: "write",
  examples: ["expect ENOTTY feature 0", "expect EOPNOTSUPP feature 11 --probe", "feature 3 --set"],
  run(context, { number, get, set, probe, payload }) {
    const bytes = payload === undefined ? new Uint8Array(0) : context.load(payload);
    checkShown(bytes.length, "payload");
    const { GET, SET, PROBE } = FEATURE_FLAGS;
    const flags = number + (get ? GET : 0) + (set ? SET : 0) + (probe || (!get && !set) ? PROBE : 0);
    const arg = new Uint8Array(FEATURE.size + bytes.length);
    FEATURE.encode({ argsz: arg.length, flags }, arg);
    arg.set(bytes, FEATURE.size);
    const { driver, guest } = context.target;
    guest.kernel.process.ioctl(driver.descriptor.fd, DEVICE_IOCTL.VFIO_DEVICE_FEATURE, arg);
    return { number, data: arg.subarray(FEATURE.size).toHex() };
  },
});

export const dmaMap = defineCommand({
  name: "dma map",
  group: "host",
  summary: "Allocate guest memory and map it for DMA",
  args: {},
  options: {
    size: required(SIZE, "bytes; rounded up to whole pages"),
    iova: optional(IOVA, "DMA address; the lowest free one by default"),
  },
  access: "write",
  examples: ["dma map --size 64k"],
  run({ target }, { size, iova }) {
    const memory = target.driver.mapMemory(size, iova);
    return { iova: hex(memory.iova), size: memory.size, vaddr: hex(memory.vaddr) };
  },
  text: ({ iova }) => iova,
  value: ({ iova }) => iova,
});

export const dmaUnmap = defineCommand({
  name: "dma unmap",
  group: "host",
  summary: "Unmap DMA memory and free it",
  args: { iova: argument(IOVA, "DMA address"), size: optional(SIZE, "bytes; the whole mapping by default") },
  options: {},
  access: "write",
  examples: ["dma unmap 0x100000000 4k"],
  run({ target }, { iova, size }) {
    const length = size ?? target.driver.memory.find((memory) => memory.iova === iova)?.size ?? 4096;
    return { iova: hex(iova), unmapped: target.driver.unmapMemory(iova, length) };
  },
  value: ({ unmapped }) => String(unmapped),
});

export const dmaList = defineCommand({
  name: "dma list",
  group: "host",
  summary: "List the DMA mappings of the function",
  args: {},
  options: {},
  access: "read",
  examples: ["dma list"],
  run({ target }) {
    const mappings = target.zdev.domain?.mappings() ?? [];
    return {
      mappings: mappings.map(({ iova, size, vaddr, read, write }) => ({
        iova: hex(iova),
        size,
        vaddr: hex(vaddr),
        read,
        write,
      })),
    };
  },
  text({ mappings }, { terminal }) {
    const rows = mappings.map(({ iova, size, vaddr }) => [iova, sizeText(size), vaddr]);
    return renderTable([["IOVA", "SIZE", "ADDRESS"], ...rows], terminal.style);
  },
});

/** The process's own view of mapped memory. @throws {DriverError} if the range is not all mapped */
function mapped({ zdev, guest }: HostFunction, iova: number, length: number, write: boolean): Uint8Array {
  const mapping = zdev.domain?.tables.find(iova);
  if (mapping === undefined || iova + length > mapping.iova + mapping.size) {
    throw new DriverError(`${hex(iova)} to ${hex(iova + length)} is not all mapped; see "dma list"`);
  }
  const address = mapping.buffer.address + mapping.bufferOffset + iova - mapping.iova;
  return guest.kernel.process.memory(address, length, write);
}

export const dmaRead = defineCommand({
  name: "dma read",
  group: "host",
  summary: "Read the guest's own memory behind a DMA address",
  args: { iova: argument(IOVA, "DMA address"), count: argument(number("COUNT"), "bytes") },
  options: {},
  access: "read",
  examples: ["expect DRIVER dma read 0x100000000 16"],
  run({ target }, { iova, count }) {
    checkShown(count, "count");
    return { iova: hex(iova), length: count, data: mapped(target, iova, count, false).toHex() };
  },
  text: ({ data, iova }) => hexdump(Uint8Array.fromHex(data), BigInt(iova)).join("\n"),
  raw: ({ data }) => Uint8Array.fromHex(data),
  value: ({ data }) => `hex:${data}`,
});

export const dmaWrite = defineCommand({
  name: "dma write",
  group: "host",
  summary: "Write the guest's own memory behind a DMA address",
  args: { iova: argument(IOVA, "DMA address"), data: argument(DATA, "the bytes") },
  options: {},
  access: "write",
  examples: ["expect DRIVER dma write 0x100000000 text:nobody-home"],
  run(context, { iova, data }) {
    const bytes = context.load(data);
    mapped(context.target, iova, bytes.length, true).set(bytes);
    return { iova: hex(iova), length: bytes.length };
  },
});
