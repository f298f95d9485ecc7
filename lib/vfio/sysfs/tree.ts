/** The part of /sys that a driver of functions looks at, and how a path leads to a node. */
import { DRIVERS } from "../bind_rules.ts";
import type { Kernel } from "../kernel.ts";
import { hintFor } from "../process/nodes.ts";
import { vfsError } from "../refusal.ts";
import { bindingOf, driverDirectory } from "./driver_directory.ts";
import { functionDirectory, functionPath } from "./function_directory.ts";
import { type Directory, directory, line, link, type SysfsNode, writeOnly } from "./node.ts";
import { slotDirectory } from "./slot_directory.ts";

/** Links that the kernel follows in one path (include/linux/namei.h: MAXSYMLINKS). */
const MOST_LINKS = 40;

/** What a path leads to, and the path without links. */
export interface Found {
  readonly path: string;
  readonly node: SysfsNode;
}

/** The root directory with `sys` in it. */
export function sysfsTree(kernel: Kernel): Directory {
  const present = kernel.bindings.filter(({ zdev, driver }) =>
    zdev.state === "configured" || driver !== undefined
  );
  const byName = <Node extends () => SysfsNode>(entries: readonly (readonly [string, Node])[]) =>
    directory(Object.fromEntries(entries));
  const bus = () =>
    directory({
      devices: () =>
        byName(present.map(({ zdev: { name } }) => [name, () => link(`../../..${inSys(name)}`)])),
      drivers: () => byName(DRIVERS.map((driver) => [driver, () => driverDirectory(kernel, driver)])),
      drivers_probe: () =>
        writeOnly((text) => {
          bindingOf(kernel, text, "drivers_probe_store").probe();
          return false;
        }),
      slots: () =>
        byName(
          kernel.bindings.filter(({ zdev }) => zdev.state !== "reserved").map((binding) => [
            binding.zdev.facts.fid.toString(16).padStart(8, "0"),
            () => slotDirectory(kernel, binding),
          ]),
        ),
    });
  return directory({
    sys: () =>
      directory({
        bus: () => directory({ pci: bus }),
        devices: () =>
          byName(present.map((binding) => {
            const [, , , root = "", name = ""] = functionPath(binding.zdev.name).split("/");
            return [root, () => directory({ [name]: () => functionDirectory(kernel, binding) })];
          })),
        firmware: () => directory({ clp: () => directory({ uid_checking: () => line("1") }) }),
        kernel: () =>
          directory({
            iommu_groups: () =>
              byName(
                present.map((
                  { zdev },
                ) => [String(kernel.group(zdev).number), () => groupDirectory(zdev.name)]),
              ),
          }),
      }),
  });
}

function groupDirectory(name: string): Directory {
  return directory({ devices: () => directory({ [name]: () => link(`../../../..${inSys(name)}`) }) });
}

const inSys = (name: string) => functionPath(name).slice("/sys".length);

/**
 * The node of an absolute path; links on the way are followed, one at its end only if `follow` says so.
 *
 * @throws {ErrnoError} ENOENT, ELOOP is not possible here
 */
export function lookUp(kernel: Kernel, path: string, follow = true): Found {
  const root = sysfsTree(kernel);
  let rest = path.split("/").filter((name) => name !== "" && name !== ".");
  let above: { readonly name: string; readonly node: Directory }[] = [];
  let node: SysfsNode = root;
  for (let links = 0; rest.length > 0;) {
    const [name = "", ...more] = rest;
    rest = more;
    if (name === "..") {
      above.pop();
      node = above.at(-1)?.node ?? root;
      continue;
    }
    const next: SysfsNode | undefined = node.kind === "directory" ? node.entries.get(name)?.() : undefined;
    if (next === undefined || links > MOST_LINKS) throw noFile(kernel, path);
    if (next.kind === "link" && (follow || rest.length > 0)) {
      links++;
      rest = [...next.target.split("/"), ...rest];
      continue;
    }
    if (next.kind === "directory") above = [...above, { name, node: next }];
    else if (rest.length > 0) throw noFile(kernel, path);
    else return { path: `/${[...above.map(({ name }) => name), name].join("/")}`, node: next };
    node = next;
  }
  return { path: `/${above.map(({ name }) => name).join("/")}`, node };
}

/** The target of a link. @throws {ErrnoError} ENOENT, EINVAL for what is no link */
export function readLink(kernel: Kernel, path: string): string {
  const { node } = lookUp(kernel, path, false);
  if (node.kind === "link") return node.target;
  throw vfsError("EINVAL", "vfio.sysfs.pci", "no link", "fs/stat.c: do_readlinkat", `${path} is no link`);
}

/** Names in a directory. @throws {ErrnoError} ENOENT, ENOTDIR */
export function readDirectory(kernel: Kernel, path: string): readonly string[] {
  const { node } = lookUp(kernel, path);
  if (node.kind === "directory") return [...node.entries.keys()];
  throw vfsError(
    "ENOTDIR",
    "vfio.sysfs.pci",
    "no directory",
    "fs/namei.c: path_openat",
    `${path} is no directory`,
  );
}

/** The refusal of a path that leads nowhere. A function without a vfio driver has no vfio-dev: what to do is said. */
function noFile(kernel: Kernel, path: string) {
  const zdev = kernel.zdevs.find(({ name }) => path.endsWith(`/${name}/vfio-dev`));
  return vfsError(
    "ENOENT",
    "vfio.sysfs.pci",
    "no such file",
    "fs/namei.c: path_openat",
    `${path} does not exist`,
    zdev === undefined ? undefined : hintFor(kernel, zdev),
  );
}
