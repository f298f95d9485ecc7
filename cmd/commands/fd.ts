/** System calls on the descriptors of the guest's driver process, one command each, opening nothing by themselves. */
import { hex } from "../../lib/base/hex.ts";
import { DeviceFile } from "../../lib/vfio/device_file.ts";
import { EventFdFile } from "../../lib/vfio/process/eventfd.ts";
import { OPEN_FLAGS } from "../../lib/vfio/process/file.ts";
import type { HostFunction } from "../../lib/host/host.ts";
import { argument, defaulted, defineCommand, flag, type Kind, optional, rest } from "../language/command.ts";
import { defineListing } from "../language/listing.ts";
import {
  DESCRIPTOR,
  DESCRIPTOR_KINDS,
  type DescriptorName,
  findDescriptor,
} from "../run/driver/descriptors.ts";
import { bigNumber, choice, COUNT, DATA, text } from "../language/kinds.ts";
import { UsageError } from "../language/usage_error.ts";

export const FD = argument(DESCRIPTOR, "descriptor: its number, or what it is of, as fd list shows it");
export const AT = optional(
  bigNumber("POSITION"),
  "at this position, as pread and pwrite do, and not at the descriptor's own",
);
const NODES = ["/dev/vfio/vfio", "/dev/vfio/0", "/dev/vfio/devices/vfio0", "/dev/iommu", "/dev/clp"];

/** The line `vfio-device-syspath` of a device descriptor's fdinfo (vfio.node.names). */
const sysPath = (name: string) => `/sys/devices/pci${name.slice(0, "0001:00".length)}/${name}`;

/** The driver process of the guest that --device chooses. */
export const processOf = ({ guest }: HostFunction) => guest.kernel.process;

export const fdList = defineListing({
  name: "fd list",
  group: "sys",
  summary: "List the open descriptors of the guest's driver process",
  args: {},
  options: {},
  access: "read",
  examples: ["fd list"],
  run: ({ target }) => ({
    descriptors: [...processOf(target).files()].map(([fd, file]) => ({
      fd,
      kind: file.kind,
      path: file.path,
      position: hex(file.position),
      ...(file instanceof EventFdFile ? { counter: Number(file.context.count) } : {}),
      ...(file instanceof DeviceFile ? { syspath: sysPath(file.device.zdev.name) } : {}),
    })),
  }),
  table: {
    columns: [{ name: "fd" }, { name: "kind", drop: 2 }, { name: "path" }, { name: "state", drop: 1 }],
    rows: ({ descriptors }) =>
      descriptors.map(({ fd, kind, path, position, counter }) => [
        fd,
        kind,
        path,
        counter === undefined ? `position ${position}` : `counter ${counter}`,
      ]),
    empty: "no descriptor is open",
  },
});

export const fdOpen = defineCommand({
  name: "fd open",
  group: "sys",
  summary: "Open a device node",
  details: `Nodes are ${
    NODES.join(", ")
  } and the like; the numbers are in "ism sysfs iommu_group" and under vfio-dev. With
"ism ioctl FD …" this is the whole way in, step by step.`,
  args: { path: argument(text("PATH", NODES), "node of the guest") },
  options: {
    mode: defaulted(choice("MODE", ["ro", "wo", "rw"]), "rw", "O_RDONLY, O_WRONLY or O_RDWR: ro, wo or rw"),
  },
  access: "write",
  examples: [
    "fd open /dev/vfio/vfio",
    "fd open /dev/vfio/vfio --mode ro",
    "expect ENOENT fd open /dev/vfio/99",
  ],
  run({ target }, { path, mode }) {
    const modes = { ro: OPEN_FLAGS.RDONLY, wo: OPEN_FLAGS.WRONLY, rw: OPEN_FLAGS.RDWR };
    return { fd: processOf(target).open(path, modes[mode]) };
  },
  text: ({ fd }) => String(fd),
  value: ({ fd }) => String(fd),
});

export const fdEventfd = defineCommand({
  name: "fd eventfd",
  group: "sys",
  summary: "Create an eventfd",
  args: {},
  options: {},
  access: "write",
  examples: ["fd eventfd"],
  run: ({ target }) => ({ fd: processOf(target).eventfd() }),
  text: ({ fd }) => String(fd),
  value: ({ fd }) => String(fd),
});

export const fdClose = defineCommand({
  name: "fd close",
  group: "sys",
  summary: "Close a descriptor",
  details: `A function whose last descriptor is closed is reset by the kernel.`,
  args: { fd: FD },
  options: {},
  access: "write",
  examples: ["expect EBADF fd close 99"],
  run({ target }, { fd: which }) {
    const fd = findDescriptor(target, which);
    processOf(target).close(fd);
    return { fd };
  },
});

export const fdWrite = defineCommand({
  name: "fd write",
  group: "sys",
  summary: "Write to a descriptor: write, writev, pwrite or pwritev",
  details:
    `One DATA is one buffer; several are a vector: on a BAR one store block each. With a --count that is longer than
DATA the caller's buffer faults where DATA ends.`,
  args: { fd: FD, data: rest(DATA, "the bytes of each buffer") },
  options: {
    at: AT,
    count: optional(COUNT, "the count that the call passes; the length of DATA by default"),
  },
  access: "write",
  examples: ["expect EBADF fd write 99 hex:00"],
  run(context, { fd: which, data, at, count }) {
    const fd = findDescriptor(context.target, which);
    const process = processOf(context.target);
    const segments = data.map((each) => context.load(each));
    const [buffer = new Uint8Array(), ...more] = segments;
    if (more.length > 0 && count !== undefined) throw new UsageError("--count goes with one buffer");
    const bytes = count ?? buffer.length;
    const ret = more.length === 0
      ? at === undefined ? process.write(fd, buffer, bytes) : process.pwrite(fd, buffer, bytes, at)
      : at === undefined
      ? process.writev(fd, segments)
      : process.pwritev(fd, segments, at);
    return { fd, ret, position: positionAfter(context.target, fd, at, ret) };
  },
  text: ({ ret }) => String(ret),
  value: ({ ret }) => String(ret),
});

export const fdLseek = defineCommand({
  name: "fd lseek",
  group: "sys",
  summary: "Move the position of a descriptor: no vfio descriptor can (ESPIPE)",
  args: { fd: FD, offset: argument(bigNumber("OFFSET"), "bytes") },
  options: {
    whence: defaulted(choice("WHENCE", ["set", "cur", "end"]), "set", "from where: set, cur or end"),
  },
  access: "write",
  examples: ["expect EBADF fd lseek 99 0"],
  run({ target }, { fd: which, offset, whence }) {
    const fd = findDescriptor(target, which);
    const whences = { set: "SEEK_SET", cur: "SEEK_CUR", end: "SEEK_END" } as const;
    return { fd, position: hex(processOf(target).lseek(fd, offset, whences[whence])) };
  },
});

/** A descriptor, or -1 for memory without a file. */
const FD_OR_ANON: Kind<DescriptorName> = {
  ...DESCRIPTOR,
  choices: [...DESCRIPTOR_KINDS, "anon"],
  parse: (text, what) => text === "anon" ? -1 : DESCRIPTOR.parse(text, what),
};

export const fdMmap = defineCommand({
  name: "fd mmap",
  group: "sys",
  summary: "Map a descriptor into memory: no region of ISM can be (EINVAL); or allocate memory",
  details:
    `With "anon" in place of a descriptor the process gets memory of its own, whose address IOMMU_IOAS_MAP and
VFIO_IOMMU_MAP_DMA take; "dma map" does both at once.`,
  args: { fd: argument(FD_OR_ANON, "descriptor, or anon"), length: argument(bigNumber("LENGTH"), "bytes") },
  options: {
    offset: defaulted(bigNumber("OFFSET"), 0n, "position in the file"),
    prot: defaulted(choice("PROT", ["r", "rw"]), "rw", "PROT_READ, or PROT_READ|PROT_WRITE: r or rw"),
    private: flag("MAP_PRIVATE, and not MAP_SHARED"),
  },
  access: "write",
  examples: ["expect EBADF fd mmap 99 4k", "fd mmap anon 64k"],
  run({ target }, { fd: which, length, offset, prot, private: isPrivate }) {
    const fd = findDescriptor(target, which);
    const process = processOf(target);
    if (fd < 0 && length > Number.MAX_SAFE_INTEGER) throw new UsageError("LENGTH is too large");
    const how = { write: prot === "rw", shared: !isPrivate };
    const address = fd < 0 ? process.mmapAnonymous(Number(length)) : process.mmap(fd, length, offset, how);
    return { fd, address: hex(address) };
  },
  text: ({ address }) => address,
  value: ({ address }) => address,
});

/** Where the descriptor stands, or a positioned call ended. */
export function positionAfter(target: HostFunction, fd: number, at: bigint | undefined, ret: number): string {
  return hex(at === undefined ? processOf(target).file(fd).position : at + BigInt(ret));
}
