/**
 * /dev/iommu: the descriptor of an iommufd. Other numbers than those of its own commands go to the VFIO compatibility
 * layer, which is in iommufd_compat.ts (drivers/iommu/iommufd/main.c).
 */
import type { Kernel } from "../kernel.ts";
import { type IoctlArg, notATty, OpenFile } from "../process/file.ts";
import { coreError, structArgument } from "../refusal.ts";
import { IOMMU_DESTROY, IOMMUFD_IOCTL } from "../uapi.ts";
import { HWPT_COMMANDS } from "./hwpt_commands.ts";
import { IOAS_COMMANDS } from "./ioas_commands.ts";
import { type Iommufd, IOMMUFD_SOURCE } from "./iommufd.ts";
import { iommufdContainerIoctl } from "./iommufd_compat.ts";
import { OPTION_COMMANDS } from "./iommufd_options.ts";
import { type Command, readCommand } from "./iommufd_struct.ts";
import { VIOMMU_COMMANDS } from "./viommu_commands.ts";

/** First command number of iommufd itself. */
const FIRST_COMMAND = 0x3b80;

const COMMANDS: ReadonlyMap<number, Command> = new Map<number, Command>([
  [IOMMUFD_IOCTL.IOMMU_DESTROY, destroy],
  ...IOAS_COMMANDS,
  ...OPTION_COMMANDS,
  ...HWPT_COMMANDS,
  ...VIOMMU_COMMANDS,
]);

/** A descriptor of /dev/iommu. */
export class IommufdFile extends OpenFile {
  override readonly kind = "iommufd";
  override readonly positioned = true;
  readonly iommufd: Iommufd;
  readonly #kernel: Kernel;

  constructor(kernel: Kernel, iommufd: Iommufd) {
    super(kernel.journal);
    this.#kernel = kernel;
    this.iommufd = iommufd;
  }

  override get id(): number {
    return this.iommufd.id;
  }

  override get path(): string {
    return "/dev/iommu";
  }

  /** Only what a virtual IOMMU offers can be mapped, shared, and there is none. @throws {ErrnoError} EINVAL, ENXIO */
  override mmap(shared: boolean): number {
    const source = `${IOMMUFD_SOURCE}/main.c: iommufd_fops_mmap`;
    if (!shared) {
      throw coreError(
        "EINVAL",
        "vfio.mmap.others",
        "private mapping",
        source,
        "An iommufd is mapped shared and writable",
      );
    }
    throw coreError("ENXIO", "vfio.mmap.others", "no mmap", source, "Nothing of an iommufd can be mapped");
  }

  override ioctl(request: number, arg: IoctlArg): number {
    if (request < FIRST_COMMAND) {
      const result = iommufdContainerIoctl(this.iommufd, request, arg, this.#kernel.current.space);
      if (result === undefined) throw notATty(this.kind, request);
      return result;
    }
    const command = COMMANDS.get(request);
    if (command === undefined) throw notATty(this.kind, request);
    command(this.iommufd, structArgument(arg), this.#kernel);
    return 0;
  }

  override release(): void {
    this.iommufd.touch();
    this.iommufd.open = false;
    this.iommufd.releaseIfUnused();
  }
}

function destroy(iommufd: Iommufd, arg: Uint8Array): void {
  iommufd.destroy(readCommand(arg, IOMMU_DESTROY, "main.c: iommufd_destroy").id);
}
