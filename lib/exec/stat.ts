/**
 * struct stat of both architectures, and struct statx, of what the tree has. Sources: arch/x86/include/uapi/asm/stat.h,
 * include/uapi/asm-generic/stat.h, include/uapi/linux/stat.h.
 */
import type { Architecture } from "./calls.ts";
import type { AttributeNode, TreeNode } from "./tree.ts";
import { ATTRIBUTE_SIZE, inodeOf } from "./tree_files.ts";

/** What stat tells. */
export interface Status {
  readonly mode: number;
  readonly inode: number;
  readonly size: number;
  readonly major: number;
  readonly minor: number;
}

const S_IFCHR = 0o020000;
const S_IFDIR = 0o040000;
const S_IFREG = 0o100000;
const S_IFLNK = 0o120000;
const BLOCK = 4096;
/** STATX_BASIC_STATS. */
const BASIC = 0x7ff;
const STATX_BYTES = 256;

/** Nodes belong to root and are there for everybody: the guest's program may do what root may. */
export function statusOf(path: string, node: TreeNode): Status {
  const base = { inode: inodeOf(path), size: 0, major: 0, minor: 0 };
  switch (node.kind) {
    case "directory":
      return { ...base, mode: S_IFDIR | 0o755 };
    case "link":
      return { ...base, mode: S_IFLNK | 0o777, size: node.target.length };
    case "attribute":
      return { ...base, mode: S_IFREG | modeOf(node), size: node.size ?? ATTRIBUTE_SIZE };
    case "device":
      return { ...base, mode: S_IFCHR | 0o666, major: node.major, minor: node.minor };
  }
}

function modeOf({ read, write }: AttributeNode): number {
  return (read === undefined ? 0 : 0o444) | (write === undefined ? 0 : 0o200);
}

/** A file without a node: what an ioctl gave (fs/anon_inodes.c). */
export const ANONYMOUS: Status = { mode: 0o600, inode: 1, size: 0, major: 0, minor: 0 };

/** dev_t as user space sees it (include/linux/kdev_t.h: new_encode_dev). */
function encodeDevice(major: number, minor: number): bigint {
  return BigInt(minor & 0xff | major << 8) | BigInt(minor & ~0xff) << 12n;
}

/** struct stat. */
export function encodeStat(layout: Architecture["stat"], status: Status): Uint8Array {
  const { mode, inode, size, major, minor } = status;
  const isX86 = layout === "x86_64";
  const view = new DataView(new ArrayBuffer(isX86 ? 144 : 128));
  view.setBigUint64(8, BigInt(inode), true);
  if (isX86) {
    view.setBigUint64(16, 1n, true);
    view.setUint32(24, mode, true);
    view.setBigUint64(40, encodeDevice(major, minor), true);
    view.setBigInt64(56, BigInt(BLOCK), true);
  } else {
    view.setUint32(16, mode, true);
    view.setUint32(20, 1, true);
    view.setBigUint64(32, encodeDevice(major, minor), true);
    view.setInt32(56, BLOCK, true);
  }
  view.setBigInt64(48, BigInt(size), true);
  return new Uint8Array(view.buffer);
}

/** struct statx. */
export function encodeStatx({ mode, inode, size, major, minor }: Status): Uint8Array {
  const view = new DataView(new ArrayBuffer(STATX_BYTES));
  view.setUint32(0, BASIC, true);
  view.setUint32(4, BLOCK, true);
  view.setUint32(16, 1, true);
  view.setUint16(28, mode, true);
  view.setBigUint64(32, BigInt(inode), true);
  view.setBigUint64(40, BigInt(size), true);
  view.setUint32(128, major, true);
  view.setUint32(132, minor, true);
  return new Uint8Array(view.buffer);
}
