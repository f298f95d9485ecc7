/** Lines that are typed on a terminal: editing, earlier lines, TAB. */
import type { Interface } from "node:readline";
import type { Writable } from "node:stream";
import type { History } from "./history.ts";
import { HISTORY_LINES } from "./history.ts";
import type { LineSource, NoLine } from "./lines.ts";

/** What TAB finds: whole words, and the part of the line that they stand for. */
export type Completer = (line: string) => readonly [candidates: readonly string[], replaced: string];

const PROMPT = "ism> ";
const CONTINUED = "...> ";

/** What the editor needs of its surroundings. */
interface Surroundings {
  /** Where the editor draws: text goes out at once. */
  readonly write: (text: string) => void;
  readonly columns: () => number;
  /** Puts the prompt into a style. */
  readonly style: (text: string) => string;
  readonly history: History;
  readonly complete: Completer;
}

/** What of Node the editor is made of. Only who types waits for it: it takes as long to load as a whole command. */
async function loadNode() {
  const [{ default: process }, { createInterface }, { Writable }] = await Promise.all([
    import("node:process"),
    import("node:readline"),
    import("node:stream"),
  ]);
  return { process, createInterface, Writable };
}

type Node = Awaited<ReturnType<typeof loadNode>>;

/** Loads the editor and begins to listen to the terminal. */
export async function openEditor(surroundings: Surroundings): Promise<LineEditor> {
  return new LineEditor(surroundings, await loadNode());
}

/**
 * The editor. Between two calls of {@linkcode next} the terminal is in its usual mode, so that Ctrl-C is a signal while
 * a command runs.
 */
export class LineEditor implements LineSource {
  readonly #surroundings: Surroundings;
  readonly #process: Node["process"];
  readonly #output: Screen;
  readonly #readline: Interface;
  readonly #queue: ({ readonly text: string } | NoLine)[] = [];
  #wake: (() => void) | undefined = undefined;
  #closed = false;

  constructor(surroundings: Surroundings, { process, createInterface, Writable }: Node) {
    this.#surroundings = surroundings;
    this.#process = process;
    this.#output = new Screen(surroundings, Writable);
    this.#readline = createInterface({
      input: process.stdin,
      output: this.#output.stream,
      terminal: true,
      historySize: HISTORY_LINES,
      completer: (line: string): [string[], string] => {
        const [candidates, replaced] = surroundings.complete(line);
        return [[...candidates], replaced];
      },
    });
    this.#readline.on("line", (text) => this.#put({ text }));
    this.#readline.on("close", () => {
      // Ctrl-D; the next prompt is another program's.
      if (!this.#closed) surroundings.write("\r\n");
      this.close();
      this.#put("end");
    });
    this.#readline.on("SIGINT", () => {
      surroundings.write("^C\r\n");
      this.#empty();
      this.#put("dropped");
    });
    this.#readline.on("SIGTSTP", () => this.#suspend());
    this.#rest();
  }

  async next(continued: boolean): Promise<{ readonly text: string } | NoLine> {
    if (this.#queue.length === 0 && !this.#closed) {
      const due = new Promise<void>((resolve) => this.#wake = resolve);
      this.#prompt(continued ? CONTINUED : PROMPT);
      await due;
      this.#rest();
    }
    return this.#queue.shift() ?? "end";
  }

  forget(): void {
    // The end stays: it comes once.
    const end = this.#queue.indexOf("end");
    this.#queue.splice(0, end < 0 ? this.#queue.length : end);
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#readline.close();
    this.#output.close();
    this.#setRaw(false);
  }

  #put(what: { readonly text: string } | NoLine): void {
    this.#queue.push(what);
    this.#wake?.();
    this.#wake = undefined;
  }

  #prompt(text: string): void {
    this.#empty();
    this.#setRaw(true);
    this.#readline.setPrompt(this.#surroundings.style(text));
    this.#readline.prompt();
  }

  /** Forgets what was typed, and puts the lines in that can be brought back. */
  #empty(): void {
    const editable = this.#readline as unknown as { history: string[]; line: string; cursor: number };
    // The shell knows which lines are worth keeping; readline has put every one in.
    editable.history = [...this.#surroundings.history.entries];
    editable.line = "";
    editable.cursor = 0;
  }

  /** Stops the process, as Ctrl-Z does elsewhere; the shell that started it brings it back. */
  #suspend(): void {
    this.#setRaw(false);
    this.#process.kill(this.#process.pid, "SIGTSTP");
    // Runs when the process goes on; at once where nobody could bring it back, as the system does not stop it then.
    setTimeout(() => {
      if (this.#closed) return;
      this.#setRaw(true);
      this.#readline.prompt(true);
    }, 0);
  }

  /** Leaves keys to the terminal until the next prompt. */
  #rest(): void {
    if (this.#closed) return;
    this.#readline.pause();
    this.#setRaw(false);
  }

  #setRaw(raw: boolean): void {
    try {
      this.#process.stdin.setRawMode(raw);
    } catch {
      // The terminal has gone away; the end of the input tells so.
    }
  }
}

/** The terminal as readline sees it. Not process.stdout: what is drawn must not overtake what commands print. */
class Screen {
  /** A terminal for readline: it has columns, and tells when they change. */
  readonly stream: Writable;
  readonly #resized = () => void this.stream.emit("resize");

  constructor({ write, columns }: Surroundings, writable: Node["Writable"]) {
    const decoder = new TextDecoder("utf-8", { ignoreBOM: true });
    const stream = new writable({
      decodeStrings: true,
      write(chunk: Uint8Array, _encoding, done) {
        write(decoder.decode(chunk));
        done();
      },
    });
    Object.defineProperty(stream, "isTTY", { value: true });
    Object.defineProperty(stream, "columns", { get: columns });
    this.stream = stream;
    Deno.addSignalListener("SIGWINCH", this.#resized);
  }

  close(): void {
    Deno.removeSignalListener("SIGWINCH", this.#resized);
    this.stream.destroy();
  }
}
