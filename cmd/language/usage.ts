/** The line that shows how a command is used. */
import { type AnyCommand, isFlag, optionName } from "./command.ts";

/** The usage line of a command, without `ism`. */
export function usage({ name, args, options, prefix, verbatim }: AnyCommand): string {
  const words = Object.values(args).map(({ kind, optional, value, rest }) => {
    const isPlain = value === undefined || rest === true;
    const shown = isPlain ? kind.placeholder : `${kind.placeholder}=${String(value)}`;
    return (optional ? `[${shown}]` : shown) + (rest === true ? "…" : "");
  });
  const given = Object.entries(options).map(([key, option]) => {
    const long = option.short !== undefined && option.short === key ? `-${key}` : `--${optionName(key)}`;
    if (isFlag(option)) return `[${long}]`;
    return option.optional ? `[${long} ${option.kind.placeholder}]` : `${long} ${option.kind.placeholder}`;
  });
  const parts = verbatim === true ? [...given, ...words] : [...words, ...given];
  return [name, ...parts, ...(prefix === true ? ["COMMAND…"] : [])].join(" ");
}
