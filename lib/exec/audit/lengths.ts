/** How much a program moves at a time: the limit of a store block, and results that are less than was asked for. */
import { hex } from "../../base/hex.ts";
import { CAP_HEADER, CAP_ID, DEVICE_FLAGS, DEVICE_INFO, DEVICE_IOCTL, ZPCI_GROUP } from "../../vfio/uapi.ts";
import type { AuditEvent, EventOf, Group, Report } from "./event.ts";
import { regionName } from "./regions.ts";

/** What the group capability always says as maxstbl. */
const MAXSTBL = 128;
/** So many store blocks of that length, one behind the other, are no accident. */
const IN_A_ROW = 4;
const DATA_BAR = 0;

/** The bytes of a capability in an info chain; undefined if it is not there. */
export function capability(arg: Uint8Array, wanted: number): Uint8Array | undefined {
  if (arg.length < DEVICE_INFO.size) return undefined;
  const { argsz, flags, capOffset } = DEVICE_INFO.decode(arg);
  if ((flags & DEVICE_FLAGS.CAPS) === 0) return undefined;
  const end = Math.min(argsz, arg.length);
  for (let at = capOffset; at > 0 && at + CAP_HEADER.size <= end;) {
    const { id, next } = CAP_HEADER.decode(arg.subarray(at));
    if (id === wanted) return arg.subarray(at, end);
    if (next <= at) return undefined;
    at = next;
  }
  return undefined;
}

/** What is known of an open device. */
interface Lengths {
  /** imaxstbl, once the program could have read it. */
  limit: number | undefined;
  /** Store blocks of 128 bytes in a row, and where the next one would begin. */
  row: number;
  next: number | bigint;
}

/** A transfer that moved less than was asked for. */
interface Short {
  readonly device: number;
  readonly write: boolean;
  readonly next: number | bigint;
  readonly text: string;
}

function plus(position: number | bigint, count: number): number | bigint {
  return typeof position === "number" ? position + count : position + BigInt(count);
}

/** Findings about the limit of a store block. */
export class StoreLimits implements Group {
  readonly #devices = new Map<number, Lengths>();

  see(event: AuditEvent, report: Report): void {
    if (event.kind === "closed") this.#devices.delete(event.device);
    else if (event.kind === "ioctl") this.#learn(event);
    else if (event.kind === "transfer" && event.write && event.region === DATA_BAR) {
      this.#check(event, report);
    }
  }

  #of(device: number): Lengths {
    let found = this.#devices.get(device);
    if (found === undefined) this.#devices.set(device, found = { limit: undefined, row: 0, next: -1 });
    return found;
  }

  #learn({ device, request, arg, result }: EventOf<"ioctl">): void {
    if (request !== DEVICE_IOCTL.VFIO_DEVICE_GET_INFO || result !== 0) return;
    const group = capability(arg, CAP_ID.ZPCI_GROUP);
    if (group === undefined || group.length < ZPCI_GROUP.size) return;
    if (CAP_HEADER.decode(group).version >= 2) this.#of(device).limit = ZPCI_GROUP.decode(group).imaxstbl;
  }

  #check({ device, position, count, origin }: EventOf<"transfer">, report: Report): void {
    const state = this.#of(device);
    if (count > MAXSTBL && state.limit === undefined) {
      report(
        "limit-not-asked",
        origin,
        `a store block of ${count} bytes, and the group capability was never read`,
      );
    }
    state.row = count === MAXSTBL ? (position === state.next ? state.row + 1 : 1) : 0;
    state.next = plus(position, count);
    if (state.row === IN_A_ROW && (state.limit ?? Infinity) > MAXSTBL) {
      const limit = state.limit === undefined ? "" : `, and the limit is ${state.limit}`;
      report("limit-is-maxstbl", origin, `${IN_A_ROW} store blocks of ${MAXSTBL} bytes in a row${limit}`);
    }
  }
}

/** The program goes on behind bytes that were never moved. */
export class Results implements Group {
  /** By thread: what the last transfer did not do. */
  readonly #short = new Map<number, Short>();

  see(event: AuditEvent, report: Report): void {
    if (event.kind !== "transfer") return;
    const { device, write, position, count, result, region, offset, origin } = event;
    const last = this.#short.get(origin.thread);
    if (last !== undefined && last.device === device && last.write === write && last.next === position) {
      report("result-not-checked", origin, `${last.text}, and the next call goes on at ${hex(position)}`);
    }
    if (result >= count) {
      this.#short.delete(origin.thread);
      return;
    }
    const moved = result < 0 ? "failed" : `moved ${result}`;
    const text = `${origin.call} of ${count} bytes at ${hex(offset)} of ${regionName(region)} ${moved}`;
    this.#short.set(origin.thread, { device, write, next: plus(position, count), text });
  }
}
