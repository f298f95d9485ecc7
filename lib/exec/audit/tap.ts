/** Makes the events of an audit out of the calls of a running program. */
import { DeviceFile } from "../../vfio/device_file.ts";
import type { VfioDevice } from "../../vfio/device.ts";
import type { EventFd } from "../../vfio/process/eventfd.ts";
import { CONTAINER_IOCTL, IOAS_IOVA_RANGES, IOMMUFD_IOCTL, IOVA_RANGE } from "../../vfio/uapi.ts";
import { type Call, PROCEED } from "../call.ts";
import type { CallName } from "../calls.ts";
import { isPending } from "../eventfds.ts";
import type { Observer } from "../observer.ts";
import { copyFrom, Scratch } from "../user_copy.ts";
import type { Auditor } from "./auditor.ts";
import type { Origin } from "./event.ts";
import { siteOf } from "./site.ts";

/** As much of a struct, of ranges, of a vector as is looked at. Bytes. */
const STRUCT_BYTES = 1024;
const SEGMENT_BYTES = 16;
/** As much of a command or its response as is looked at. */
const COMMAND_BYTES = 64;
const COMMAND_BAR = 2;
/** SBA: summary and event in the first byte, then a bit for each DMB index (ism.sba.layout). */
const SBA = { SUMMARY: 0x80, EVENT: 0x40, BITS_AT: 4, BITS_END: 244 } as const;

/** Calls that move bytes: whether they write, whether they take a vector, which argument is the position. */
const TRANSFERS: Readonly<
  Partial<Record<CallName, readonly [write: boolean, vector: boolean, position?: 3]>>
> = {
  pread64: [false, false, 3],
  pwrite64: [true, false, 3],
  read: [false, false],
  write: [true, false],
  readv: [false, true],
  writev: [true, true],
  preadv: [false, true, 3],
  pwritev: [true, true, 3],
  preadv2: [false, true, 3],
  pwritev2: [true, true, 3],
};
const NO_POSITION = 2n ** 64n - 1n;

/** A device that the program has open. */
interface Tracked {
  readonly device: VfioDevice;
  readonly number: number;
  /** The process that used it last. */
  process: number;
  /** The summary bit was seen clear when so many MSIs had come to this eventfd: until the next one there is nothing to see. */
  clear: { readonly eventfd: EventFd | undefined; readonly count: bigint | undefined } | undefined;
}

const scratch = new Scratch(STRUCT_BYTES);
/** The SBA as far as it has bits. */
const sba = new Uint8Array(SBA.BITS_END);

/** Bytes of the calling process, as far as they can be read. */
function bytesAt({ thread }: Call, address: number, length: number): Uint8Array {
  const count = copyFrom(thread, address, scratch, 0, Math.min(length, STRUCT_BYTES));
  return scratch.bytes.slice(0, count);
}

/** Bytes that a call has just moved; where it had one buffer they are still there, if that was not too long. */
function movedBytes(call: Call, isVector: boolean, address: number, length: number): Uint8Array {
  const { listener, scratch: { bytes } } = call;
  if (isVector || listener.long(2) > bytes.length) return bytesAt(call, address, length);
  return bytes.slice(0, length);
}

/** Makes events of calls, for one audit. */
export class AuditTap implements Observer {
  readonly #auditor: Auditor;
  readonly #devices = new Map<VfioDevice, Tracked>();
  #opens = 0;
  #calls = 0;

  constructor(auditor: Auditor) {
    this.#auditor = auditor;
  }

  before(name: CallName, call: Call): void {
    this.#calls++;
    this.#sweep();
    for (const tracked of this.#devices.values()) {
      if (tracked.process === call.process.id) this.#sample(tracked, name, call);
    }
  }

  after(name: CallName, call: Call, value: number): void {
    if (value === PROCEED) return;
    const transfer = TRANSFERS[name];
    if (transfer === undefined && name !== "ioctl" && name !== "mmap") return;
    const file = call.process.table.ours(call.listener.int(name === "mmap" ? 4 : 0));
    const origin = this.#origin(name, call);
    for (const tracked of this.#devices.values()) this.#lookForErrors(tracked, origin);
    if (file instanceof DeviceFile) {
      const tracked = this.#track(file.device, origin);
      if (tracked === undefined) return;
      tracked.process = call.process.id;
      if (transfer !== undefined) this.#transfer(tracked, file, transfer, call, value, origin);
      else if (name === "ioctl") this.#ioctl(tracked.number, call, value, origin);
      else if (name === "mmap") this.#auditor.see({ kind: "mmap", device: tracked.number, origin });
    } else if (name === "ioctl" && (file?.kind === "container" || file?.kind === "iommufd")) {
      this.#iommu(call, value, origin);
    }
  }

  end(): void {
    this.#sweep();
  }

  #origin(name: CallName, { process, thread }: Call): Origin {
    return { process: process.id, thread, call: name, number: this.#calls, site: () => siteOf(thread) };
  }

  /** The number of a device's open; undefined while it is not open. */
  #track(device: VfioDevice, origin: Origin): Tracked | undefined {
    const known = this.#devices.get(device);
    if (known !== undefined || device.openCount === 0) return known;
    const tracked = { device, number: ++this.#opens, process: origin.process, clear: undefined };
    this.#devices.set(device, tracked);
    const { userRecovery } = device.kernel;
    this.#auditor.see({ kind: "opened", device: tracked.number, userRecovers: userRecovery, origin });
    return tracked;
  }

  /** Devices whose last descriptor is closed. */
  #sweep(): void {
    for (const { device, number } of this.#devices.values()) {
      if (device.openCount > 0) continue;
      this.#devices.delete(device);
      this.#auditor.see({ kind: "closed", device: number });
    }
  }

  /** The SBA as it is while the program waits. */
  #sample(tracked: Tracked, name: CallName, call: Call): void {
    const { device, number, clear } = tracked;
    const eventfd = device.msi?.[0];
    if (clear !== undefined && clear.eventfd === eventfd && clear.count === eventfd?.count) return;
    const iova = this.#auditor.sbaOf(number);
    const entry = iova === undefined ? undefined : device.zdev.domain?.tables.find(iova);
    if (iova === undefined || entry === undefined) return;
    const at = iova - entry.iova + entry.bufferOffset;
    entry.buffer.load(at, sba, SBA.BITS_END);
    const summary = (sba[0]! & SBA.SUMMARY) !== 0;
    let bits = (sba[0]! & SBA.EVENT) !== 0;
    for (let i = SBA.BITS_AT; summary && !bits && i < SBA.BITS_END; i++) bits = sba[i] !== 0;
    tracked.clear = summary ? undefined : { eventfd, count: eventfd?.count };
    // Where nobody can know whether the interrupt was taken it may not have been.
    const interrupted = () => isPending(eventfd) ?? true;
    const origin = this.#origin(name, call);
    this.#auditor.see({ kind: "sba", device: number, summary, bits, interrupted, origin });
  }

  #lookForErrors({ device, number }: Tracked, origin: Origin): void {
    const waiting = device.kernel.binding(device.zdev).errors.events.length;
    if (waiting > 0) this.#auditor.see({ kind: "errors", device: number, waiting, origin });
  }

  #transfer(
    { device, number }: Tracked,
    file: DeviceFile,
    [write, isVector, positionAt]: NonNullable<(typeof TRANSFERS)[CallName]>,
    call: Call,
    value: number,
    origin: Origin,
  ): void {
    const { listener } = call;
    const given = positionAt === undefined ? NO_POSITION : listener.offset(positionAt);
    const start = given === NO_POSITION ? file.position - Math.max(value, 0) : given;
    let moved = 0;
    for (
      const [address, count] of isVector ? segmentsOf(call) : [[listener.long(1), listener.long(2)] as const]
    ) {
      const position = typeof start === "number" ? start + moved : start + BigInt(moved);
      const part = value < 0 ? value : Math.min(count, value - moved);
      const isExact = typeof position === "number" && device.openCount > 0;
      const region = isExact ? device.layout.indexAt(position) : -1;
      const offset = isExact ? device.layout.offsetAt(position) : 0;
      const data = region === COMMAND_BAR && part > 0 && offset < COMMAND_BYTES
        ? movedBytes(call, isVector, address, Math.min(part, COMMAND_BYTES))
        : undefined;
      const result = part;
      this.#auditor.see({
        kind: "transfer",
        device: number,
        write,
        position,
        count,
        result,
        region,
        offset,
        data,
        origin,
      });
      if (part < count) return;
      moved += part;
    }
  }

  #ioctl(device: number, call: Call, result: number, origin: Origin): void {
    const arg = bytesAt(call, call.listener.long(2), STRUCT_BYTES);
    this.#auditor.see({ kind: "ioctl", device, request: call.listener.uint(1), arg, result, origin });
  }

  #iommu(call: Call, result: number, origin: Origin): void {
    const request = call.listener.uint(1);
    if (request === CONTAINER_IOCTL.VFIO_SET_IOMMU) return;
    const arg = bytesAt(call, call.listener.long(2), STRUCT_BYTES);
    let ranges: Uint8Array | undefined = undefined;
    if (request === IOMMUFD_IOCTL.IOMMU_IOAS_IOVA_RANGES && arg.length >= IOAS_IOVA_RANGES.size) {
      const { numIovas, allowedIovas } = IOAS_IOVA_RANGES.decode(arg);
      ranges = bytesAt(call, Number(allowedIovas), numIovas * IOVA_RANGE.size);
    }
    this.#auditor.see({ kind: "iommu", request, arg, ranges, result, origin });
  }
}

/** Addresses and lengths of the caller's vector. */
function segmentsOf(call: Call): (readonly [address: number, length: number])[] {
  const bytes = bytesAt(call, call.listener.long(1), call.listener.long(2) * SEGMENT_BYTES);
  const words = new BigUint64Array(bytes.buffer, 0, Math.floor(bytes.length / 8));
  const found: (readonly [number, number])[] = [];
  for (let i = 0; i + 1 < words.length; i += 2) found.push([Number(words[i]), Number(words[i + 1])]);
  return found;
}
