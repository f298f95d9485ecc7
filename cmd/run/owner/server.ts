/** The process that has the host file for itself: runs the lines of others on it, one transaction each. */
import { HostPlace } from "../host/host_place.ts";
import { Session } from "../session.ts";
import { PROCESS_FILES } from "../files.ts";
import { pause } from "../pause.ts";
import type { Failure } from "../../output/failure.ts";
import { describeFailure } from "../../output/failure.ts";
import { RecordingTerminal } from "../../output/recording.ts";
import { type Collected, TraceCollector } from "../../output/trace/collector.ts";
import { TRACE_ALL } from "../../language/trace_filter.ts";
import { functionNamed } from "../driver/device.ts";
import type { HostStore } from "../../../lib/host/file/store.ts";
import type { Commands, Result } from "../../language/command.ts";
import {
  type Answer,
  type Codec,
  ENDINGS,
  type LineQuestion,
  loadCodec,
  type ProgramQuestion,
  type Question,
  takeMessage,
  unpack,
  writeMessage,
} from "./messages.ts";

/** Answers a program's calls to its end; what is told meanwhile is for those who look at it. */
export type Adopt = (
  question: ProgramQuestion,
  tell: (text: string) => void,
) => Promise<{ readonly result: Result; readonly trace: Collected | undefined }>;

const NO_STDIN = new Uint8Array();
/** How long the end of the owner waits for answers to be taken. */
const DRAIN_MS = 2000;
const DRAIN_PAUSE_MS = 2;
/** How often the folder is looked into although nobody told of it. */
const LOOK_MS = 250;

/** Takes questions from the folder until it is closed. */
export class OwnerServer implements Disposable {
  readonly #store: HostStore;
  readonly #adopt: Adopt;
  readonly #commands: Commands;
  /** Undefined where the system gives no more of them. */
  readonly #watcher: Deno.FsWatcher | undefined;
  #isClosed = false;
  readonly #folder: string;
  /** Questions whose answers are not written yet. */
  #answering = 0;
  readonly #running = new Map<string, AbortController>();

  constructor(store: HostStore, folder: string, adopt: Adopt, commands: Commands) {
    this.#commands = commands;
    this.#store = store;
    this.#folder = folder;
    this.#adopt = adopt;
    this.#watcher = watcherOf(folder);
    void this.#watch();
    void this.#lookAgain();
    this.#look();
  }

  [Symbol.dispose](): void {
    this.#isClosed = true;
    this.#watcher?.close();
    for (const controller of this.#running.values()) controller.abort("SIGTERM");
  }

  /** Answers what was asked up to now, and waits until the answers were taken; who was killed takes none. */
  async drain(): Promise<void> {
    for (const end = performance.now() + DRAIN_MS; performance.now() < end;) {
      const isOpen = this.#look().some((name) =>
        [ENDINGS.question, ENDINGS.answer].some((each) => name.endsWith(each))
      );
      if (!isOpen && this.#answering === 0) return;
      await new Promise((resolve) => setTimeout(resolve, DRAIN_PAUSE_MS));
    }
  }

  /** Looks into the folder now and then: some file systems tell nobody of what appears in them. */
  async #lookAgain(): Promise<void> {
    for (;;) {
      await pause(LOOK_MS);
      if (this.#isClosed) return;
      this.#look();
    }
  }

  async #watch(): Promise<void> {
    for await (const { paths } of this.#watcher ?? []) for (const path of paths) this.#see(path);
  }

  /** Sees what is in the folder. @returns the names */
  #look(): string[] {
    try {
      const names = [...Deno.readDirSync(this.#folder)].map(({ name }) => name);
      for (const name of names) this.#see(`${this.#folder}/${name}`);
      return names;
    } catch (error) {
      // Somebody has taken the folder away: nobody can ask any more.
      if (!(error instanceof Deno.errors.NotFound)) throw error;
      return [];
    }
  }

  #see(path: string): void {
    if (path.endsWith(ENDINGS.question)) {
      void this.#take(path);
    } else if (path.endsWith(ENDINGS.end)) {
      const base = path.slice(0, -ENDINGS.end.length);
      try {
        this.#running.get(base)?.abort(Deno.readTextFileSync(path) === "SIGTERM" ? "SIGTERM" : "SIGINT");
        Deno.removeSync(path);
      } catch (error) {
        if (!(error instanceof Deno.errors.NotFound)) throw error;
      }
    }
  }

  /** Takes a question, which is there to be seen until the codec is loaded: most owners are never asked. */
  async #take(path: string): Promise<void> {
    const codec = await loadCodec();
    const question = takeMessage(path, codec) as Question | undefined;
    if (question !== undefined) await this.#answer(path.slice(0, -ENDINGS.question.length), question, codec);
  }

  async #answer(base: string, question: Question, codec: Codec): Promise<void> {
    const isLine = question.kind === "line";
    // What waits for something that may never come keeps nobody.
    const counts = !isLine || !question.waits;
    if (counts) this.#answering++;
    const answer = isLine ? await this.#line(base, question) : await this.#program(base, question);
    if (counts) this.#answering--;
    try {
      writeMessage(base + ENDINGS.answer, answer, codec);
    } catch (error) {
      // Somebody has taken the folder away: nobody is there to be answered.
      if (!(error instanceof Deno.errors.NotFound)) throw error;
    }
  }

  async #line(base: string, { line, globals, device, variables, stdin }: LineQuestion): Promise<Answer> {
    const terminal = new RecordingTerminal();
    const controller = new AbortController();
    this.#running.set(base, controller);
    const isTraced = globals.trace !== undefined || globals.dryRun || globals.traceFile !== undefined;
    // Whoever asks prints them: it knows the line, and the numbers that it has given so far.
    const trace = isTraced
      ? new TraceCollector({ filter: globals.trace ?? TRACE_ALL, find: functionNamed })
      : undefined;
    const session = new Session(
      terminal,
      { ...globals, traceFile: undefined },
      { hostPath: this.#store.path, device, commands: this.#commands },
      HostPlace.of(this.#store),
      {
        interrupted: controller.signal,
        files: { readFile: PROCESS_FILES.readFile, readStdin: () => stdin ?? NO_STDIN },
      },
    );
    for (const [name, value] of variables) session.variables.set(name, value);
    let outcome: Answer["outcome"];
    let failure: Failure | undefined;
    try {
      const invocation = await this.#commands.loading(() => unpack(line, this.#commands));
      outcome = await session.carryOut(invocation, trace);
    } catch (error) {
      failure = describeFailure(error);
    } finally {
      this.#running.delete(base);
    }
    return {
      outcome,
      failure,
      pieces: terminal.pieces,
      variables: session.variables,
      trace: trace?.collected,
    };
  }

  async #program(base: string, question: ProgramQuestion): Promise<Answer> {
    const tell = (text: string) => {
      Deno.writeTextFileSync(base + ENDINGS.told, text, { append: true, mode: 0o600 });
    };
    const none = { pieces: [], variables: new Map(), trace: undefined };
    try {
      const { result, trace } = await this.#adopt(question, tell);
      return { ...none, trace, outcome: { result, innermost: result }, failure: undefined };
    } catch (error) {
      return { ...none, outcome: undefined, failure: describeFailure(error) };
    }
  }
}

function watcherOf(folder: string): Deno.FsWatcher | undefined {
  try {
    return Deno.watchFs(folder, { recursive: false });
  } catch (error) {
    if (!(error instanceof Error)) throw error;
    return undefined;
  }
}
