/** IOVA_RANGES of an iommufd, for the tests of tests/kernel. */
import { assertEquals } from "@std/assert";
import type { Process } from "../../lib/vfio/process/process.ts";
import { IOCTL, PAGE, type Rig, u32, u64, words } from "./kernel.ts";

export const GIB = 2 ** 30;

/** First address, last address and alignment of an IOAS; there is one range. */
export function ranged(process: Process, iommufd: number, ioas: number): [bigint, bigint, bigint] {
  const memory = process.mmapAnonymous(PAGE);
  const arg = words(32, ioas, 1, 0, BigInt(memory), 0n);
  process.ioctl(iommufd, IOCTL.IOAS_IOVA_RANGES, arg);
  assertEquals(u32(arg, 8), 1);
  const range = process.memory(memory, 16, false).slice();
  process.munmap(memory);
  return [u64(range, 0), u64(range, 8), u64(arg, 24)];
}

/** As {@linkcode ranged}, of an opened rig. */
export function ranges(rig: Rig, ioas: number): [bigint, bigint, bigint] {
  return ranged(rig.process, rig.iommufd, ioas);
}
