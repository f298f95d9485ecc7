/** Raw ioctls on the descriptors of the driver process: what a driver that gets something wrong would be told. */
import { snakeCase } from "../../lib/base/names.ts";
import type { HostFunction } from "../../lib/host/host.ts";
import type { FileKind, IoctlArg, OpenFile } from "../../lib/vfio/file.ts";
import { type AnyStruct, findIoctl, ioctlNames } from "../../lib/vfio/strace.ts";
import { argument, type Context, defineCommand, optional, rest } from "../command.ts";
import { number, text } from "../kinds.ts";
import { checkShown } from "../limits.ts";
import { structFields } from "../struct_fields.ts";
import { hexdump } from "../text/hexdump.ts";
import { parseData } from "../text/data.ts";
import { quoteText } from "../text/diagnostic.ts";
import { nearest } from "../text/nearest.ts";
import { parseBigNumber, parseNumber } from "../text/number.ts";
import { UsageError } from "../text/usage_error.ts";

const KINDS: readonly FileKind[] = ["device", "container", "group", "iommufd", "eventfd"];

/** The descriptor that a word names: a number, or the first one of a kind. */
function findDescriptor(
  { driver, guest }: HostFunction,
  which: string,
): readonly [fd: number, file: OpenFile] {
  const open = [...guest.kernel.process.files()];
  if (/^[0-9]/.test(which)) {
    const fd = parseNumber(which, "descriptor");
    return [fd, guest.kernel.process.file(fd)];
  }
  const own = driver.isOpen ? driver.descriptor.fds : [];
  const matching = open.filter(([, { kind }]) => kind === which);
  const found = matching.find(([fd]) => own.includes(fd)) ?? matching[0];
  if (found !== undefined) return found;
  const there = open.map(([fd, { kind }]) => `${fd} (${kind})`).join(", ") || "none";
  throw new UsageError(`There is no descriptor ${quoteText(which)}; open are ${there}`, { token: which });
}

/** The argument: one DATA word, one number, or fields of the struct by name. */
function buildArgument(
  context: Context,
  struct: AnyStruct | undefined,
  isText: boolean,
  words: readonly string[],
): IoctlArg {
  const [first = "", ...more] = words;
  if (isText && words.length === 1) return new TextEncoder().encode(`${first}\0`);
  if (more.length === 0 && first.includes(":")) {
    const bytes = context.load(parseData(first));
    checkShown(bytes.length, "argument");
    return bytes;
  }
  if (more.length === 0 && /^[0-9]/.test(first)) return parseNumber(first, "argument");
  if (words.length === 0) return struct === undefined ? 0 : new Uint8Array(0);
  if (struct === undefined) throw new UsageError("This ioctl takes a number or DATA", { token: first });
  const names = new Map(Object.keys(struct.decode(new Uint8Array(0))).map((name) => [snakeCase(name), name]));
  const fields: Record<string, bigint> = {};
  for (const word of words) {
    const at = word.indexOf("=");
    const name = names.get(word.slice(0, at));
    if (at < 1 || name === undefined) {
      throw new UsageError(
        `${quoteText(word)} is not FIELD=VALUE; fields are ${[...names.keys()].join(", ")}`,
        {
          token: word,
        },
      );
    }
    const value = word.slice(at + 1);
    fields[name] = value.startsWith("-")
      ? -parseBigNumber(value.slice(1), name)
      : parseBigNumber(value, name);
  }
  return struct.encode(fields as unknown as Parameters<AnyStruct["encode"]>[0]);
}

/** An ioctl's number and struct. @throws {UsageError} */
function findRequest(kind: FileKind, word: string) {
  if (/^[0-9]/.test(word)) {
    return { request: parseNumber(word, "request", { max: 0xffff_ffff }), struct: undefined, text: false };
  }
  const found = findIoctl(kind, word);
  if (found !== undefined) return found;
  const near = nearest(word, ioctlNames(kind));
  throw new UsageError(`${quoteText(word)} is no ioctl of a ${kind} descriptor`, {
    token: word,
    hint: near === undefined ? `there are ${ioctlNames(kind).join(", ")}` : `did you mean ${near}?`,
  });
}

export const ioctl = defineCommand({
  name: "ioctl",
  group: "access",
  summary: "Call any ioctl on a descriptor of the driver process",
  details: `WHICH is a descriptor number or a kind: ${KINDS.join(", ")}. REQUEST is a name such as
VFIO_DEVICE_GET_REGION_INFO, or a number. The argument is a number, the struct's bytes as DATA, or its fields as
NAME=VALUE (fields that are left out are 0). What the kernel wrote back is shown.`,
  args: {
    which: argument(text("WHICH", KINDS), "descriptor number, or a kind of descriptor"),
    request: argument(text("REQUEST"), "name or number"),
    argument: rest(text("ARGUMENT"), "a number, DATA, or fields", { optional: true }),
  },
  options: { size: optional(number("BYTES", { max: 65_536 }), "length of the caller's buffer") },
  access: "write",
  examples: [
    "ioctl device VFIO_DEVICE_GET_REGION_INFO argsz=32 index=2",
    "expect EINVAL ioctl device VFIO_DEVICE_GET_REGION_INFO argsz=31 index=2",
    "expect ENOTTY ioctl device 0x3b7f",
  ],
  run(context, { which, request: word, argument: words, size }) {
    const { target } = context;
    void target.driver.descriptor;
    const [fd, file] = findDescriptor(target, which);
    const { request, struct, text: isText } = findRequest(file.kind, word);
    let arg = buildArgument(context, struct, isText, words);
    if (size !== undefined && typeof arg !== "number") {
      const sized = new Uint8Array(size);
      sized.set(arg.subarray(0, size));
      arg = sized;
    }
    const ret = target.guest.kernel.process.ioctl(fd, request, arg);
    const data = typeof arg === "number" ? "" : arg.toHex();
    const fields = struct === undefined || typeof arg === "number" ? {} : structFields(struct, arg);
    return { fd, ret, fields, data };
  },
  text({ ret, fields, data }) {
    const shown = Object.entries(fields).map(([name, value]) => `  ${name.padEnd(14)} ${value}\n`).join("");
    const bytes = shown === "" && data !== "" ? hexdump(Uint8Array.fromHex(data), 0).join("\n") : "";
    return `${ret}\n${shown}${bytes}`;
  },
  raw: ({ data }) => Uint8Array.fromHex(data),
  value: ({ ret }) => String(ret),
});
