/** System calls of a trace as text, in the form of strace(1): arguments in their places, structs by field. */
import { HEX_FIELDS, SHOWN_BYTES, type SyscallEvent, type TraceValue } from "../lib/base/trace.ts";
import { hex } from "../lib/base/hex.ts";
import { ERRNO_TEXT, type ErrnoName } from "../lib/vfio/errno.ts";
import { escapeText } from "./text/diagnostic.ts";

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
  openat: ({ args }) => ["AT_FDCWD", valueText("path", args["path"]!), "O_RDWR|O_CLOEXEC"],
  readlink: ({ args, output }) => [
    valueText("path", args["path"]!),
    output === undefined ? "NULL" : valueText("target", output["target"]!),
    "4096",
  ],
  getdents64: ({ args, output }) => [
    valueText("path", args["path"]!),
    output === undefined ? "NULL" : `/* ${Number(output["entries"]) + 2} entries */`,
    "32768",
  ],
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
      : ["NULL", String(args["length"]), "PROT_READ|PROT_WRITE", "MAP_SHARED", String(args["fd"])].concat(
        valueText("offset", args["offset"]!),
      ),
  munmap: ({ args }) => [valueText("address", args["address"]!), String(args["length"])],
  close: (event) => [fd(event)],
  ioctl(event) {
    const { args, input, output } = event;
    const parts = [fd(event), String(args["request"])];
    if (input === undefined || Object.keys(input).length === 0) return parts;
    if ("arg" in input) return [...parts, valueText("arg", input["arg"]!)];
    if ("name" in input) return [...parts, valueText("name", input["name"]!)];
    // What the kernel changed stands behind an arrow.
    return [...parts, `{${fields(input)}}${output === undefined ? "" : ` => {${fields(output)}}`}`];
  },
};

const fd = ({ args }: SyscallEvent) => String(args["fd"]);
const number = ({ args }: SyscallEvent, name: string) => String(args[name]);
const position = ({ args }: SyscallEvent) => valueText("position", args["position"]!);

function vector({ args }: SyscallEvent): string[] {
  const lengths = args["iov"] as readonly number[];
  const shown = lengths.slice(0, SHOWN_BYTES).map((length) => `{iov_len=${length}}`);
  if (shown.length < lengths.length) shown.push("...");
  return [`[${shown.join(", ")}]`, String(lengths.length)];
}

/** The buffer's bytes: those that were read, or those that were to be written; nothing was read by a failed call. */
function buffer({ op, args, data, result }: SyscallEvent): string {
  if (data === undefined) return "NULL";
  return bytesText(data, op.includes("read") ? Number(result) : Number(args["count"]));
}

function bytesText(data: Uint8Array, length: number): string {
  let text = "";
  for (const byte of data) {
    const char = String.fromCharCode(byte);
    text += /[ -~]/.test(char) && !/["\\]/.test(char) ? char : `\\x${byte.toString(16).padStart(2, "0")}`;
  }
  return `"${text}"${length > data.length ? "..." : ""}`;
}

function fields(values: Fields): string {
  return Object.entries(values).map(([name, value]) => `${name}=${valueText(name, value)}`).join(", ");
}

const namedArguments: Rule = ({ args }) => [fields(args)];
