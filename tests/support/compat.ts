/** An iommufd in the place of a container, for the tests of tests/kernel. */
import { assertEquals } from "@std/assert";
import {
  type Choices,
  cString,
  IOCTL,
  type Outcome,
  PAGE,
  Rig,
  START_DMA,
  u32,
  u64,
  words,
} from "./kernel.ts";

const READ = 1;
const WRITE = 2;
/** First address that may be mapped. */
export const IOVA = BigInt(START_DMA);
/** 4 pages. */
export const MEMORY = 4 * PAGE;
/** Operations of IOMMU_VFIO_IOAS. */
export const GET = 0;
const SET = 1;
export const CLEAR = 2;

/** Fields of MAP_DMA; what is left out is one page at the start of the range. */
export interface Mapping {
  readonly argsz?: number;
  readonly flags?: number;
  readonly vaddr?: bigint;
  readonly iova?: bigint;
  readonly size?: bigint;
}

/** An iommufd and a group, and 4 pages of memory of the process. */
export class Compat {
  readonly rig: Rig;
  readonly vaddr: bigint;

  constructor(
    { joined = true, open = false, type }: { joined?: boolean; open?: boolean; type?: number } = {},
    choices: Choices = {},
  ) {
    this.rig = new Rig(choices);
    const { process } = this.rig;
    this.rig.iommufd = process.open("/dev/iommu");
    this.rig.group = process.open("/dev/vfio/0");
    this.vaddr = BigInt(process.mmapAnonymous(MEMORY));
    if (joined) assertEquals(this.join(), 0);
    if (type !== undefined) assertEquals(this.setIommu(type), 0);
    if (open) this.rig.device = this.rig.deviceFd();
  }

  ioctl(request: number, arg: Uint8Array | number = 0, effect = false): Outcome {
    return this.rig.ioctl(this.rig.iommufd, request, arg, { effect });
  }

  join(): Outcome {
    return this.rig.ioctl(this.rig.group, IOCTL.GROUP_SET_CONTAINER, words(this.rig.iommufd));
  }

  unset(): Outcome {
    return this.rig.ioctl(this.rig.group, IOCTL.GROUP_UNSET_CONTAINER);
  }

  setIommu(type: number): Outcome {
    return this.ioctl(IOCTL.SET_IOMMU, type);
  }

  deviceFd(effect = false): Outcome {
    const { group, name } = this.rig;
    return this.rig.ioctl(group, IOCTL.GROUP_GET_DEVICE_FD, cString(name), { effect });
  }

  map(
    { argsz = 32, flags = READ | WRITE, vaddr = this.vaddr, iova = IOVA, size = 4096n }: Mapping = {},
  ): Outcome {
    return this.ioctl(IOCTL.MAP_DMA, words(argsz, flags, vaddr, iova, size));
  }

  /** The size that the kernel wrote back, and the result. */
  unmap(iova: bigint, size: bigint, flags = 0, argsz = 24): [Outcome, bigint] {
    const arg = words(argsz, flags, iova, size);
    const result = this.ioctl(IOCTL.UNMAP_DMA, arg, true);
    return [result, u64(arg, 16)];
  }

  /** IOVA and size of what is mapped, in pages from the start of the range. */
  get mapped(): string {
    const mappings = this.ioas(this.compatId as number)!.domain.mappings();
    return mappings.map(({ iova, size }) => `${(iova - START_DMA) / PAGE}+${size / PAGE}`).join(" ");
  }

  ioas(id: number) {
    const { kernel } = this.rig.target.guest;
    return [...kernel.iommufds.values()][0]!.ioases.get(id);
  }

  /** Id of the compatibility IOAS, or the errno. */
  get compatId(): Outcome {
    const arg = words(12, 0, GET);
    const result = this.ioctl(IOCTL.VFIO_IOAS, arg);
    return result === 0 ? u32(arg, 4) : result;
  }

  choose(id: number): Outcome {
    return this.ioctl(IOCTL.VFIO_IOAS, words(12, id, SET));
  }

  clear(): Outcome {
    return this.ioctl(IOCTL.VFIO_IOAS, words(12, 0, CLEAR));
  }

  get status(): number {
    const arg = words(8, 0xffff_ffff);
    assertEquals(this.rig.ioctl(this.rig.group, IOCTL.GROUP_GET_STATUS, arg), 0);
    return u32(arg, 4);
  }
}
