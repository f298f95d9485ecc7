/** The kinds of arguments that commands share. */
import { type AnyCommand, isFlag, type Kind } from "./command.ts";
import { DATA_FORM_NAMES, type DataSource, parseData } from "./data.ts";
import { quoteText } from "../output/diagnostic.ts";
import { parseBigNumber, parseNumber, parseSeconds } from "./number.ts";
import { UsageError } from "./usage_error.ts";

/** A whole number that fits a double exactly. */
export function number(placeholder: string, limits: { min?: number; max?: number } = {}): Kind<number> {
  return { placeholder, parse: (text, what) => parseNumber(text, what, limits) };
}

/** A whole number of up to 64 bits. */
export function bigNumber(placeholder: string): Kind<bigint> {
  return { placeholder, parse: parseBigNumber };
}

/** Seconds, up to a day; fractions to the microsecond. */
export const SECONDS: Kind<number> = {
  placeholder: "SECONDS",
  parse: (text, what) => parseSeconds(text, what, 86_400),
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

export const FILE: Kind<string> = { placeholder: "FILE", parse: parsePath, choices: "file" };

/** The files that a command is given by name, `-` left out. */
export function filesOf(command: AnyCommand, values: Readonly<Record<string, unknown>>): string[] {
  return Object.entries({ ...command.args, ...command.options })
    .filter(([, spec]) => !isFlag(spec) && spec.kind === FILE)
    .map(([key]) => values[key])
    .filter((value): value is string => typeof value === "string" && value !== "-");
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

/** The name of a region index. */
export function regionName(index: number): string {
  return REGION_NAMES[index] ?? `region ${index}`;
}

export const REGION: Kind<RegionName> = {
  placeholder: "REGION",
  choices: REGION_NAMES,
  parse(value, what) {
    const named = REGION_NAMES.indexOf(value);
    if (named >= 0) return { index: named, name: value };
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
