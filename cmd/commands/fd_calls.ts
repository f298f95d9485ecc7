/** System calls on descriptors that say something of the file itself: fcntl, fsync, ftruncate. */
import { hex } from "../../lib/base/hex.ts";
import { argument, defineCommand } from "../language/command.ts";
import { DESCRIPTOR, findDescriptor } from "../run/driver/descriptors.ts";
import { bigNumber } from "../language/kinds.ts";
import { parseBigNumber } from "../language/number.ts";

const FD = argument(DESCRIPTOR, "descriptor: its number, or what it is of, as fd list shows it");
/** A length that may be negative, which ftruncate refuses by itself. */
const LENGTH = {
  ...bigNumber("LENGTH"),
  parse: (text: string, what: string) =>
    text.startsWith("-") ? -parseBigNumber(text.slice(1), what) : parseBigNumber(text, what),
};

export const fdFlags = defineCommand({
  name: "fd flags",
  group: "sys",
  summary: "Ask for the access mode and the status flags of a descriptor: fcntl with F_GETFL",
  details:
    `0x2 is O_RDWR, 0x1 O_WRONLY, 0x800 O_NONBLOCK, 0x8000 O_LARGEFILE, which a file that was opened by its path has.`,
  args: { fd: FD },
  options: {},
  access: "write",
  examples: ["expect EBADF fd flags 99"],
  run({ target }, { fd: which }) {
    const fd = findDescriptor(target, which);
    return { fd, flags: target.guest.kernel.process.getfl(fd) };
  },
  text: ({ flags }) => hex(flags),
  value: ({ flags }) => hex(flags),
});

export const fdFsync = defineCommand({
  name: "fd fsync",
  group: "sys",
  summary: "Write a descriptor's data back: no descriptor here has any (EINVAL)",
  args: { fd: FD },
  options: {},
  access: "write",
  examples: ["expect EBADF fd fsync 99"],
  run({ target }, { fd: which }) {
    const fd = findDescriptor(target, which);
    return { fd, ret: target.guest.kernel.process.fsync(fd) };
  },
});

export const fdFtruncate = defineCommand({
  name: "fd ftruncate",
  group: "sys",
  summary: "Change the length of a file: no descriptor here has one (EINVAL)",
  args: { fd: FD, length: argument(LENGTH, "bytes") },
  options: {},
  access: "write",
  examples: ["expect EBADF fd ftruncate 99 0"],
  run({ target }, { fd: which, length }) {
    const fd = findDescriptor(target, which);
    return { fd, ret: target.guest.kernel.process.ftruncate(fd, length) };
  },
});
