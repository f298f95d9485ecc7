/** What `let` keeps: values of a command's result under names, or a word. */
import type { AnyCommand, Kind, Result } from "./command.ts";
import { text } from "./kinds.ts";
import { quoteText } from "./quote.ts";
import { UsageError } from "./usage_error.ts";

/** A name, and the field of the result that it is for; without one the command's principal value. */
export interface Assigned {
  readonly name: string;
  readonly field: string | undefined;
}

const NAME = /^[A-Za-z_][A-Za-z0-9_]{0,63}$/;
const FIELD = /^[A-Za-z0-9_]+(\.[A-Za-z0-9_]+)*$/;

/** `NAME`, or `NAME=FIELD`, several with commas between them. */
export const NAMES: Kind<readonly Assigned[]> = {
  placeholder: "NAME",
  choices: "variable",
  parse(word) {
    return word.split(",").map((each) => {
      const at = each.indexOf("=");
      const [name, field] = at < 0 ? [each, undefined] : [each.slice(0, at), each.slice(at + 1)];
      if (!NAME.test(name)) {
        throw new UsageError(`${quoteText(name)} is not a name; names are letters, digits and _`, {
          token: word,
        });
      }
      if (field === undefined || FIELD.test(field)) return { name, field };
      throw new UsageError(
        `${quoteText(field)} is not a field of a result; write NAME=FIELD, or NAME = WORD`,
        {
          token: word,
        },
      );
    });
  },
};

/** The sign behind the name in `let NAME = WORD`. */
export const EQUALS = "=";

/** What stands behind `let NAME`: a command of its own that nobody can name. */
export const WORD: AnyCommand = {
  name: "let",
  group: "script",
  summary: "The value of a word",
  args: { word: { kind: text("WORD"), help: "the value", optional: false, value: undefined } },
  options: {},
  access: "none",
  examples: [],
  run: (_, { word }) => ({ value: word }),
  value: ({ value }) => String(value),
};

/**
 * The value of a field of a result: `size`, `regions.0.offset`.
 *
 * @throws {UsageError} if the result has none, or it is not one value
 */
export function fieldOf(result: Result, field: string, command: string): string {
  let value: unknown = result;
  for (const key of field.split(".")) {
    const fields = typeof value === "object" && value !== null ? value : {};
    if (!(key in fields)) {
      const names = Object.keys(fields);
      throw new UsageError(
        `The result of "${command}" has no ${quoteText(field)}` +
          (names.length === 0 ? "" : `; there is ${names.slice(0, MAX_NAMES).join(", ")}`),
        { hint: `--json shows the result` },
      );
    }
    value = (fields as Readonly<Record<string, unknown>>)[key];
  }
  if (["string", "number", "boolean"].includes(typeof value)) return String(value);
  throw new UsageError(`${quoteText(field)} of "${command}" is ${value === null ? "null" : "not one value"}`);
}

/** Fields that an error names. */
const MAX_NAMES = 20;
