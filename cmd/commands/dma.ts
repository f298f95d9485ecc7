/** DMA memory of the guest: mapping it, and the driver process's own loads and stores. */
import { hex } from "../../lib/base/hex.ts";
import { PAGE_SIZE } from "../../lib/zpci/storage.ts";
import { argument, defineCommand, optional, required } from "../language/command.ts";
import { defineListing } from "../language/listing.ts";
import { mappedMemory } from "../run/driver/mapped_memory.ts";
import { dmaSpace } from "../run/driver/dma_space.ts";
import { DATA, number, SIZE } from "../language/kinds.ts";
import { checkShown } from "../language/limits.ts";
import { dumpText } from "../output/hexdump.ts";
import { sizeText } from "../output/units.ts";

export const IOVA = number("IOVA");

export const dmaMap = defineCommand({
  name: "dma map",
  group: "host",
  summary: "Allocate guest memory and map it for DMA",
  details:
    `A function that is not open is opened, as by other commands, unless "fd open" and "ioctl" have given it an
IOMMU already: the memory is mapped there then.`,
  args: {},
  options: {
    size: required(SIZE, "bytes; rounded up to whole pages"),
    iova: optional(IOVA, "DMA address; the lowest free one by default"),
  },
  access: "write",
  examples: ["dma map --size 64k"],
  run({ target }, { size, iova }) {
    const memory = dmaSpace(target).map(size, iova);
    return { iova: hex(memory.iova), size: memory.size, vaddr: hex(memory.vaddr) };
  },
  text: ({ iova }) => iova,
  value: ({ iova }) => iova,
});

export const dmaUnmap = defineCommand({
  name: "dma unmap",
  group: "host",
  summary: "Unmap DMA memory; what dma map allocated for an open function is freed",
  args: { iova: argument(IOVA, "DMA address"), size: optional(SIZE, "bytes; the whole mapping by default") },
  options: {},
  access: "write",
  examples: ["dma unmap 0x100000000 4k"],
  run({ target }, { iova, size }) {
    const mapping = target.zdev.domain?.mappings().find((each) => each.iova === iova);
    return { iova: hex(iova), unmapped: dmaSpace(target).unmap(iova, size ?? mapping?.size ?? PAGE_SIZE) };
  },
  value: ({ unmapped }) => String(unmapped),
});

export const dmaList = defineListing({
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
  table: {
    columns: [
      { name: "iova" },
      { name: "size" },
      { name: "vaddr", head: "ADDRESS", drop: 2 },
      { name: "access", drop: 1 },
    ],
    rows: ({ mappings }) =>
      mappings.map(({ iova, size, vaddr, read, write }) => [
        iova,
        { value: size, shown: sizeText(size) },
        vaddr,
        [read ? "read" : "", write ? "write" : ""].join(" ").trim(),
      ]),
  },
});

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
    return { iova: hex(iova), length: count, data: mappedMemory(target, iova, count, false).toHex() };
  },
  text: ({ data, iova }, { terminal }) => dumpText(terminal, Uint8Array.fromHex(data), BigInt(iova)),
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
    mappedMemory(context.target, iova, bytes.length, true).set(bytes);
    return { iova: hex(iova), length: bytes.length };
  },
});
