/** Config space by register name, and as dumps that other tools read. */
import { hex } from "../../lib/base/hex.ts";
import type { HostFunction } from "../../lib/host/host.ts";
import {
  type ConfigRegister,
  decodeBits,
  findRegister,
  listRegisters,
} from "../../lib/vfio/config/registers.ts";
import { REGION } from "../../lib/vfio/uapi.ts";
import { defaulted, defineCommand, rest } from "../language/command.ts";
import { defineListing } from "../language/listing.ts";
import type { Table } from "../language/table.ts";
import { choice, text } from "../language/kinds.ts";
import { dumpText } from "../output/hexdump.ts";
import { quoteText } from "../language/quote.ts";
import { nearest } from "../language/nearest.ts";
import { parseBigNumber } from "../language/number.ts";
import { UsageError } from "../language/usage_error.ts";

const CAPABILITY_POINTER = 0x34;
const FIRST_CAPABILITY = 0x40;
const MSI_ID = 5;
const CONFIG_BYTES = 256;

/** Where the simulated functions have their MSI capability, its names can be told before anything is read. */
const REGISTER_NAMES = listRegisters(FIRST_CAPABILITY).map(({ name }) => name);

/** One pread of config space, little-endian. */
function readValue({ driver }: HostFunction, offset: number, size: number): number {
  const bytes = new Uint8Array(size);
  driver.descriptor.read(REGION.CONFIG, offset, size, bytes);
  return bytes.reduceRight((value, byte) => value * 256 + byte, 0);
}

/** Where the MSI capability is, found by walking the visible chain. */
function msiOffset(target: HostFunction): number | undefined {
  const seen = new Set<number>();
  let at = readValue(target, CAPABILITY_POINTER, 1);
  while (at >= FIRST_CAPABILITY && !seen.has(at)) {
    seen.add(at);
    if (readValue(target, at, 1) === MSI_ID) return at;
    at = readValue(target, at + 1, 1);
  }
  return undefined;
}

function register(target: HostFunction, name: string): ConfigRegister {
  const msi = msiOffset(target);
  const found = findRegister(name, msi);
  if (found !== undefined) return found;
  const near = nearest(name, listRegisters(msi).map((each) => each.name));
  throw new UsageError(`${quoteText(name)} is not a register of config space`, {
    token: name,
    hint: near === undefined ? '"ism config" lists them' : `did you mean ${near}? "ism config" lists them`,
  });
}

function describe(target: HostFunction, row: ConfigRegister) {
  const value = readValue(target, row.offset, row.size);
  return {
    name: row.name,
    offset: hex(row.offset, 2),
    size: row.size,
    value: hex(value, row.size * 2),
    bits: decodeBits(row, value),
  };
}

type Row = ReturnType<typeof describe>;

const REGISTERS: Table<{ readonly registers: readonly Row[] }> = {
  columns: [{ name: "register" }, { name: "offset", drop: 2 }, { name: "value" }, { name: "bits", drop: 1 }],
  rows: ({ registers }) =>
    registers.map(({ name, offset, value, bits }) => [name, offset, value, bits.join(" ")]),
};

export const config = defineListing({
  name: "config",
  group: "look",
  summary: "Show config space register by register",
  args: {},
  options: {},
  access: "write",
  examples: ["config", "config --json"],
  run: ({ target }) => ({ registers: listRegisters(msiOffset(target)).map((row) => describe(target, row)) }),
  table: REGISTERS,
});

export const configGet = defineListing({
  name: "config get",
  group: "look",
  summary: "Read registers of config space by name",
  args: { name: rest(text("NAME", REGISTER_NAMES), "register name, such as COMMAND or BASE_ADDRESS_0") },
  options: {},
  access: "write",
  examples: ["config get COMMAND STATUS", "config get VENDOR_ID --json"],
  run({ target }, { name }) {
    const rows = name.map((each) => register(target, each));
    return { registers: rows.map((row) => describe(target, row)) };
  },
  table: REGISTERS,
  value: ({ registers }) => registers[0]!.value,
});

const ASSIGNMENT = {
  placeholder: "NAME=VALUE",
  choices: REGISTER_NAMES.map((name) => `${name}=`),
  parse(word: string): { readonly name: string; readonly value: bigint } {
    const at = word.indexOf("=");
    if (at < 1) throw new UsageError(`${quoteText(word)} is not NAME=VALUE`, { token: word });
    return { name: word.slice(0, at), value: parseBigNumber(word.slice(at + 1), word.slice(0, at)) };
  },
};

export const configSet = defineCommand({
  name: "config set",
  group: "look",
  summary: "Write registers of config space by name, one pwrite each",
  args: { assignment: rest(ASSIGNMENT, "register name and value, such as COMMAND=0x6") },
  options: {},
  access: "write",
  examples: ["config set COMMAND=0x6"],
  run({ target }, { assignment }) {
    const writes = assignment.map(({ name, value }) => {
      const row = register(target, name);
      if (value >= 1n << BigInt(row.size * 8)) {
        throw new UsageError(
          `${row.name} has ${row.size} byte${row.size === 1 ? "" : "s"}; ${hex(value)} does not fit`,
        );
      }
      return { row, bytes: Uint8Array.fromHex(value.toString(16).padStart(row.size * 2, "0")).reverse() };
    });
    for (const { row, bytes } of writes) target.driver.descriptor.write(REGION.CONFIG, row.offset, bytes);
    return { registers: writes.map(({ row }) => describe(target, row)) };
  },
});

/** The rows of `lspci -x`, which `lspci -F` reads back. */
function lspciText(address: string, bytes: Uint8Array): string {
  const lines = [
    `${address} Non-VGA unclassified device: IBM Internal Shared Memory (ISM) virtual PCI device`,
  ];
  for (let at = 0; at < bytes.length; at += 16) {
    const row = [...bytes.subarray(at, at + 16)].map((byte) => byte.toString(16).padStart(2, "0"));
    lines.push(`${at.toString(16).padStart(2, "0")}: ${row.join(" ")}`);
  }
  return lines.join("\n") + "\n";
}

export const configDump = defineCommand({
  name: "config dump",
  group: "look",
  summary: "Dump config space: hex, raw bytes, or as lspci -F reads it",
  args: {},
  options: { format: defaulted(choice("FORMAT", ["hex", "lspci", "raw"]), "hex", "hex, lspci or raw") },
  access: "write",
  examples: ["config dump", "config dump --format lspci"],
  run({ target }, { format }) {
    const bytes = new Uint8Array(CONFIG_BYTES);
    target.driver.descriptor.read(REGION.CONFIG, 0, bytes.length, bytes);
    return { address: target.zdev.name, format, length: bytes.length, data: bytes.toHex() };
  },
  text({ address, format, data }, { terminal }) {
    const bytes = Uint8Array.fromHex(data);
    if (format === "lspci") return lspciText(address, bytes);
    if (format === "hex") return dumpText(terminal, bytes, 0);
    terminal.outBytes(bytes);
    return "";
  },
  raw: ({ data }) => Uint8Array.fromHex(data),
  value: ({ data }) => `hex:${data}`,
});
