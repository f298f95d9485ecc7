/**
 * Commands of an iommufd that set how it works: OPTION and VFIO_IOAS. Facts: vfio.iommufd.option and
 * vfio.iommufd.vfioioas (drivers/iommu/iommufd/main.c, ioas.c, vfio_compat.c).
 */
import type { Kernel } from "../kernel.ts";
import { coreError } from "../refusal.ts";
import {
  IOMMU_OPTION,
  IOMMU_OPTION_ID,
  IOMMU_OPTION_OP,
  IOMMUFD_IOCTL,
  VFIO_IOAS,
  VFIO_IOAS_OP,
} from "../uapi.ts";
import type { Ioas } from "./ioas.ts";
import { type Iommufd, IOMMUFD_SOURCE } from "./iommufd.ts";
import { type Command, readCommand, refuseCommand } from "./iommufd_struct.ts";
import { lockLimit } from "./locked_memory.ts";

/** By number. */
export const OPTION_COMMANDS: readonly (readonly [number, Command])[] = [
  [IOMMUFD_IOCTL.IOMMU_OPTION, option],
  [IOMMUFD_IOCTL.IOMMU_VFIO_IOAS, vfioIoas],
];

/** OPTION; what it gives back is the value, for SET the caller's own (main.c: iommufd_option). */
function option(iommufd: Iommufd, arg: Uint8Array, kernel: Kernel): void {
  const fields = readCommand(arg, IOMMU_OPTION, "main.c: iommufd_option");
  const source = `${IOMMUFD_SOURCE}/main.c: iommufd_option`;
  if (fields.reserved !== 0) {
    throw coreError("EOPNOTSUPP", "vfio.iommufd.option", "reserved", source, "Reserved must be 0");
  }
  if (fields.optionId === IOMMU_OPTION_ID.RLIMIT_MODE) {
    IOMMU_OPTION.encode({ val64: rlimitMode(iommufd, fields, kernel) }, arg);
  } else if (fields.optionId === IOMMU_OPTION_ID.HUGE_PAGES) {
    IOMMU_OPTION.encode({ val64: hugePages(iommufd.ioas(fields.objectId), fields) }, arg);
  } else {throw coreError(
      "EOPNOTSUPP",
      "vfio.iommufd.option",
      "option",
      source,
      `There is no option ${fields.optionId}`,
    );}
}

type OptionFields = ReturnType<typeof IOMMU_OPTION.decode>;

/** RLIMIT_MODE: of the whole context, while it has no object; a matter of privileged processes (CAP_SYS_RESOURCE). */
function rlimitMode(iommufd: Iommufd, { objectId, op, val64 }: OptionFields, kernel: Kernel): bigint {
  const symbol = "ioas.c: iommufd_option_rlimit_mode";
  if (objectId !== 0) {
    throw refuseCommand(
      "EOPNOTSUPP",
      "vfio.iommufd.option",
      "object",
      symbol,
      "The option belongs to no object",
    );
  }
  if (op === IOMMU_OPTION_OP.GET) return iommufd.rlimitMode ? 1n : 0n;
  if (op !== IOMMU_OPTION_OP.SET) {
    throw refuseCommand("EOPNOTSUPP", "vfio.iommufd.option", "operation", symbol, `No operation ${op}`);
  }
  if (lockLimit(kernel) !== Infinity) {
    throw refuseCommand(
      "EPERM",
      "vfio.iommufd.option",
      "privilege",
      symbol,
      "The process lacks CAP_SYS_RESOURCE",
    );
  }
  if (!iommufd.isEmpty) {
    throw refuseCommand(
      "EBUSY",
      "vfio.iommufd.option",
      "objects",
      symbol,
      "The iommufd has an object already",
    );
  }
  if (val64 > 1n) {
    throw refuseCommand("EINVAL", "vfio.iommufd.option", "value", symbol, `${val64} is neither 0 nor 1`);
  }
  iommufd.touch();
  iommufd.rlimitMode = val64 === 1n;
  return val64;
}

function hugePages(ioas: Ioas, { op, val64 }: OptionFields): bigint {
  const symbol = "ioas.c: iommufd_ioas_option_huge_pages";
  if (op === IOMMU_OPTION_OP.GET) return ioas.hugePages ? 1n : 0n;
  if (op !== IOMMU_OPTION_OP.SET) {
    throw refuseCommand("EOPNOTSUPP", "vfio.iommufd.option", "operation", symbol, `No operation ${op}`);
  }
  if (val64 > 1n) {
    throw refuseCommand("EINVAL", "vfio.iommufd.option", "value", symbol, `${val64} is neither 0 nor 1`);
  }
  ioas.setHugePages(val64 === 1n);
  return val64;
}

/** VFIO_IOAS: which IOAS the container ioctls work on (vfio_compat.c: iommufd_vfio_ioas). */
function vfioIoas(iommufd: Iommufd, arg: Uint8Array): void {
  const source = `${IOMMUFD_SOURCE}/vfio_compat.c: iommufd_vfio_ioas`;
  const { ioasId, op, reserved } = readCommand(arg, VFIO_IOAS, "vfio_compat.c: iommufd_vfio_ioas");
  if (reserved !== 0) {
    throw coreError("EOPNOTSUPP", "vfio.iommufd.vfioioas", "reserved", source, "Reserved must be 0");
  }
  switch (op) {
    case VFIO_IOAS_OP.GET:
      VFIO_IOAS.encode({ ioasId: iommufd.compatIoas().id }, arg);
      return;
    case VFIO_IOAS_OP.SET:
      iommufd.touch();
      iommufd.vfioIoas = iommufd.ioas(ioasId).id;
      return;
    case VFIO_IOAS_OP.CLEAR:
      iommufd.touch();
      iommufd.vfioIoas = undefined;
      return;
  }
  throw coreError("EOPNOTSUPP", "vfio.iommufd.vfioioas", "operation", source, `There is no operation ${op}`);
}
