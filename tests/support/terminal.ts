/** Types into the program on a terminal and reads what it shows. */
import { assert } from "@std/assert";
import { stripAnsiCode } from "@std/fmt/colors";
import type { Program } from "./program.ts";
import { checkDocuments } from "./schemas.ts";

/** What the shell shows when it waits for a line, colours off. */
export const PROMPT = "ism> ";
/** How long a test waits for a text. Milliseconds; generous, as other tests run at the same time. */
const PATIENCE_MS = 30_000;

/** Keys that are no characters. */
export const KEY = {
  ENTER: "\r",
  TAB: "\t",
  UP: "\x1b[A",
  CTRL_C: "\x03",
  CTRL_D: "\x04",
  CTRL_Z: "\x1a",
} as const;

/** Util-linux's `script` makes terminals; without it there is nothing to test with. */
export const NO_TERMINAL = !hasScript();

function hasScript(): boolean {
  try {
    const { stdout } = new Deno.Command("script", { args: ["--version"], stdout: "piped", stderr: "null" })
      .outputSync();
    return new TextDecoder().decode(stdout).includes("util-linux");
  } catch {
    return false;
  }
}

/** The program on a terminal. */
export class TerminalRun implements AsyncDisposable {
  readonly #child: Deno.ChildProcess;
  readonly #keys: WritableStreamDefaultWriter<Uint8Array>;
  readonly #reading: Promise<void>;
  #ended = false;
  #seen = 0;
  /** Everything that was shown so far. */
  output = "";

  /** @param command arguments of the program, or a line for the shell */
  constructor(
    program: Program,
    command: readonly string[] | string,
    { columns = 80, env = {} }: { readonly columns?: number; readonly env?: Record<string, string> } = {},
  ) {
    const line = typeof command === "string" ? command : `exec ${program.commandLine(command)}`;
    this.#child = program.spawnOnTerminal(line, {
      columns,
      env: { XDG_STATE_HOME: program.path("state"), ...env },
    });
    this.#keys = this.#child.stdin.getWriter();
    this.#reading = this.#read();
  }

  /** Sends keys; a TAB counts as a key only if it comes alone, and not in a paste. */
  async type(...keys: readonly string[]): Promise<void> {
    for (const key of keys) await this.#keys.write(new TextEncoder().encode(key));
  }

  /** Waits for the next text of this form. @returns what was shown up to and with it */
  async until(pattern: RegExp | string): Promise<string> {
    const before = this.#seen;
    const deadline = Date.now() + PATIENCE_MS;
    for (;;) {
      const rest = this.output.slice(before);
      const end = typeof pattern === "string" ? endOf(rest, pattern) : endOfMatch(rest, pattern);
      if (end !== undefined) {
        this.#seen = before + end;
        return rest.slice(0, end);
      }
      assert(!this.#ended && Date.now() < deadline, `no ${pattern} in ${JSON.stringify(rest)}`);
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
  }

  /** Types a line and waits for the next prompt. @returns what came between them, without escape sequences */
  async line(text: string): Promise<string> {
    await this.type(text + KEY.ENTER);
    await this.until("\r\n");
    return plain(await this.until(PROMPT)).replace(/ism> $/, "");
  }

  /** Waits for the end. @returns the exit code */
  async end(): Promise<number> {
    const { code } = await this.#child.status;
    await this.#reading;
    await this.#keys.close().catch(() => {});
    await checkDocuments(plain(this.output));
    return code;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    try {
      this.#child.kill("SIGKILL");
    } catch {
      // It has ended.
    }
    await this.end();
  }

  async #read(): Promise<void> {
    const decoder = new TextDecoder();
    for await (const chunk of this.#child.stdout) this.output += decoder.decode(chunk, { stream: true });
    await this.#child.stderr.cancel();
    this.#ended = true;
  }
}

function endOf(text: string, part: string): number | undefined {
  const at = text.indexOf(part);
  return at < 0 ? undefined : at + part.length;
}

function endOfMatch(text: string, pattern: RegExp): number | undefined {
  const match = pattern.exec(text);
  return match === null ? undefined : match.index + match[0].length;
}

/** Text without escape sequences, its lines ended by line feeds alone. */
export function plain(text: string): string {
  return stripAnsiCode(text).replaceAll("\r", "");
}
