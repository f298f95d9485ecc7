/** Where a program reads and writes: positions, lines of 4 KiB, mmap. */
import { hex } from "../../base/hex.ts";
import { DEVICE_IOCTL, REGION, REGION_INFO } from "../../vfio/uapi.ts";
import type { AuditEvent, EventOf, Group, Report } from "./event.ts";

const LINE = 4096;

/** A region as GET_REGION_INFO told it. */
interface Told {
  readonly offset: number;
  readonly size: number;
}

/** How people call a region. */
export function regionName(index: number): string {
  return index === REGION.CONFIG ? "config space" : index <= REGION.BAR5 ? `BAR ${index}` : `region ${index}`;
}

/** What a position would be with regions 2^shift bytes apart; undefined if there is no such region. */
function guess(position: number, shift: number): string | undefined {
  const index = Math.floor(position / 2 ** shift);
  if (index >= REGION.COUNT) return undefined;
  return `${regionName(index)} + ${hex(position - index * 2 ** shift)} with regions 2^${shift} bytes apart`;
}

/** What somebody may have meant who does not ask. */
function guesses(position: number | bigint): string {
  if (typeof position === "bigint") return "";
  const found = [48, 40].map((shift) => guess(position, shift)).filter((text) => text !== undefined);
  return found.length === 0 ? "" : `: ${found.join(", or ")}`;
}

/** Findings about positions. */
export class Regions implements Group {
  readonly #told = new Map<number, Map<number, Told>>();

  see(event: AuditEvent, report: Report): void {
    switch (event.kind) {
      case "ioctl":
        return this.#learn(event);
      case "transfer":
        return this.#check(event, report);
      case "mmap":
        return report(
          "bar-mapped",
          event.origin,
          "mmap of a device descriptor is EINVAL, whatever is asked for",
        );
      case "closed":
        this.#told.delete(event.device);
    }
  }

  #learn({ device, request, arg, result }: EventOf<"ioctl">): void {
    if (request !== DEVICE_IOCTL.VFIO_DEVICE_GET_REGION_INFO || result !== 0) return;
    const { index, offset, size } = REGION_INFO.decode(arg);
    const told = this.#told.get(device) ?? new Map<number, Told>();
    this.#told.set(device, told.set(index, { offset, size }));
  }

  #check(
    { device, position, count, write, region, offset, origin }: EventOf<"transfer">,
    report: Report,
  ): void {
    const told = this.#told.get(device);
    if (!this.#explains(told, position)) {
      const regions = told?.size ?? 0;
      const known = regions === 0
        ? "of no region was the offset asked for"
        : `the offsets of ${regions} were asked for`;
      report("position-not-asked", origin, `position ${hex(position)}${guesses(position)}; ${known}`);
    }
    const inLine = offset % LINE;
    if (write && region >= 0 && region <= REGION.BAR5 && inLine + count > LINE) {
      const message = `${count} bytes at ${hex(offset)} of ${regionName(region)} cross ${
        hex(offset - inLine + LINE)
      }`;
      report("store-crosses-line", origin, message);
    }
  }

  #explains(told: ReadonlyMap<number, Told> | undefined, position: number | bigint): boolean {
    for (const { offset, size } of told?.values() ?? []) {
      if (position >= offset && position < offset + size) return true;
      // One behind the end is what a loop asks for that reads to the end.
      if (size > 0 && Number(position) === offset + size) return true;
    }
    return false;
  }
}
