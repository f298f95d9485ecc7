/**
 * Random command lines and scripts, made from the commands' own definitions, so that most of them are understood and
 * many reach the simulated kernel; then a part of them is damaged. The same number gives the same lines.
 */
import {
  type AnyCommand,
  canStandInLine,
  isFlag,
  optionName,
  type Parameter,
  runsPrograms,
} from "../../cmd/language/command.ts";
import { COMMANDS as TABLE } from "../../cmd/table.ts";
import { splitMix64 } from "../../lib/base/random.ts";

const COMMANDS = await TABLE.all();

/** All but those that run programs: what stands behind it are programs of the machine that runs the test. */
const ALL: readonly AnyCommand[] = [...COMMANDS.values()].filter((command) => !runsPrograms(command));
/** Commands that a script may have. */
const LINES = ALL.filter(canStandInLine);
const VALUED = ALL.filter(({ value }) => value !== undefined);
const COMMON = ALL.filter(({ access, group }) => access === "write" && group !== "host");

const NUMBERS = [
  "0",
  "1",
  "2",
  "3",
  "4",
  "7",
  "8",
  "9",
  "16",
  "32",
  "63",
  "64",
  "100",
  "255",
  "256",
  "4095",
  "4096",
];
const SIZES = ["4k", "8k", "64k", "0x1000", "4097", "1M", "0x10000", "2M", "16M", "0b1000_0000"];
const EDGES = [
  ...["0x7fffffff", "0xffffffff", "4294967296", "0x1ffffffffff", "0x1000000000000", "0x2000000000000"],
  ...["0x7000000000000", "9007199254740991", "9007199254740992", "0x7fffffffffffffff", "0x8000000000000000"],
  ...["18446744073709551615", "18446744073709551616", "256T", "0x100000000", "0x100001000", "0x140000000"],
];
const WRONG = [
  "-1",
  "0778",
  "1e3",
  "",
  "0x",
  "1_",
  "4K",
  "--",
  "-",
  "x",
  "$nothing",
  "\u009b",
  "\x1b[31m",
  "\u202e",
];
/** What the default host's first functions and DMBs are called; tests/support/fuzz_worker.ts makes sure of it. */
const GIDS = ["0x62441adacc2f9ccf", "0x7429a3efbe812cbd", "0x1"];
const ODD_CHARACTERS = [
  "\x00",
  "\x07",
  "\x1b",
  "\x7f",
  "\x85",
  "\x9b",
  "\u202e",
  "\u2066",
  "\ufeff",
  "\ud800",
  "\\",
  "'",
  '"',
  "$",
  "#",
  "\r",
];

/** One run of the program. */
export interface Case {
  readonly args: readonly string[];
  /** Text of `script.ism`, which the arguments may name. */
  readonly script: string | undefined;
}

/** Makes what belongs to one seed. */
class Maker {
  #state: bigint;
  /** Names that a script's first lines set. */
  #variables: ReadonlySet<string> = new Set();

  constructor(seed: number, readonly tokens: readonly string[]) {
    this.#state = BigInt(seed) << 20n;
  }

  below(limit: number): number {
    return Number(splitMix64(this.#state++) % BigInt(limit));
  }

  chance(percent: number): boolean {
    return this.below(100) < percent;
  }

  pick<Of>(list: readonly Of[]): Of {
    return list[this.below(list.length)]!;
  }

  /** First lines of a script. */
  setup(): readonly string[] {
    const lines = this.pick(SETUPS);
    this.#variables = new Set(lines.flatMap((line) => /^let (\w+)/.exec(line)?.slice(1) ?? []));
    return lines;
  }

  number(): string {
    return this.chance(1) ? this.pick(WRONG) : this.pick([NUMBERS, NUMBERS, SIZES, EDGES][this.below(4)]!);
  }

  data(): string {
    const digits = Array.from(
      { length: this.pick([1, 2, 4, 8, 9, 16, 64]) },
      () => this.below(256).toString(16).padStart(2, "0"),
    );
    return this.pick([
      `hex:${digits.join("")}`,
      `hex:0000000${this.below(16).toString(16)}00000008`,
      `fill:0xa5*${this.pick(["0", "1", "8", "16", "4k", "4097", "64k"])}`,
      `seq:${this.below(256)}*${this.pick(["1", "8", "9", "256"])}`,
      `rand:${this.below(9)}*${this.pick(["1", "4k", "10000"])}`,
      "text:hello",
      `file:data.bin${this.pick(["", "@0", "@8+8", "@4000+200", "@9999+1"])}`,
      this.pick(["file:missing", "-", "hex:0", "fill:1", "hex:", "text:", "file:."]),
    ]);
  }

  /** A word for a parameter: most of the time one that its kind takes. */
  value(name: string, { kind }: Parameter<unknown>): string {
    if (this.below(150) === 0) return this.pick(WRONG);
    if (Array.isArray(kind.choices) && kind.placeholder !== "DATA" && this.chance(90)) {
      const word: string = this.pick(kind.choices as readonly string[]);
      return word.endsWith(":") ? word + this.pick(["1", "3", "0x3a", "40", "operand", "addressing"]) : word;
    }
    switch (kind.placeholder) {
      case "DATA":
        return this.data();
      case "FILE":
        return this.pick([
          "data.bin",
          "out.bin",
          "topology.json",
          "saved.json",
          "missing/x",
          ".",
          "-",
          "script.ism",
        ]);
      case "FD":
        return this.pick(["3", "4", "5", "5", "6", "99"]);
      case "PATH":
        return this.pick([
          "/dev/vfio/vfio",
          "/dev/vfio/0",
          "/dev/iommu",
          "/dev/vfio/devices/vfio0",
          "/dev/null",
        ]);
      case "GID":
        return this.pick([...GIDS, ...this.#variables.has("g") ? ["$g"] : []]);
      case "TOKEN":
        return this.pick([...this.tokens, ...this.#variables.has("t") ? ["$t", "$t"] : []]);
      case "NAME=VALUE":
        return `${this.pick(["COMMAND", "CACHE_LINE_SIZE", "BAR0", "STATUS"])}=${this.pick(NUMBERS)}`;
      case "ID":
      case "IDX":
      case "INDEX":
      case "PEC":
        if (this.chance(85)) return this.pick(["0", "1", "5", "7", "9", "15", "40", "0x3a"]);
        break;
      case "WHICH":
        return this.pick([
          "0",
          "1",
          "uid:2",
          "fid:0x10",
          "0002:00:00.0",
          "9",
          "device",
          "container",
          "group",
          "eventfd",
          "iommufd",
          "5",
        ]);
      case "REQUEST":
        return this.pick([
          "VFIO_DEVICE_GET_INFO",
          "VFIO_DEVICE_RESET",
          "VFIO_DEVICE_SET_IRQS",
          "VFIO_IOMMU_MAP_DMA",
          "VFIO_DEVICE_GET_REGION_INFO",
          "0x3b6a",
          "0x3b71",
        ]);
      case "ARGUMENT":
        return this.pick([
          "argsz=32",
          "index=2",
          "flags=1",
          "argsz=16",
          "iova=0x100000000",
          "size=4096",
          "3",
          "hex:2000000000000000",
          "hex:00",
          "x=1",
        ]);
      case "COMMAND":
        return this.pick(ALL).name.split(" ")[0]!;
      case "WHAT":
        return this.pick([
          "ok",
          "fail",
          "EINVAL",
          "EIO",
          "ENOTTY",
          "RET",
          "DRIVER",
          "=0x1",
          "hex:00",
          "fill:0*8",
        ]);
      case "NAME":
        return this.pick(["COMMAND", "VENDOR_ID", "STATUS", "x"]);
      case "TIME":
        return this.pick(["0", "1", "0.25", "250ms", "1s"]);
    }
    return name === "code" && this.chance(60) ? String(this.below(20)) : this.number();
  }

  /** A command's line, its options among its arguments. */
  words(command: AnyCommand, inScript: boolean, depth = 0): string[] {
    if (this.chance(15) && !(inScript && command.access === "file")) {
      return this.pick(command.examples).split(" ");
    }
    const { name, args, options, prefix } = command;
    const words = name.split(" ");
    for (const [key, parameter] of Object.entries(args)) {
      if (parameter.optional && this.chance(50)) break;
      words.push(
        key === "count" && prefix === true ? this.pick(["1", "2", "3"]) : this.value(key, parameter),
      );
      if (parameter.rest === true && this.chance(70)) {
        words.push(this.value(key, parameter), this.value(key, parameter));
      }
    }
    for (const [key, option] of Object.entries(options)) {
      // It goes on until somebody ends it.
      if (key === "watch") continue;
      const wanted = !isFlag(option) && !option.optional;
      if (!this.chance(wanted ? 95 : 25)) continue;
      words.push(`--${optionName(key)}`);
      if (!isFlag(option)) words.push(this.value(key, option));
    }
    if (prefix === true && depth < 3) words.push(...this.words(this.innerCommand(name), true, depth + 1));
    return words;
  }

  command(inScript: boolean): AnyCommand {
    return this.chance(70) ? this.pick(COMMON) : this.pick(inScript ? LINES : ALL);
  }

  /** A command that may stand behind another one. */
  innerCommand(prefix: string): AnyCommand {
    return prefix === "let" && this.chance(95) ? this.pick(VALUED) : this.command(true);
  }

  /** Options of the whole line. */
  globals(inScript: boolean): string[] {
    const words: string[] = [];
    if (this.chance(30)) words.push("-d", this.pick(["0", "1", "1", "uid:2", "fid:0x11", "uid:1"]));
    if (this.chance(10)) words.push(`--trace${this.pick(["", "=syscall", "=insn,irq", "=device"])}`);
    if (this.chance(5)) words.push("-v");
    if (inScript) return words;
    if (this.chance(30)) words.push("--json");
    if (this.chance(8)) words.push("-n");
    if (this.chance(4)) words.push("--raw");
    if (this.chance(2)) words.push("--trace-file", this.pick(["trace.json", "missing/trace.json"]));
    return words;
  }

  /** Leaves out, doubles, exchanges or replaces a word, or changes a character. */
  damage(words: readonly string[]): string[] {
    const list = [...words];
    const at = this.below(list.length);
    const odd = this.pick(ODD_CHARACTERS);
    const word = list[at]!;
    const cut = this.below(word.length + 1);
    switch (this.below(6)) {
      case 0:
        list.splice(at, 1);
        break;
      case 1:
        list.splice(at, 0, word);
        break;
      case 2:
        list[at] = list[this.below(words.length)]!;
        break;
      case 3:
        list[at] = this.chance(50) ? this.pick(WRONG) : this.number();
        break;
      default:
        list[at] = word.slice(0, cut) + odd + word.slice(cut + this.below(2));
    }
    return list;
  }

  line(inScript: boolean): string[] {
    const words = [...this.globals(inScript), ...this.words(this.command(inScript), inScript)];
    return this.chance(inScript ? 2 : 15) ? this.damage(words) : words;
  }
}

/** What brings a host to where most commands find something. */
const SETUPS: readonly (readonly string[])[] = [
  [],
  ["let g gid", "let t dmb register --size 64k --rgid $g -d 1"],
  ["let g gid -d 1", "let t dmb register --size 4k --rgid $g --index 40", "move $t 0 seq:0*64 --signal -d 1"],
  ["open --via cdev", "dma map --size 64k", "let t dmb register --size 8k --rgid 0x7429a3efbe812cbd"],
  [
    "vlan add 7",
    "vlan add 7 -d 1",
    "let t dmb register --size 4k --rgid 0x7429a3efbe812cbd --vlan 7",
    "vlan require on",
  ],
  ["dma map --size 16k --iova 0x140000000", "fault add busy:3 --op PCISTB", "fault add cc1:40 --at 9"],
  ["open", "zpci event 0x3a"],
  ["bind --driver vfio-pci"],
  ["open", "unbind"],
  ["zpci disable"],
  ["zpci deconfigure --gone"],
];

/** A word as a script has it. */
function quoted(word: string): string {
  return /^[\w:.,=*+@/$-]+$/.test(word) ? word : `'${word.replaceAll("'", "")}'`;
}

/** The case of a number. `tokens` are tokens that DMBs of the default host get. */
export function randomCase(seed: number, tokens: readonly string[]): Case {
  const maker = new Maker(seed, tokens);
  if (maker.chance(35)) return { args: maker.line(false), script: undefined };
  const lines = maker.setup().concat(
    Array.from({ length: 1 + maker.below(6) }, () => maker.line(true).map(quoted).join(" ")),
  );
  let script = lines.join("\n") + "\n";
  for (let i = maker.chance(8) ? 1 + maker.below(3) : 0; i > 0; i--) {
    const at = maker.below(script.length);
    script = script.slice(0, at) + maker.pick(ODD_CHARACTERS) + script.slice(at + maker.below(3));
  }
  const options = ["--keep-going", "--keep-going", "--commit-each", "--json", "-n", "--trace", "-v"].filter(
    () => maker.chance(30),
  );
  const args = maker.chance(80) ? ["run", "script.ism"] : ["-c", script.replaceAll("\0", "")];
  return { args: [...args, ...options], script };
}
