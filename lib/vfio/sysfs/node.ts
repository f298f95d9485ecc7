/** What sysfs is made of: directories, links, attributes. Facts: fs/sysfs/file.c, fs/kernfs/file.c. */
import type { ErrnoError } from "../errno.ts";
import { vfsError } from "../refusal.ts";

/** A directory; what lies in it is made when it is asked for. */
export interface Directory {
  readonly kind: "directory";
  readonly entries: ReadonlyMap<string, () => SysfsNode>;
}

/** A symbolic link, relative to the directory in which it lies. */
export interface Link {
  readonly kind: "link";
  readonly target: string;
}

/** What came of a write. */
export interface Written {
  /** Bytes taken. */
  readonly count: number;
  /** The call does not come back before the function is closed. */
  readonly waits: boolean;
}

/** A file: text, or bytes with positions. Without `read` it is write-only, without `write` read-only. */
export interface Attribute {
  readonly kind: "attribute";
  /** Bytes of a binary attribute, which is read and written at positions; text has no size. */
  readonly size?: number;
  /** Reading it does something: lists show its size alone. */
  readonly active?: boolean;
  /** `count` bytes from `at` on; all of a text. */
  read?(at: number, count: number): Uint8Array;
  /** @throws {ErrnoError} */
  write?(bytes: Uint8Array, at: number): Written;
}

export type SysfsNode = Directory | Link | Attribute;

/** Most bytes that one write hands to an attribute, and the size of one that has none of its own. */
export const PAGE_BYTES = 4096;

/** A directory of nodes by name. */
export function directory(entries: Readonly<Record<string, () => SysfsNode>>): Directory {
  return { kind: "directory", entries: new Map(Object.entries(entries)) };
}

/** A link. */
export function link(target: string): Link {
  return { kind: "link", target };
}

/** A line of text that can be read, and written if there is a `write`. */
export function line(text: string, write?: (text: string) => boolean): Attribute {
  return {
    kind: "attribute",
    read: () => new TextEncoder().encode(`${text}\n`),
    ...(write === undefined ? {} : store(write)),
  };
}

/** An attribute that can only be written. `write` says whether the call waits for the last close. */
export function writeOnly(write: (text: string) => boolean): Attribute {
  return { kind: "attribute", ...store(write) };
}

function store(write: (text: string) => boolean): Pick<Attribute, "write"> {
  return {
    write(bytes) {
      const taken = bytes.subarray(0, PAGE_BYTES);
      return { count: taken.length, waits: write(new TextDecoder().decode(taken)) };
    },
  };
}

/** The text without the newline that echo(1) leaves (lib/string_helpers.c: sysfs_streq). */
export function bare(text: string): string {
  return text.endsWith("\n") ? text.slice(0, -1) : text;
}

/** Bytes of an attribute. @throws {ErrnoError} EACCES if it is write-only, whoever asks */
export function readAttribute(path: string, node: Attribute, at = 0, count = PAGE_BYTES): Uint8Array {
  if (node.read === undefined) throw noAccess(path, "read");
  if (node.size === undefined) return node.read(0, PAGE_BYTES).subarray(at, at + count);
  return at >= node.size ? new Uint8Array(0) : node.read(at, Math.min(count, node.size - at));
}

/**
 * Writes an attribute. Text is written as a whole, wherever the position is.
 *
 * @throws {ErrnoError} EACCES if it is read-only, EFBIG behind the end of a binary one, and what it refuses with
 */
export function writeAttribute(path: string, node: Attribute, bytes: Uint8Array, at = 0): Written {
  if (node.write === undefined) throw noAccess(path, "written");
  if (node.size === undefined) return node.write(bytes, 0);
  if (bytes.length > 0 && at >= node.size) {
    throw vfsError(
      "EFBIG",
      "vfio.sysfs.pci",
      "end of file",
      "fs/sysfs/file.c: sysfs_kf_bin_write",
      `${path} ends before that`,
    );
  }
  return node.write(bytes.subarray(0, node.size - at), at);
}

function noAccess(path: string, what: "read" | "written"): ErrnoError {
  return vfsError(
    "EACCES",
    "vfio.sysfs.pci",
    "file mode",
    "fs/kernfs/file.c: kernfs_fop_open",
    `${path} cannot be ${what}`,
  );
}
