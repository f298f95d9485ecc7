/** How a command is written. */
import { type AnyCommand, isFlag, optionName } from "./command.ts";

/** The usage line of a command, without `ism`. */
export function usage({ name, args, options, prefix, verbatim }: AnyCommand): string {
  const words = Object.values(args).map(({ kind: { placeholder }, optional, rest }) =>
    (optional ? `[${placeholder}]` : placeholder) + (rest === true ? "…" : "")
  );
  const given = Object.entries(options).map(([key, option]) => {
    const long = option.short !== undefined && option.short === key ? `-${key}` : `--${optionName(key)}`;
    if (isFlag(option)) return `[${long}]`;
    const { placeholder } = option.kind;
    if (option.implied !== undefined) return `[${long} [${placeholder}]]`;
    return option.optional ? `[${long} ${placeholder}]` : `${long} ${placeholder}`;
  });
  const parts = verbatim === true ? [...given, ...words] : [...words, ...given];
  return [name, ...parts, ...(prefix === true ? ["COMMAND…"] : [])].join(" ");
}
