/** System calls of a trace as text, in the form of strace(1): arguments in their places, structs by field. */
import { HEX_FIELDS, SHOWN_BYTES, type SyscallEvent, type TraceValue } from "../../../lib/base/trace.ts";
import { hex } from "../../../lib/base/hex.ts";
import { pollText } from "../../../lib/vfio/process/file.ts";
import { ERRNO_TEXT, type ErrnoName } from "../../../lib/vfio/errno.ts";
import { escapeText } from "../../language/quote.ts";

type Fields = Readonly<Record<string, TraceValue>>;

/** One line: `pread64(5, "\\x14\\x10", 2, 0x7000000000000) = 2`. */
export function straceText(event: SyscallEvent): string {
  const { op, error } = event;
  const args = (CALLS[op] ?? namedArguments)(event).join(", ");
  const result = error === undefined
    ? returned(event) ?? "?"
    : `-1 ${error} (${ERRNO_TEXT[error as ErrnoName]})`;
  return `${op}(${args}) = ${result}`;
}

/** What a system call returned; a number but for addresses. */
export function returned({ op, result }: SyscallEvent): number | string | null {
  return result !== undefined && op === "mmap" ? hex(result) : result ?? null;
}

/** A value of a trace event for people. */
export function valueText(name: string, value: TraceValue): string {
  if (typeof value === "string") return BARE_WORDS.has(name) ? value : `"${escapeText(value)}"`;
  if (typeof value === "boolean") return String(value);
  if (value instanceof Uint8Array) return bytesText(value, value.length);
  if (typeof value === "object") return "name" in value ? value.name : `[${value.join(", ")}]`;
  return HEX_FIELDS.has(name) ? hex(value) : String(value);
}

/** Fields whose text is a symbol, not a string. */
const BARE_WORDS: ReadonlySet<string> = new Set(["op", "whence", "command", "cause"]);

type Rule = (event: SyscallEvent) => readonly string[];

/** Arguments in the order of the C call. */
const CALLS: Readonly<Record<string, Rule>> = {
  openat: ({ args }) => [
    "AT_FDCWD",
    valueText("path", args["path"]!),
    String(args["flags"] ?? "O_RDWR|O_CLOEXEC"),
  ],
  readlink: ({ args, output }) => [
    valueText("path", args["path"]!),
    output === undefined ? "NULL" : valueText("target", output["target"]!),
    "4096",
  ],
  getdents64: (event) => [fd(event), `${UNKNOWN} /* ${event.output!["entries"]} entries */`, "32768"],
  poll({ args }) {
    const [fds, events] = [args["fds"], args["events"]] as readonly (readonly number[])[];
    const shown = fds!.map((fd, i) => `{fd=${fd}, events=${pollText(events![i]!)}}`);
    return [`[${shown.join(", ")}]`, String(fds!.length), String(args["timeout"])];
  },
  eventfd2: ({ args }) => [String(args["count"]), "EFD_CLOEXEC|EFD_NONBLOCK"],
  read: (event) => [fd(event), buffer(event), number(event, "count")],
  write: (event) => [fd(event), buffer(event), number(event, "count")],
  pread64: (event) => [fd(event), buffer(event), number(event, "count"), position(event)],
  pwrite64: (event) => [fd(event), buffer(event), number(event, "count"), position(event)],
  readv: (event) => [fd(event), ...vector(event)],
  writev: (event) => [fd(event), ...vector(event)],
  preadv: (event) => [fd(event), ...vector(event), position(event)],
  pwritev: (event) => [fd(event), ...vector(event), position(event)],
  lseek: (event) => [fd(event), number(event, "offset"), String(event.args["whence"])],
  mmap: ({ args }) =>
    args["fd"] === undefined
      ? ["NULL", String(args["length"]), "PROT_READ|PROT_WRITE", "MAP_PRIVATE|MAP_ANONYMOUS", "-1", "0"]
      : [
        "NULL",
        String(args["length"]),
        String(args["prot"] ?? "PROT_READ|PROT_WRITE"),
        String(args["flags"] ?? "MAP_SHARED"),
        String(args["fd"]),
        valueText("offset", args["offset"]!),
      ],
  munmap: ({ args }) => [valueText("address", args["address"]!), String(args["length"])],
  close: (event) => [fd(event)],
  fsync: (event) => [fd(event)],
  ftruncate: (event) => [fd(event), number(event, "length")],
  fcntl: (event) => [fd(event), String(event.args["command"])],
  ioctl(event) {
    const { args, input, output } = event;
    const parts = [fd(event), requestText(String(args["request"]))];
    if (input === undefined || Object.keys(input).length === 0) return [...parts, "0"];
    // Nothing is known of the bytes; a struct with such a field has others, too.
    if ("length" in input && Object.keys(input).length === 1) {
      return [...parts, `/* ${input["length"]} bytes */`];
    }
    if ("arg" in input) return [...parts, valueText("arg", input["arg"]!)];
    if ("name" in input) return [...parts, valueText("name", input["name"]!)];
    // A pointer to a plain number.
    if ("container" in input) return [...parts, `[${input["container"]}]`];
    // What the kernel changed stands behind an arrow.
    return [...parts, `{${fields(input)}}${output === undefined ? "" : ` => {${fields(output)}}`}`];
  },
};

const fd = ({ args }: SyscallEvent) => String(args["fd"]);
const number = ({ args }: SyscallEvent, name: string) => String(args[name]);
const position = ({ args }: SyscallEvent) => valueText("position", args["position"]!);

/** The segments with the bytes that were read into them or written from them, as far as they are known. */
function vector({ op, args, data, result, error }: SyscallEvent): string[] {
  const lengths = args["iov"] as readonly number[];
  const isRead = op.includes("read");
  let at = 0;
  let left = isRead ? Number(result ?? 0) : Infinity;
  const shown = lengths.slice(0, SHOWN_BYTES).map((length) => {
    const moved = Math.min(length, left);
    const bytes = data?.subarray(at, Math.min(at + moved, SHOWN_BYTES)) ?? new Uint8Array();
    at += moved;
    left -= moved;
    const base = isRead && error !== undefined ? UNKNOWN : bytesText(bytes, moved);
    return `{iov_base=${base}, iov_len=${length}}`;
  });
  if (shown.length < lengths.length) shown.push("...");
  return [`[${shown.join(", ")}]`, String(lengths.length)];
}

/** Where strace prints an address: a buffer that nothing was read into. */
const UNKNOWN = "...";

/** The buffer's bytes: those that were read, or those that were to be written; nothing was read by a failed call. */
function buffer({ op, args, data, result }: SyscallEvent): string {
  if (data === undefined) return UNKNOWN;
  return bytesText(data, op.includes("read") ? Number(result) : Number(args["count"]));
}

const ESCAPES: Readonly<Record<string, string>> = {
  ...{ "\t": "\\t", "\n": "\\n", "\v": "\\v", "\f": "\\f", "\r": "\\r" },
  ...{ '"': '\\"', "\\": "\\\\" },
};

/** As strace -x: text as text; anything else in hexadecimal as a whole, so that it can be read as numbers. */
function bytesText(data: Uint8Array, length: number): string {
  const first = data.subarray(0, SHOWN_BYTES);
  const chars = [...first].map((byte) => String.fromCharCode(byte));
  const isText = chars.every((char) => /[ -~\t\n\v\f\r]/.test(char));
  const text = isText
    ? chars.map((char) => ESCAPES[char] ?? char).join("")
    : [...first].map((byte) => `\\x${byte.toString(16).padStart(2, "0")}`).join("");
  return `"${text}"${length > first.length ? "..." : ""}`;
}

/** An ioctl's number by its parts, which shows direction and size bits that do not belong there. */
function requestText(request: string): string {
  if (!request.startsWith("0x")) return request;
  const value = Number(request);
  const directions = ["_IOC_NONE", "_IOC_WRITE", "_IOC_READ", "_IOC_READ|_IOC_WRITE"];
  const part = (shift: number, bits: number) => (value >>> shift) % 2 ** bits;
  const parts = [part(8, 8), part(0, 8), part(16, 14)].map((value) => value === 0 ? "0" : hex(value));
  return `_IOC(${directions[part(30, 2)]}, ${parts.join(", ")})`;
}

function fields(values: Fields): string {
  return Object.entries(values).map(([name, value]) => `${name}=${valueText(name, value)}`).join(", ");
}

const namedArguments: Rule = ({ args }) => [fields(args)];
