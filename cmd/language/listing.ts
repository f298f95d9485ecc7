/** Commands whose result is a table. */
import { quoteText } from "./quote.ts";
import { type Column, headOf, type Table, TABLE_FORMATS, type TableChoice } from "./table.ts";
import {
  type AnyCommand,
  type Command,
  defineCommand,
  flag,
  type Kind,
  optional,
  type Parameters,
  type Result,
} from "./command.ts";
import { choice } from "./kinds.ts";
import { nearest } from "./nearest.ts";
import { UsageError } from "./usage_error.ts";

/** Names of columns: `address,state`; the titles of the table do as well. */
function columnList(columns: readonly Column[]): Kind<readonly string[]> {
  const names = columns.map(({ name }) => name);
  return {
    placeholder: "A,B,…",
    choices: names,
    separator: ",",
    parse(text, what) {
      return text.split(",").map((word) => {
        const wanted = word.trim().toLowerCase();
        const found = columns.find((column) =>
          column.name === wanted || headOf(column).toLowerCase() === wanted
        );
        if (found !== undefined) return found.name;
        const near = nearest(wanted, names);
        throw new UsageError(`${what}: ${quoteText(word)} is not one of ${names.join(", ")}`, {
          token: text,
          ...(near === undefined ? {} : { hint: `did you mean ${near}?` }),
        });
      });
    },
  };
}

/** Options of every command that lists. */
function tableOptions(columns: readonly Column[]) {
  return {
    format: optional(
      choice("FORMAT", TABLE_FORMATS),
      "table, csv (as RFC 4180 has it), tsv, or json: an object for each row",
    ),
    columns: optional(
      columnList(columns),
      `only these columns: ${columns.map(({ name }) => name).join(", ")}`,
    ),
    wide: flag("all columns, also where they are wider than the terminal; -v does so, too"),
  };
}

/** Defines a command that lists: it has the options of tables, and prints one unless it has a text of its own. */
export function defineListing<
  const Args extends Parameters,
  const Options extends Parameters,
  Of extends Result,
>(
  command: Command<Args, Options, Of> & { readonly table: Table<NoInfer<Of>> },
): AnyCommand {
  const options = { ...command.options, ...tableOptions(command.table.columns) };
  return { ...defineCommand(command), options };
}

/** What the values of a command's options say about its table. */
export function tableChoice(values: Readonly<Record<string, unknown>>): TableChoice {
  return {
    format: values["format"] as TableChoice["format"],
    columns: values["columns"] as TableChoice["columns"],
    wide: values["wide"] === true,
  };
}
