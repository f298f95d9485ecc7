/**
 * The file `config` of a function: config space of the machine, past the shadow that vfio shows. What the machine refuses
 * reads as ones, and is lost when written. Facts: drivers/pci/pci-sysfs.c: pci_read_config, pci_write_config.
 */
import { quietly } from "../errno.ts";
import type { Zdev } from "../s390/zdev.ts";
import type { Attribute } from "./node.ts";

const CONFIG_BYTES = 256;
type Width = 1 | 2 | 4;

/** Pieces of `count` bytes at `at`: aligned up to a dword, then dwords, then what is left. */
function* pieces(at: number, count: number): Generator<readonly [offset: number, width: Width]> {
  const end = at + count;
  let offset = at;
  while (offset < end) {
    const left = end - offset;
    const width = offset % 2 === 1 || left < 2 ? 1 : offset % 4 === 2 || left < 4 ? 2 : 4;
    yield [offset, width];
    offset += width;
  }
}

/** The file of a function. */
export function configFile(zdev: Zdev): Attribute {
  return {
    kind: "attribute",
    size: CONFIG_BYTES,
    active: true,
    read(at, count) {
      const bytes = new Uint8Array(count).fill(0xff);
      for (const [offset, width] of pieces(at, count)) {
        quietly(() => {
          const value = zdev.configLoad(offset, width);
          for (let i = 0; i < width; i++) bytes[offset - at + i] = Math.floor(value / 2 ** (8 * i)) % 256;
        });
      }
      return bytes;
    },
    write(bytes, at) {
      for (const [offset, width] of pieces(at, bytes.length)) {
        let value = 0;
        for (let i = 0; i < width; i++) value += bytes[offset - at + i]! * 2 ** (8 * i);
        quietly(() => zdev.configStore(offset, width, value));
      }
      return { count: bytes.length, waits: false };
    },
  };
}
