/** The descriptor of a fault queue of an iommufd (drivers/iommu/iommufd/eventq.c: iommufd_fault_fops). */
import { type FileState, OpenFile } from "../process/file.ts";
import { vfsError } from "../refusal.ts";
import { type Iommufd, IOMMUFD_SOURCE } from "./iommufd.ts";

/** Bytes of a fault that would be read, and of an answer that would be written. */
const FAULT_BYTES = 40;
const RESPONSE_BYTES = 8;

/** No function here can wait for a page, so nothing is ever read. */
export class FaultQueueFile extends OpenFile {
  override readonly kind = "fault-queue";
  override readonly hasData = true;
  readonly #iommufd: Iommufd;
  /** Object id of the queue. */
  readonly #queue: number;

  constructor(iommufd: Iommufd, queue: number) {
    super(iommufd.journal);
    this.#iommufd = iommufd;
    this.#queue = queue;
    iommufd.touch();
    iommufd.faultQueues.get(queue)!.open = true;
  }

  override get id(): number {
    return this.#iommufd.id;
  }

  override get path(): string {
    return "anon_inode:[iommufd-pgfault]";
  }

  /** @returns 0: the queue is empty @throws {ErrnoError} ESPIPE if the count is not that of whole faults */
  override read(_buffer: Uint8Array, count: number): number {
    if (count % FAULT_BYTES === 0) return 0;
    throw this.#odd("read", FAULT_BYTES);
  }

  /** @throws {ErrnoError} ESPIPE if the count is not that of whole answers, EINVAL for an answer to nothing */
  override write(_buffer: Uint8Array, count: number): number {
    if (count % RESPONSE_BYTES !== 0) throw this.#odd("write", RESPONSE_BYTES);
    if (count === 0) return 0;
    const source = `${IOMMUFD_SOURCE}/eventq.c: iommufd_fault_fops_write`;
    throw vfsError("EINVAL", "vfio.iommufd.others", "no fault", source, "No fault waits for an answer");
  }

  #odd(op: string, bytes: number) {
    const source = `${IOMMUFD_SOURCE}/eventq.c: iommufd_fault_fops_${op}`;
    return vfsError(
      "ESPIPE",
      "vfio.iommufd.others",
      "fault size",
      source,
      `A fault queue takes multiples of ${bytes} bytes`,
    );
  }

  override release(): void {
    const queue = this.#iommufd.faultQueues.get(this.#queue);
    this.#iommufd.touch();
    if (queue !== undefined) queue.open = false;
    this.#iommufd.releaseIfUnused();
  }

  override save(): Partial<FileState> {
    return { faultQueue: this.#queue };
  }
}
