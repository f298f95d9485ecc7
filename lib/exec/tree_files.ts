/** Open files of the tree: directories, and attributes of sysfs. Facts: fs/kernfs/file.c, fs/readdir.c. */
import { OpenFile } from "../vfio/process/file.ts";
import { vfsError } from "../vfio/refusal.ts";
import { PAGE_BYTES, readAttribute, writeAttribute } from "../vfio/sysfs/node.ts";
import type { AttributeNode, TreeDirectory, TreeNode } from "./tree.ts";

const SEEK_SET = 0;
const SEEK_CUR = 1;
const SEEK_END = 2;

/** A file with a position that lseek(2) moves. */
export abstract class TreeFile extends OpenFile {
  override readonly kind = "other";
  override readonly hasData = true;
  override readonly id = 0;
  override readonly path: string;
  abstract readonly node: TreeNode;

  constructor(path: string) {
    super();
    this.path = path;
  }

  protected abstract get end(): number;

  /** Moves the position. @returns the new one @throws {ErrnoError} EINVAL */
  seek(offset: number, whence: number): number {
    const base = whence === SEEK_SET
      ? 0
      : whence === SEEK_CUR
      ? this.position
      : whence === SEEK_END
      ? this.end
      : NaN;
    const to = base + offset;
    if (!(to >= 0)) {
      throw vfsError(
        "EINVAL",
        "vfio.ioctl.vfs",
        "position",
        "fs/read_write.c: ksys_lseek",
        "There is no such position",
      );
    }
    return this.position = to;
  }
}

/** Size that stat(2) says of an attribute that has none of its own: a page. */
export const ATTRIBUTE_SIZE = PAGE_BYTES;

/** An open attribute. */
export class AttributeFile extends TreeFile {
  override readonly positioned = true;
  override readonly node: AttributeNode;
  #text: Uint8Array | undefined = undefined;

  constructor(path: string, node: AttributeNode) {
    super(path);
    this.node = node;
  }

  protected override get end(): number {
    return this.node.size ?? ATTRIBUTE_SIZE;
  }

  /** What an attribute of text says is asked anew at its beginning. */
  override read(buffer: Uint8Array, count: number, position: number, start: number): number {
    const part = this.#bytes(position, count);
    if (start + part.length > buffer.length) {
      throw vfsError(
        "EFAULT",
        "vfio.ioctl.memory",
        "user memory",
        "fs/seq_file.c: seq_read_iter",
        "The buffer is not accessible",
      );
    }
    buffer.set(part, start);
    return part.length;
  }

  #bytes(position: number, count: number): Uint8Array {
    if (this.node.size !== undefined) return readAttribute(this.path, this.node, position, count);
    if (position === 0 || this.#text === undefined) this.#text = readAttribute(this.path, this.node);
    return this.#text.subarray(position, position + count);
  }

  override write(buffer: Uint8Array, count: number, position: number, start: number): number {
    this.#text = undefined;
    return writeAttribute(this.path, this.node, buffer.slice(start, start + count), position).count;
  }
}

const DIRENT_HEADER = 19;
const TYPES: Readonly<Record<TreeNode["kind"], number>> = { directory: 4, device: 2, link: 10, attribute: 8 };

/** An open directory; its position is an index of its entries, behind `.` and `..`. */
export class DirectoryFile extends TreeFile {
  override readonly node: TreeDirectory;
  readonly #names: readonly (readonly [name: string, type: number, inode: number])[];

  constructor(path: string, node: TreeDirectory) {
    super(path);
    this.node = node;
    this.#names = [
      [".", TYPES.directory, inodeOf(path)],
      ["..", TYPES.directory, inodeOf(path.slice(0, path.lastIndexOf("/")))],
      ...[...node.entries].map(([name, entry]) =>
        [name, TYPES[entry().kind], inodeOf(`${path}/${name}`)] as const
      ),
    ];
  }

  protected override get end(): number {
    return this.#names.length;
  }

  override read(): number {
    throw vfsError(
      "EISDIR",
      "vfio.ioctl.vfs",
      "directory",
      "fs/libfs.c: generic_read_dir",
      "A directory is not read",
    );
  }

  /** getdents64(2): as many entries as fit (struct linux_dirent64). @throws {ErrnoError} EINVAL if not even one does */
  entries(room: number): Uint8Array {
    const bytes = new Uint8Array(room);
    const view = new DataView(bytes.buffer);
    let at = 0;
    while (this.position < this.#names.length) {
      const [name, type, inode] = this.#names[this.position]!;
      const text = new TextEncoder().encode(name);
      const length = Math.ceil((DIRENT_HEADER + text.length + 1) / 8) * 8;
      if (at + length > room) break;
      view.setBigUint64(at, BigInt(inode), true);
      view.setBigInt64(at + 8, BigInt(this.position + 1), true);
      view.setUint16(at + 16, length, true);
      bytes[at + 18] = type;
      bytes.set(text, at + DIRENT_HEADER);
      at += length;
      this.position++;
    }
    if (at === 0 && this.position < this.#names.length) {
      throw vfsError(
        "EINVAL",
        "vfio.ioctl.vfs",
        "buffer size",
        "fs/readdir.c: filldir64",
        "Not even one entry fits",
      );
    }
    return bytes.subarray(0, at);
  }
}

/** The inode number of a path: the same path always has the same (FNV-1a). */
export function inodeOf(path: string): number {
  let hash = 0x811c_9dc5;
  for (const byte of new TextEncoder().encode(path)) hash = Math.imul(hash ^ byte, 0x0100_0193) >>> 0;
  return hash + 1;
}
