/** Raw ioctls on the descriptors of the driver process: what a driver that gets something wrong would be told. */
import { snakeCase } from "../../lib/base/names.ts";
import type { FileKind, IoctlArg } from "../../lib/vfio/process/file.ts";
import { ErrnoError } from "../../lib/vfio/errno.ts";
import { type AnyStruct, findIoctl, ioctlNames, type KnownIoctl } from "../../lib/vfio/process/strace.ts";
import { argument, type Context, defineCommand, flag, optional, rest } from "../language/command.ts";
import { DESCRIPTOR, DESCRIPTOR_KINDS, findDescriptor } from "../run/driver/descriptors.ts";
import { fieldWords, type IoctlEntry, listIoctls, renderIoctls } from "../run/driver/ioctl_list.ts";
import { number, text } from "../language/kinds.ts";
import { checkShown } from "../language/limits.ts";
import { structFields } from "../language/struct_fields.ts";
import { dumpText } from "../output/hexdump.ts";
import { isData, parseData } from "../language/data.ts";
import { quoteText } from "../language/quote.ts";
import { nearest } from "../language/nearest.ts";
import { parseBigNumber, parseNumber } from "../language/number.ts";
import { UsageError } from "../language/usage_error.ts";
import { WrittenBackError } from "../output/written_back.ts";

/** Names of a struct's fields as the headers spell them, each with the codec's own. */
function fieldNames(struct: AnyStruct): Map<string, string> {
  return new Map(Object.keys(struct.decode(new Uint8Array(0))).map((name) => [snakeCase(name), name]));
}

/** The argument: one number, DATA, a text, or fields of the struct and what lies behind it. */
function buildArgument(
  context: Context,
  { struct, text: isText, byNumber }: Request,
  words: readonly string[],
): IoctlArg {
  const [first, ...more] = words;
  if (first === undefined) return struct === undefined ? 0 : new Uint8Array(0);
  if (more.length === 0) {
    if (isData(first)) return loadArgument(context, first).slice();
    if (isText && !(byNumber && /^[0-9]+$/.test(first))) return new TextEncoder().encode(`${first}\0`);
    if (/^-?[0-9]/.test(first)) {
      const only = struct === undefined || byNumber ? [] : [...fieldNames(struct).keys()];
      return only.length === 1
        ? buildStruct(context, struct!, [`${only[0]!}=${first}`])
        : parseNumber(first, "argument");
    }
  }
  if (struct === undefined) throw new UsageError("This ioctl takes a number or DATA", { token: first });
  return buildStruct(context, struct, words);
}

/** Bytes of a DATA word. @throws {UsageError} if they are more than a command shows */
function loadArgument(context: Context, word: string): Uint8Array {
  const bytes = context.load(parseData(word));
  checkShown(bytes.length, "argument");
  return bytes;
}

/** FIELD=VALUE words as a struct; behind it the descriptors of `fds=` and the bytes of DATA words. */
function buildStruct(context: Context, struct: AnyStruct, words: readonly string[]): Uint8Array {
  const names = fieldNames(struct);
  const fields: Record<string, bigint> = {};
  const behind: number[] = [];
  for (const word of words) {
    if (isData(word)) {
      for (const byte of loadArgument(context, word)) behind.push(byte);
      continue;
    }
    const [, key = "", value = ""] = /^([^=]+)=(.*)$/.exec(word) ?? [];
    const name = names.get(key);
    if (key === "fds") {
      for (const fd of value.split(",")) behind.push(...int32(parseValue(fd, "fds")));
    } else if (name !== undefined) fields[name] = parseValue(value, key);
    else {
      throw new UsageError(
        `${quoteText(word)} is not FIELD=VALUE; fields are ${[...names.keys()].join(", ")}`,
        { token: word },
      );
    }
  }
  return Uint8Array.of(...struct.encode(fields as unknown as Parameters<AnyStruct["encode"]>[0]), ...behind);
}

/** A number that may be negative. @throws {UsageError} */
function parseValue(value: string, what: string): bigint {
  return value.startsWith("-") ? -parseBigNumber(value.slice(1), what) : parseBigNumber(value, what);
}

function int32(value: bigint): Uint8Array {
  const bytes = new Uint8Array(4);
  new DataView(bytes.buffer).setInt32(0, Number(BigInt.asIntN(32, value)), true);
  return bytes;
}

interface Request extends KnownIoctl {
  /** Named by number: a number as its argument is the pointer itself. */
  readonly byNumber: boolean;
}

/** An ioctl by name or number. @throws {UsageError} */
function findRequest(kind: FileKind, word: string): Request {
  if (/^[0-9]/.test(word)) {
    const request = parseNumber(word, "request", { max: 0xffff_ffff });
    return { request, struct: undefined, text: false, ...findIoctl(kind, request), byNumber: true };
  }
  const found = findIoctl(kind, word);
  if (found !== undefined) return { ...found, byNumber: false };
  const near = nearest(word, ioctlNames(kind));
  throw new UsageError(`${quoteText(word)} is no ioctl of a ${kind} descriptor`, {
    token: word,
    hint: near === undefined ? `there are ${ioctlNames(kind).join(", ")}` : `did you mean ${near}?`,
  });
}

/** Calls; an EFAULT because no struct was given says how to give one. @throws {ErrnoError} */
function helped({ struct }: Request, words: readonly string[], call: () => number): number {
  try {
    return call();
  } catch (error) {
    if (
      !(error instanceof ErrnoError) || error.code !== "EFAULT" || struct === undefined || words.length > 0
    ) {
      throw error;
    }
    const fields = [...fieldNames(struct).keys()].map((name) => `${name}=`).join(" ");
    throw error.withHint(`no argument was given; the fields of its struct are ${fields}`);
  }
}

/** What a call came to, or the list. */
type IoctlResult = {
  readonly fd: number;
  readonly ret: number;
  readonly fields: Readonly<Record<string, string>>;
  readonly data: string;
  readonly field?: string;
} | { readonly ioctls: readonly IoctlEntry[] };

/** Names of ioctls for the descriptor that is named; of all where only its number is. */
function requestWords([which = ""]: readonly string[]): string[] {
  return listIoctls(DESCRIPTOR_KINDS.find((kind) => kind === which)).map(({ name }) => name);
}

export const ioctl = defineCommand({
  name: "ioctl",
  group: "sys",
  summary: "Call any ioctl on a descriptor of the driver process",
  details: `WHICH is a descriptor number or a kind: ${DESCRIPTOR_KINDS.join(", ")}. REQUEST is a name such as
VFIO_DEVICE_GET_REGION_INFO, or a number. The argument is a number (the field of a struct that has only one, such as the
container of VFIO_GROUP_SET_CONTAINER), the struct's bytes as DATA, or its fields as NAME=VALUE (fields that are left out
are 0); behind the fields, fds=5,-1 adds descriptors and DATA adds bytes. Without an argument there is no memory behind
the pointer. What the
kernel wrote back is shown; --field chooses one field of it, which is then also what \`let\` keeps.`,
  args: {
    which: argument({ ...DESCRIPTOR, placeholder: "WHICH" }, "descriptor number, or a kind of descriptor"),
    request: argument({ ...text("REQUEST"), choices: requestWords }, "name or number"),
    argument: rest(
      { ...text("ARGUMENT"), choices: ([, name = ""]) => fieldWords(name) },
      "a number, DATA, or fields",
      { optional: true },
    ),
  },
  options: {
    list: {
      ...flag("list all ioctls with their structs and fields, or those of the WHICH that is named"),
      alone: true,
    },
    size: optional(number("BYTES", { max: 65_536 }), "length of the caller's buffer"),
    field: optional(text("FIELD"), "show this field of the struct only"),
  },
  access: "write",
  examples: [
    "ioctl --list",
    "ioctl device --list",
    "ioctl device VFIO_DEVICE_GET_REGION_INFO argsz=32 index=2",
    "ioctl device VFIO_DEVICE_GET_REGION_INFO argsz=32 index=2 --field offset",
    "expect EINVAL ioctl device VFIO_DEVICE_GET_REGION_INFO argsz=31 index=2",
    "expect EBADF ioctl device VFIO_DEVICE_SET_IRQS argsz=24 flags=0x24 index=1 count=1 fds=99",
    "expect ENOTTY ioctl device 0x3b7f",
  ],
  run(context, { which, request: word, argument: words, list, size, field }): IoctlResult {
    const { target } = context;
    if (list) {
      const kind = typeof which === "number" ? target.guest.kernel.process.file(which).kind : which;
      return { ioctls: listIoctls(kind) };
    }
    // A number is what the user opened; a kind is a descriptor of the function, which is opened for it.
    if (typeof which !== "number") void target.driver.descriptor;
    const fd = findDescriptor(target, which);
    const file = target.guest.kernel.process.file(fd);
    const found = findRequest(file.kind, word);
    const { request, struct } = found;
    const names = struct === undefined ? [] : [...fieldNames(struct).keys()];
    if (field !== undefined && !names.includes(field)) {
      throw new UsageError(`The ioctl has no field ${quoteText(field)}`, {
        token: field,
        hint: names.length === 0 ? "it takes no struct" : `fields are ${names.join(", ")}`,
      });
    }
    let arg = buildArgument(context, found, words);
    if (size !== undefined && typeof arg !== "number") {
      const sized = new Uint8Array(size);
      sized.set(arg.subarray(0, size));
      arg = sized;
    }
    const data = () => typeof arg === "number" ? "" : arg.toHex();
    const shown = () => struct === undefined || typeof arg === "number" ? {} : structFields(struct, arg);
    const given = data();
    let ret: number;
    try {
      ret = helped(found, words, () => target.guest.kernel.process.ioctl(fd, request, arg));
    } catch (error) {
      throw error instanceof ErrnoError && data() !== given
        ? new WrittenBackError(error, { fields: shown(), data: data() })
        : error;
    }
    const fields = shown();
    return { fd, ret, fields, data: data(), ...(field === undefined ? {} : { field }) };
  },
  text(result, { terminal, wide }) {
    if ("ioctls" in result) return renderIoctls(result.ioctls, terminal, wide);
    const { ret, fields, data, field } = result;
    if (field !== undefined) return fields[field] ?? "";
    const shown = Object.entries(fields).map(([name, value]) => `  ${name.padEnd(14)} ${value}\n`).join("");
    const bytes = shown === "" && data !== "" ? dumpText(terminal, Uint8Array.fromHex(data), 0) : "";
    return `${ret}\n${shown}${bytes}`.trimEnd();
  },
  raw: (result) => "data" in result ? Uint8Array.fromHex(result.data) : new Uint8Array(0),
  value(result) {
    if ("ioctls" in result) return result.ioctls.map(({ name }) => name).join(" ");
    const { ret, fields, field } = result;
    return field === undefined ? String(ret) : fields[field] ?? "";
  },
});
