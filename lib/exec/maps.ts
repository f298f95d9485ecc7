/** What /proc/PID/maps tells of a process's memory. */

/** A range of addresses of a process and what it may do there. */
export interface MemoryArea {
  readonly start: number;
  readonly end: number;
  readonly readable: boolean;
  readonly writable: boolean;
}

/** Areas of /proc/PID/maps that hold memory; those of the vDSO's data belong to the kernel, and nobody can pin them. */
export function parseMaps(text: string): MemoryArea[] {
  const areas: MemoryArea[] = [];
  for (const line of text.split("\n")) {
    const [, start, end, flags, name] = /^([0-9a-f]+)-([0-9a-f]+) (\S+) \S+ \S+ \S+ *(.*)$/.exec(line) ?? [];
    if (start === undefined || /^\[(vvar|vsyscall)/.test(name!)) continue;
    areas.push({
      start: parseInt(start, 16),
      end: parseInt(end!, 16),
      readable: flags![0] === "r",
      writable: flags![1] === "w",
    });
  }
  return areas;
}

/** Bytes from an address on, at most `length`, that the process may read, or write. */
export function accessibleBytes(
  areas: readonly MemoryArea[],
  address: number,
  length: number,
  write: boolean,
): number {
  let at = address;
  for (const { start, end, readable, writable } of areas) {
    if (end <= at) continue;
    if (start > at || at >= address + length || !(write ? writable : readable)) break;
    at = end;
  }
  return Math.min(length, at - address);
}

/** A part of a program or library that is code. */
export interface CodeArea {
  readonly start: number;
  readonly end: number;
  /** Where in the file it begins. Bytes. */
  readonly offset: number;
  readonly path: string;
}

/** Areas of /proc/PID/maps that hold code of a file. */
export function parseCode(text: string): CodeArea[] {
  const found = text.matchAll(/^([0-9a-f]+)-([0-9a-f]+) ..x. ([0-9a-f]+) \S+ \S+ +(\/.*)$/gm);
  return [...found].map(([, start, end, offset, path]) => ({
    start: parseInt(start!, 16),
    end: parseInt(end!, 16),
    offset: parseInt(offset!, 16),
    path: path!,
  }));
}
