/** From a path that a program names to a node of the guest's tree. Facts: path_resolution(7) (fs/namei.c). */
import { ERROR } from "./call.ts";
import type { DirectoryNode, TreeNode } from "./tree.ts";

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
export function resolve(root: DirectoryNode, path: string, follow: boolean): Place | number | undefined {
  const names = path.split("/").filter((name) => name !== "" && name !== ".");
  const wantsDirectory = path.endsWith("/") || path.endsWith("/.");
  const stack: { readonly name: string; readonly node: TreeNode }[] = [];
  const current = (): TreeNode => stack.at(-1)?.node ?? root;
  let links = 0;
  while (names.length > 0) {
    const name = names.shift()!;
    const here = current();
    if (here.kind !== "directory") return ERROR.ENOTDIR;
    if (name === "..") {
      stack.pop();
      continue;
    }
    const node = here.entries.get(name);
    if (node === undefined) return here.whole ? ERROR.ENOENT : undefined;
    if (node.kind !== "link" || (names.length === 0 && !follow && !wantsDirectory)) {
      stack.push({ name, node });
      continue;
    }
    if (++links > MAX_LINKS) return ERROR.ELOOP;
    if (node.target.startsWith("/")) stack.length = 0;
    names.unshift(...node.target.split("/").filter((part) => part !== "" && part !== "."));
  }
  const node = current();
  if (node.kind === "directory" ? !node.whole : wantsDirectory) {
    return node.kind === "directory" ? undefined : ERROR.ENOTDIR;
  }
  return { path: `/${stack.map(({ name }) => name).join("/")}`, node };
}
