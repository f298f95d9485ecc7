/**
 * The program's command layer in this process: a session with a host in memory and a terminal that keeps what is
 * printed. For tests that run thousands of lines; those of single commands start the program.
 */
import { bindGlobals } from "../../cmd/language/invocation.ts";
import { parseLine } from "../../cmd/language/parse.ts";
import { literalWord } from "../../cmd/language/options.ts";
import { Session } from "../../cmd/run/session.ts";
import { COMMANDS as TABLE } from "../../cmd/table.ts";
import { ProcessTerminal } from "../../cmd/output/terminal.ts";
import type { Document } from "./program.ts";
import { checkDocuments } from "./schemas.ts";

const COMMANDS = await TABLE.all();

/** Keeps what is printed. */
class KeptTerminal extends ProcessTerminal {
  text = "";
  errors = "";

  override outBytes(bytes: Uint8Array): void {
    this.text += new TextDecoder().decode(bytes);
  }

  override err(text: string): void {
    this.errors += text;
  }

  override progress(): void {}
}

/** What a line came to. */
export interface LineOutcome {
  readonly code: number;
  readonly document: Document;
  readonly stderr: string;
}

/** A session with `--json` on a fresh host of the default topology, all of it one transaction; a line is a command. */
export class InProcess implements Disposable {
  readonly #terminal = new KeptTerminal();
  readonly #session: Session;

  constructor() {
    const words = ["--json", "--host", ":memory:", "list"].map((text, i) => literalWord(text, i + 1));
    const globals = bindGlobals(parseLine(words, COMMANDS, { inScript: false }), () => undefined);
    this.#session = new Session(this.#terminal, globals, {
      hostPath: ":memory:",
      device: undefined,
      commands: TABLE,
    });
    this.#session.transactions.begin("write");
  }

  /** Runs one line. */
  async run(line: string): Promise<LineOutcome> {
    const words = line.split(" ").map((text, i) => literalWord(text, i + 1));
    this.#terminal.text = this.#terminal.errors = "";
    const code = await this.#session.runLine(parseLine(words, COMMANDS, { inScript: true }));
    await checkDocuments(this.#terminal.text);
    return { code, document: JSON.parse(this.#terminal.text), stderr: this.#terminal.errors };
  }

  [Symbol.dispose](): void {
    this.#session.transactions.end({ commit: false });
    this.#session.close();
  }
}
