/** The VFIO life of a function: open, close, reset; DMA memory of the guest. */
import { hex } from "../../lib/base/hex.ts";
import { argument, defineCommand, optional, required } from "../command.ts";
import { DATA, number, SIZE } from "../kinds.ts";
import { renderTable } from "../terminal.ts";
import { hexdump } from "../text/hexdump.ts";
import { UsageError } from "../text/usage_error.ts";
import { sizeText } from "../units.ts";
import type { HostFunction } from "../../lib/host/host.ts";

const IOVA = number("IOVA");

export const open = defineCommand({
  name: "open",
  group: "host",
  summary: "Open the function: container, group, IOMMU, device; the kernel resets it",
  args: {},
  options: {},
  access: "write",
  examples: ["open", "open -d 1 --trace=syscall"],
  run({ target }) {
    const { fds } = target.driver.descriptor;
    return { address: target.zdev.name, container: fds[0], group: fds[1], device: fds[2] };
  },
});

export const close = defineCommand({
  name: "close",
  group: "host",
  summary: "Unregister everything and close the function; the kernel resets it",
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

/** The process's own view of mapped memory. @throws {UsageError} if the range is not all mapped */
function mapped({ zdev, guest }: HostFunction, iova: number, length: number, write: boolean): Uint8Array {
  const mapping = zdev.domain?.tables.find(iova);
  if (mapping === undefined || iova + length > mapping.iova + mapping.size) {
    throw new UsageError(`${hex(iova)} to ${hex(iova + length)} is not all mapped; see "dma list"`);
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
  examples: [],
  run({ target }, { iova, count }) {
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
  examples: [],
  run(context, { iova, data }) {
    const bytes = context.load(data);
    mapped(context.target, iova, bytes.length, true).set(bytes);
    return { iova: hex(iova), length: bytes.length };
  },
});
