/**
 * What mapping and unmapping give, type1 v2 and iommufd, from vfio.type1.unmap and vfio.iommufd.compat alone. Imports
 * nothing from lib.
 */

import type { MapModel } from "./mappings.ts";

/** A call: the fields that both interfaces have. `size` is the length of an IOAS_MAP. */
export interface MapCall {
  readonly op: "map" | "unmap";
  readonly flags: number;
  readonly vaddr: bigint;
  readonly iova: bigint;
  readonly size: bigint;
}

/** Bytes unmapped, 0 for a map that is done, or the name of an errno. */
export type Answer = bigint | string;
export type MapRules = (model: MapModel, call: MapCall) => Answer;

const TOP = 2n ** 64n;
const isAligned = (...values: bigint[]) => values.every((value) => value % 4096n === 0n);
const refuse = (...rows: [boolean, string][]) => rows.find(([holds]) => holds)?.[1];

/** vfio.type1.map and vfio.type1.unmap, flags READ 1 and WRITE 2 for a map, ALL 2 for an unmap. */
export const type1: MapRules = (model, { op, flags, vaddr, iova, size }) => {
  if (op === "map") {
    return refuse(
      [flags > 7, "EINVAL"],
      [size === 0n, "EINVAL"],
      [iova + size > TOP || vaddr + size > TOP, "EOVERFLOW"],
      [(flags & 3) === 0, "EINVAL"],
      [!isAligned(size, iova, vaddr), "EINVAL"],
      [model.touched(iova, size).length > 0, "EEXIST"],
      [model.isOutside(iova, size), "EINVAL"],
      [model.isForeign(vaddr, size), "EFAULT"],
    ) ?? model.add(iova, size);
  }
  if (flags === 2) return iova !== 0n || size !== 0n ? "EINVAL" : model.remove(0n, TOP);
  return refuse(
    [flags !== 0, "EINVAL"],
    [!isAligned(size, iova) || size === 0n, "EINVAL"],
    [iova + size > TOP, "EOVERFLOW"],
    [model.cuts(iova, size), "EINVAL"],
  ) ?? model.remove(iova, size);
};

/** vfio.iommufd.map with a device attached, flags FIXED_IOVA 1 (always set here), WRITEABLE 2, READABLE 4. */
export const iommufd: MapRules = (model, { op, flags, vaddr, iova, size }) => {
  if (op === "map") {
    return refuse(
      [flags > 7, "EOPNOTSUPP"],
      [iova === TOP - 1n || size === TOP - 1n, "EOVERFLOW"],
      [(flags & 6) === 0, "EINVAL"],
      [size === 0n, "EINVAL"],
      [iova + size > TOP || vaddr + size > TOP, "EOVERFLOW"],
      [!isAligned(size, iova), "EINVAL"],
      [model.isOutside(iova, size), "EINVAL"],
      [model.touched(iova, size).length > 0, "EEXIST"],
      // The reference gives no order for the alignment of the process's address; the kernel looks at it last.
      [!isAligned(vaddr), "EINVAL"],
      [model.isForeign(vaddr, size), "EFAULT"],
    ) ?? model.add(iova, size);
  }
  if (iova === 0n && size === TOP - 1n) return model.remove(0n, TOP);
  return refuse(
    [iova === TOP - 1n || size === TOP - 1n, "EOVERFLOW"],
    [size === 0n, "EINVAL"],
    [iova + size > TOP, "EOVERFLOW"],
    [model.touched(iova, size).length === 0, "ENOENT"],
  ) ?? model.removeUntilCut(iova, size) ?? "ENOENT";
};
