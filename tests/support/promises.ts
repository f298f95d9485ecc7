/**
 * What a printed word promises: commands that print, how each is run, and how to see in the host file whether what it
 * printed is there.
 */
import { assert, assertEquals } from "@std/assert";
import { HostStore } from "../../lib/host/file/store.ts";
import type { Host } from "../../lib/host/host.ts";

/** What a process had printed when it ended, or was killed. */
export interface Printed {
  readonly stdout: string;
  readonly stderr: string;
  readonly bytes: Uint8Array;
}

/** A command line that prints, and what must be in the host file for each word that it printed. */
export interface PrintingCase {
  readonly name: string;
  readonly args: readonly string[];
  readonly stdin?: string;
  /** @throws {AssertionError} if something was printed that is not there */
  check(printed: Printed, host: Host): void;
}

/** Address that the furnished host has mapped. */
export const IOVA = "0x100002000";
/** Lines that make the host on which every case runs. */
export const FURNISH = [
  `dma map --size 8k --iova ${IOVA}`,
  "events -d 1",
  "let g gid -d 1",
  "signal $g --code 0x71",
  "signal $g --code 0x72",
];

/** Runs `work` on the host of a file. */
export function onHost<Of>(path: string, work: (host: Host) => Of): Of {
  using store = HostStore.open(path);
  const host = store.begin("read");
  try {
    return work(host);
  } finally {
    store.rollback();
  }
}

/** Addresses or tokens: a line of text each, or a field of a document. Without its end a line may be cut off. */
const addresses = ({ stdout }: Printed): string[] =>
  [...stdout.matchAll(/^(0x[0-9a-f]+)\n|"(?:iova|token)":"(0x[0-9a-f]+)"/gm)].map(([, line, field]) =>
    line ?? field!
  );
const hex = (value: number) => `0x${value.toString(16)}`;

function assertAllThere(printed: readonly string[], there: readonly string[]): void {
  const missing = new Set(printed).difference(new Set(there));
  assertEquals([...missing], [], `printed, but not among the ${there.length} that are there`);
}

const mapped = (host: Host) => host.functions[0]!.driver.memory.map(({ iova }) => hex(iova));
const tokens = (host: Host) => host.functions[0]!.driver.dmbs.map(({ token }) => hex(token));

const maps = (printed: Printed, host: Host) => assertAllThere(addresses(printed), mapped(host));
const dmbs = (printed: Printed, host: Host) => assertAllThere(addresses(printed), tokens(host));

/** Documents whose last line may be cut off. */
function results({ stdout }: Printed) {
  return stdout.split("\n").slice(0, -1).map((line) => JSON.parse(line).result);
}

/** Eventfds by number. */
function eventfds(numbers: readonly string[], host: Host): void {
  const open = [...host.guests[0]!.kernel.process.files()].filter(([, { kind }]) => kind === "eventfd");
  assertAllThere(numbers, open.map(([fd]) => String(fd)));
}

/** An event that was printed is taken out of the queue. */
function taken({ stdout }: Printed, host: Host): void {
  const driver = host.functions[1]!.driver;
  const left = driver.takeEvents().map(({ code }) => code);
  const seen = [0x71, 0x72].filter((code) => new RegExp(`${hex(code)}\\b|"code":${code}\\b`).test(stdout));
  assertEquals(left.filter((code) => seen.includes(code)), [], "printed, and still in the queue");
}

/** The number that a page holds is at least the last one that was printed, eight bytes each. */
function counted({ bytes }: Printed, host: Host): void {
  const { driver } = host.functions[0]!;
  const last = Math.floor(bytes.length / 8) - 1;
  if (last < 0) return;
  const memory = driver.memory.find(({ iova }) => hex(iova) === IOVA)!;
  const there = new DataView(driver.view(memory, 0, 8).slice().buffer).getBigUint64(0);
  const seen = new DataView(bytes.buffer, bytes.byteOffset + last * 8).getBigUint64(0);
  assert(there >= seen, `${seen} was printed, ${there} is there`);
}

const COUNT = 25;
const numbers = Array.from({ length: COUNT }, (_, i) => (i + 1).toString(16).padStart(16, "0"));
const counting = numbers.flatMap((n) => [`dma write ${IOVA} hex:${n}`, `dma read ${IOVA} 8 --raw`]);
const lines = (line: string) => `${line}\n`.repeat(COUNT);

/** Function 1 is started by whatever prints on a host where it was not. */
function opened({ stdout, stderr }: Printed, host: Host): void {
  if (stdout === "" && !/opens the function|openat/.test(stderr)) return;
  assert(host.functions[2]!.driver.isOpen, "something was printed, and the function is not open");
}

/** Commands that open a function before they print; on function 2 nothing has happened. */
const OPENING: readonly string[] = [
  "peek bar2 0 16",
  "pread 0x7000000000000 4",
  "config get VENDOR_ID",
  "info",
  "gid",
  "query",
  "cmd READ_GID",
  "irq",
  "dmb register --size 4k --rgid 1",
  "dma map --size 4k",
  "send file --from 2 --to 3 -o -",
];

/** The same, whose text is empty. */
const SILENT: readonly string[] = ["poke bar2 8 1 --width 8", "open", "open --via cdev", "events"];

/** Every way of printing: text, documents, bytes and traces; one line, repeats, scripts and shells. */
export const PRINTING: readonly PrintingCase[] = [
  { name: "repeat, text", args: ["repeat", "200", "dma", "map", "--size", "4k"], check: maps },
  { name: "repeat, JSON", args: ["--json", "repeat", "30", "dma", "map", "--size", "4k"], check: maps },
  { name: "-c", args: ["-c", lines("dmb register --size 4k --rgid 1")], check: dmbs },
  {
    name: "run, one transaction",
    args: ["run", "-"],
    stdin: lines("dmb register --size 4k --rgid 1"),
    check: dmbs,
  },
  {
    name: "run, one transaction, JSON",
    args: ["run", "-", "--json"],
    stdin: lines("fd eventfd"),
    check: (printed, host) => eventfds(results(printed).map(({ fd }) => String(fd)), host),
  },
  {
    name: "run --commit-each",
    args: ["run", "-", "--commit-each"],
    stdin: lines("dma map --size 4k"),
    check: maps,
  },
  {
    name: "run --commit-each, JSON",
    args: ["run", "-", "--commit-each", "--json"],
    stdin: lines("dma map --size 4k"),
    check: (printed, host) => assertAllThere(results(printed).map(({ iova }) => iova), mapped(host)),
  },
  {
    name: "shell",
    args: ["shell"],
    stdin: lines("fd eventfd"),
    check: ({ stdout }, host) => eventfds(stdout.split("\n").slice(0, -1), host),
  },
  { name: "shell with repeat", args: ["shell"], stdin: lines("repeat 20 dma map --size 4k"), check: maps },
  { name: "run, bytes", args: ["run", "-"], stdin: counting.join("\n"), check: counted },
  {
    name: "run --commit-each, bytes",
    args: ["run", "-", "--commit-each"],
    stdin: counting.join("\n"),
    check: counted,
  },
  {
    name: "trace",
    args: ["--trace=syscall", "repeat", "100", "dma", "map", "--size", "4k", "-q"],
    check({ stderr }, host) {
      const printed = [...stderr.matchAll(/VFIO_IOMMU_MAP_DMA, \{[^}]*iova=(0x[0-9a-f]+)[^\n]*\n/g)];
      assertAllThere(printed.map(([, iova]) => iova!), mapped(host));
    },
  },
  { name: "events", args: ["events", "-d", "1"], check: taken },
  { name: "events, JSON", args: ["events", "-d", "1", "--json"], check: taken },
  { name: "irq", args: ["irq", "-d", "1"], check: taken },
  { name: "irq wait", args: ["irq", "wait", "-d", "1", "--timeout", "5"], check: taken },
  { name: "repeat irq wait", args: ["repeat", "1", "irq", "wait", "-d", "1"], check: taken },
  ...OPENING.flatMap((line) => [
    { name: line, args: onTwo(line), check: opened },
    { name: `${line}, repeated`, args: ["repeat", "20", ...onTwo(line)], check: opened },
  ]),
  ...[...OPENING, ...SILENT].flatMap((line) => [
    { name: `${line}, traced`, args: ["--trace=syscall", ...onTwo(line)], check: opened },
    ...(line.includes("-o -")
      ? []
      : [{ name: `${line}, JSON`, args: ["--json", ...onTwo(line)], check: opened }]),
  ]),
];

function onTwo(line: string): string[] {
  return ["-d", "2", ...line.split(" ")];
}
