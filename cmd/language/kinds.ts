/** The kinds of arguments that commands share. */
import { inputName, outputName, STDERR } from "./streams.ts";
import { type AnyCommand, isFlag, type Kind } from "./command.ts";
import { DATA_FORM_NAMES, type DataSource, parseData } from "./data.ts";
import { quoteText } from "./quote.ts";
import { parseDuration } from "./duration.ts";
import { parseBigNumber, parseNumber } from "./number.ts";
import { UsageError } from "./usage_error.ts";

/** A whole number that fits a double exactly. */
export function number(placeholder: string, limits: { min?: number; max?: number } = {}): Kind<number> {
  return { placeholder, parse: (text, what) => parseNumber(text, what, limits) };
}

/** A whole number of up to 64 bits. */
export function bigNumber(placeholder: string): Kind<bigint> {
  return { placeholder, parse: parseBigNumber };
}

/** A time of up to a day, in seconds: 10, 0.5, 500ms, 3m. */
export const DURATION: Kind<number> = {
  placeholder: "TIME",
  parse: (text, what) => parseDuration(text, what, 86_400),
};

/** Any text. */
export function text(placeholder: string, choices?: Kind<string>["choices"]): Kind<string> {
  return { placeholder, parse: (value) => value, ...(choices === undefined ? {} : { choices }) };
}

/** One of a few words. */
export function choice<const Word extends string>(placeholder: string, words: readonly Word[]): Kind<Word> {
  return {
    placeholder,
    choices: words,
    parse(value, what) {
      const word = words.find((each) => each === value);
      if (word !== undefined) return word;
      throw new UsageError(`${what}: ${quoteText(value)} is not one of ${words.join(", ")}`, {
        token: value,
      });
    },
  };
}

/** A file that is read; `-` is standard input. */
export const FILE: Kind<string> = {
  placeholder: "FILE",
  parse: (value, what) => inputName(parsePath(value, what)),
  choices: "file",
};

/** A file that is written; `-` is standard output. */
export const OUTPUT: Kind<string> = {
  placeholder: "FILE",
  parse: (value, what) => outputName(parsePath(value, what)),
  choices: "file",
};

/** The files that a command is given by name, `-` left out. */
export function filesOf(command: AnyCommand, values: Readonly<Record<string, unknown>>): string[] {
  return Object.entries({ ...command.args, ...command.options })
    .filter(([, spec]) => !isFlag(spec) && (spec.kind === FILE || spec.kind === OUTPUT))
    .flatMap(([key]) => values[key])
    .filter((value): value is string => typeof value === "string" && value !== "-" && value !== STDERR);
}

function parsePath(value: string, what: string): string {
  if (value === "" || value.includes("\0")) {
    throw new UsageError(`${what}: ${quoteText(value)} is not a file name`, { token: value });
  }
  return value;
}

export const DATA: Kind<DataSource> = {
  placeholder: "DATA",
  choices: DATA_FORM_NAMES.map((name) => `${name}:`),
  parse: (value) => parseData(value),
};

/** A region as the user named it. */
export interface RegionName {
  readonly index: number;
  /** `bar0`, `config`, or `region 9` for an index without a name; `rom` and `vga` have names, but no region. */
  readonly name: string;
}

const REGION_NAMES = ["bar0", "bar1", "bar2", "bar3", "bar4", "bar5", "rom", "config", "vga"];

/** One for each name, for all lines that have it. */
const NAMED_REGIONS: readonly RegionName[] = REGION_NAMES.map((name, index) => ({ index, name }));

/** The name of a region index. */
export function regionName(index: number): string {
  return REGION_NAMES[index] ?? `region ${index}`;
}

export const REGION: Kind<RegionName> = {
  placeholder: "REGION",
  choices: REGION_NAMES,
  parse(value, what) {
    const named = NAMED_REGIONS.find(({ name }) => name === value);
    if (named !== undefined) return named;
    if (!/^[0-9]/.test(value)) {
      throw new UsageError(
        `${what}: ${quoteText(value)} is not a region; try bar0 to bar5, config, or an index`,
        { token: value },
      );
    }
    const index = parseNumber(value, what, { max: 0xffff_ffff });
    return { index, name: regionName(index) };
  },
};

export const OFFSET = bigNumber("OFFSET");
export const COUNT = bigNumber("COUNT");
export const GID = bigNumber("GID");
export const TOKEN = number("TOKEN");
export const SIZE = number("SIZE", { min: 1 });
export const DEVICE = text("WHICH", "device");
