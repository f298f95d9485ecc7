/** From a path that a program names to a node of the guest's tree. Facts: path_resolution(7) (fs/namei.c). */
import { ERROR } from "./call.ts";
import { SHARED_DIRECTORIES, type TreeDirectory, type TreeNode } from "./tree.ts";

/** A node with the path that leads to it without links. */
export interface Place {
  readonly path: string;
  readonly node: TreeNode;
}

/** Most links on the way (include/linux/namei.h: MAXSYMLINKS). */
const MAX_LINKS = 40;

/** Where the guest's part of the file system begins; all other paths are the real machine's. */
export function mayBeOurs(path: string): boolean {
  return /^\/+(?:\.\/+)*(?:dev|sys)(?:\/|$)/.test(path) || path.includes("/..");
}

/**
 * Follows a path from the root.
 *
 * @param follow follows a link at the end, too
 * @returns the place; a negative error number; undefined for what is the real machine's
 */
export function resolve(root: TreeDirectory, path: string, follow: boolean): Place | number | undefined {
  const names = path.split("/").filter((name) => name !== "" && name !== ".");
  const wantsDirectory = path.endsWith("/") || path.endsWith("/.");
  const stack: { readonly name: string; readonly node: TreeNode }[] = [];
  const here = (): TreeNode => stack.at(-1)?.node ?? root;
  const where = () => `/${stack.map(({ name }) => name).join("/")}`;
  let links = 0;
  while (names.length > 0) {
    const name = names.shift()!;
    const parent = here();
    if (parent.kind !== "directory") return ERROR.ENOTDIR;
    if (name === "..") {
      stack.pop();
      continue;
    }
    const node = parent.entries.get(name)?.();
    if (node === undefined) return SHARED_DIRECTORIES.has(where()) ? undefined : ERROR.ENOENT;
    if (node.kind !== "link" || (names.length === 0 && !follow && !wantsDirectory)) {
      stack.push({ name, node });
      continue;
    }
    if (++links > MAX_LINKS) return ERROR.ELOOP;
    if (node.target.startsWith("/")) stack.length = 0;
    names.unshift(...node.target.split("/").filter((part) => part !== "" && part !== "."));
  }
  const node = here();
  if (node.kind === "directory") return SHARED_DIRECTORIES.has(where()) ? undefined : { path: where(), node };
  return wantsDirectory ? ERROR.ENOTDIR : { path: where(), node };
}
