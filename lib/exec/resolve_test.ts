import { assertEquals } from "@std/assert";
import { ERROR } from "./call.ts";
import { mayBeOurs, resolve } from "./resolve.ts";
import type { TreeDirectory, TreeNode } from "./tree.ts";

const folder = (entries: Record<string, TreeNode>): TreeDirectory => ({
  kind: "directory",
  entries: new Map(Object.entries(entries).map(([name, node]) => [name, () => node])),
});
const link = (target: string): TreeNode => ({ kind: "link", target });
const file: TreeNode = { kind: "attribute" };

const TREE = folder({
  sys: folder({
    bus: folder({ pci: folder({ first: link("../../devices/a/first"), loop: link("loop") }) }),
    devices: folder({ a: folder({ first: folder({ id: file, up: link("../../a") }) }) }),
  }),
});

Deno.test("paths, links, dots, and what is the real machine's", () => {
  const rows: readonly (readonly [path: string, follow: boolean, found: string | number | undefined])[] = [
    ["/sys/bus/pci", true, "/sys/bus/pci"],
    ["/sys//bus/./pci/", true, "/sys/bus/pci"],
    ["/sys/bus/pci/first", true, "/sys/devices/a/first"],
    ["/sys/bus/pci/first", false, "/sys/bus/pci/first"],
    ["/sys/bus/pci/first/", false, "/sys/devices/a/first"],
    ["/sys/bus/pci/first/id", false, "/sys/devices/a/first/id"],
    ["/sys/bus/pci/first/../first/up/first/id", true, "/sys/devices/a/first/id"],
    ["/sys/bus/pci/first/id/", true, ERROR.ENOTDIR],
    ["/sys/bus/pci/first/id/more", true, ERROR.ENOTDIR],
    ["/sys/bus/pci/second", true, ERROR.ENOENT],
    ["/sys/bus/pci/loop", true, ERROR.ELOOP],
    ["/sys/bus/pci/loop", false, "/sys/bus/pci/loop"],
    ["/sys/bus", true, undefined],
    ["/sys/bus/usb", true, undefined],
    ["/sys", true, undefined],
    ["/", true, undefined],
    ["/etc/passwd", true, undefined],
    ["/../sys/bus/pci", true, "/sys/bus/pci"],
  ];
  for (const [path, follow, expected] of rows) {
    const found = resolve(TREE, path, follow);
    assertEquals([path, typeof found === "object" ? found.path : found], [path, expected]);
  }
});

Deno.test("paths that cannot be the guest's are told apart by their beginning", () => {
  const rows: readonly (readonly [path: string, maybe: boolean])[] = [
    ["/dev/vfio/0", true],
    ["//dev/iommu", true],
    ["/./sys/bus", true],
    ["/tmp/../dev/vfio/0", true],
    ["/sys", true],
    ["/device", false],
    ["/system/x", false],
    ["/home/dev/x", false],
    ["/etc/passwd", false],
  ];
  for (const [path, maybe] of rows) assertEquals([path, mayBeOurs(path)], [path, maybe]);
});
