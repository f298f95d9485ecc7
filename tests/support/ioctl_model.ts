/** What ioctls give, a table per kind of descriptor, from docs/reference/vfio alone. Imports nothing from lib. */
import type { Call, Node } from "./kernel_operations.ts";
import type { KernelModel } from "./kernel_model.ts";

/** A container, or an iommufd in its place: `compat` once a group was in it. */
export interface Box {
  type: number;
  readonly iommu: boolean;
  compat: boolean;
}

/** An open descriptor. */
export interface File {
  readonly kind: Node | "device";
  readonly box: Box;
  position: bigint;
  bound: boolean;
}

/** A return value, the name of an errno, or undefined where the reference is silent. */
export type Result = number | string | undefined;
type Rule = (model: KernelModel, file: File, value: number) => Result;

/** The errno of the first condition that holds. */
const refuse = (...rows: [boolean, string][]) => rows.find(([holds]) => holds)?.[1];
const extension = (...silent: number[]): Rule => (_, __, value) =>
  silent.includes(value) ? undefined : +[1, 3, 9].includes(value);

/** ioctls by kind of descriptor (vfio.ioctl.unknown); a call that is not in the table is unknown to the kind. */
export const IOCTLS: Record<File["kind"], Partial<Record<Call, Rule>>> = {
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
    BIND_IOMMUFD(model, file, slot) { // vfio.cdev.bind, in its order.
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
    GET_IRQ_INFO: ({ is71 }, __, index) => index > 4 || (is71 && index === 3) ? "EINVAL" : 0,
    RESET: () => 0,
    FEATURE(model, _, flags) { // vfio.feature.order
      const n = flags & 0xffff;
      const [get, set, probe] = [0x1_0000, 0x2_0000, 0x4_0000].map((bit) => (flags & bit) !== 0);
      const reads = n === 13 && !model.is71; // vfio.feature.zpcierror; without room for its payload
      const wrong = reads ? set || !probe : get || (!set && !probe) || (n === 3 && !probe && model.lowPower);
      const absent = ![3, 5, 12].includes(n) && !reads;
      const both = !!(get && set && !probe);
      const last = refuse([n === 11, "EOPNOTSUPP"], [absent, "ENOTTY"], [n === 12 || !!wrong, "EINVAL"]);
      const no = flags > 0x7_ffff || both ? "EINVAL" : last;
      if (no === undefined && !probe) model.lowPower = n === 3;
      return no ?? 0;
    },
  },
  device: {},
};
IOCTLS.device = IOCTLS.cdev;
