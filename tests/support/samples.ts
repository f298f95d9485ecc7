/** Samples of a page of Markdown: what is typed there, and what comes. */
import { STARTER } from "./program.ts";

export const ROOT = new URL("../../", import.meta.url).pathname;

/** How to start the program for a sample. */
export interface SampleOptions {
  readonly input?: string;
  readonly env?: Readonly<Record<string, string>>;
}

/** Starts the program as the README's shell function does; stderr comes before stdout. */
export async function ism(
  args: readonly string[],
  host: string,
  { input = "", env = {} }: SampleOptions = {},
): Promise<{ code: number; output: string }> {
  const [program, ...first] = STARTER;
  const command = new Deno.Command(program, {
    args: [...first, ...args],
    cwd: ROOT,
    env: { ISM_HOST: host, ISM_DEVICE: "", NO_COLOR: "1", ...env },
    stdin: "piped",
    stdout: "piped",
    stderr: "piped",
  });
  const child = command.spawn();
  const writer = child.stdin.getWriter();
  // A program that does not read its input closes it first.
  const feed = writer.write(new TextEncoder().encode(input)).then(() => writer.close()).catch(() => {});
  const { code, stdout, stderr } = await child.output();
  await feed;
  const text = new TextDecoder();
  return { code, output: text.decode(stderr) + text.decode(stdout) };
}

/** Times and rates differ from run to run. */
export function withoutTimes(text: string): string {
  return text.replaceAll(/ in [\d.]+ s(, [\d.]+ \w+\/s)?/g, " in T")
    .replaceAll(/duration_ms: [\d.]+/g, "duration_ms: T")
    .replaceAll(/(scripts?), [\d.]+ s$/gm, "$1, T")
    .trimEnd();
}

/** A command and what is shown below it. */
export interface Sample {
  readonly line: string;
  readonly shown: string;
}

/** The commands of a console block, in order. */
export function samplesOf(block: string): Sample[] {
  return block.split(/^\$ /m).slice(1).map((part) => {
    const [line = "", ...shown] = part.split("\n");
    return { line, shown: shown.join("\n") };
  });
}

/** A console block of Markdown, what it holds captured. */
export const CONSOLE = /^```console\n(.*?)^```$/gms;
