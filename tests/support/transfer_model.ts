/** What a read or write of the device gives, from docs/reference/vfio/access.md alone. Imports nothing from lib. */
import type { Prediction, Span } from "./kernel_operations.ts";

const SSIZE_MAX = 2n ** 63n - 1n;
/** BARs of an ISM function, bytes (vfio.region.table). */
const BARS = [2n ** 48n, 0n, 0x1_0000n, 0n, 0n, 0n];

/** Its checks, in order. */
export function transfer(
  maxstbl: bigint,
  isBound: boolean,
  isWrite: boolean,
  position: bigint,
  { count, accessible }: Span,
): Prediction | number | string {
  if (count > SSIZE_MAX || position + count > SSIZE_MAX || !isBound) return "EINVAL";
  const [index, offset] = [Number(position >> 48n), position % 2n ** 48n];
  if (count === 0n) return 0;
  if (index === 7) return offset + count > 256n || accessible < count ? "EFAULT" : Number(count);
  const size = BARS[index] ?? 0n;
  if (offset >= size) return "EINVAL";
  const length = [count, size - offset, 0x7fff_f000n].reduce((a, b) => a < b ? a : b);
  if (!isWrite) return load(index, offset, length, accessible);
  if (length > maxstbl || offset % 4096n + length > 4096n) return "EINVAL";
  if (accessible < length) return "EFAULT";
  const instructions = [`PCISTB ${index} 0x${offset.toString(16)} ${length}`];
  return { result: index === 0 ? "EIO" : Number(length), instructions };
}

/**
 * vfio.read.loads: the widest aligned load that is left; a load whose bytes cannot be copied has happened all the same.
 */
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
