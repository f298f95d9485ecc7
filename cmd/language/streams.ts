/** Names of the process's own streams, which Deno does not let be opened. */
const STREAM_NAMES: readonly (readonly string[])[] = ["stdin", "stdout", "stderr"].map((name, fd) => [
  `/dev/${name}`,
  `/dev/fd/${fd}`,
  `/proc/self/fd/${fd}`,
]);
/** The name that stands for standard error. */
export const STDERR = "/dev/stderr";

/** A file that is read: `-` for every name of standard input. */
export function inputName(path: string): string {
  return STREAM_NAMES[0]!.includes(path) ? "-" : path;
}

/** A file that is written: `-` for every name of standard output, {@linkcode STDERR} for those of standard error. */
export function outputName(path: string): string {
  if (STREAM_NAMES[1]!.includes(path)) return "-";
  return STREAM_NAMES[2]!.includes(path) ? STDERR : path;
}
