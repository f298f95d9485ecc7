/** Commands that stand before another one: `expect`, `let`, `repeat` and `explain`. */
import { type Assigned, fieldOf } from "../../language/assign.ts";
import type { DataIo } from "../../language/data.ts";
import type { BoundValues, Globals, Invocation } from "../../language/invocation.ts";
import { MAX_REPEATS } from "../../language/limits.ts";
import { UsageError } from "../../language/usage_error.ts";
import { describeFailure, EXIT, type Failure } from "../../output/failure.ts";
import type { Terminal } from "../../language/terminal.ts";
import { Progress } from "../../output/progress.ts";
import { proposeIn } from "../../output/proposal.ts";
import type { TraceCollector } from "../../output/trace/collector.ts";
import { findDevice } from "../driver/device.ts";
import { checkExpectation, type Expectation } from "./expectation.ts";
import { driverNote, explanation } from "./explanation.ts";
import { Yielding } from "../waiting/interrupt.ts";
import type { LineOutput } from "./line_output.ts";
import { opensFunction } from "../host/opening.ts";
import { asTable, exitCodeOf, type Outcome } from "./outcome.ts";
import { type Soon, then } from "../soon.ts";
import type { Surroundings } from "../host/surroundings.ts";
import type { Transactions } from "../host/transactions.ts";

/** What runs the command lines behind prefixes. */
interface Performer {
  readonly transactions: Transactions;
  readonly variables: Map<string, string>;
  readonly terminal: Terminal;
  readonly output: LineOutput;
  readonly files: DataIo;
  readonly interrupted: AbortSignal | undefined;
  which(globals: Globals): string;
  surroundings(globals: Globals, trace: TraceCollector | undefined): Surroundings;
  perform(invocation: Invocation, globals: Globals, trace: TraceCollector | undefined): Soon<Outcome>;
}

/** Variables that `repeat` sets: the run, from 0, and how many there are. */
const [RUN, RUNS] = ["i", "n"];

/** The prefixes of a session. */
export class Prefixes {
  readonly #session: Performer;
  /** Product of the counts of all `repeat` around what is running. */
  #repeats = 1;

  constructor(session: Performer) {
    this.#session = session;
  }

  /** Runs a prefix with the command line behind it. */
  perform(
    name: string,
    values: BoundValues,
    inner: Invocation,
    globals: Globals,
    trace: TraceCollector | undefined,
  ): Soon<Outcome> {
    if (name === "expect") return this.#expect(values["what"] as Expectation, inner, globals, trace);
    if (name === "let") {
      return then(
        this.#session.perform(inner, globals, trace),
        (outcome) => this.#let(values["name"] as readonly Assigned[], inner, outcome),
      );
    }
    if (name === "explain") return this.#explain(inner, globals);
    return this.#repeat(Number(values["count"]), inner, globals, trace);
  }

  #expect(
    expected: Expectation,
    inner: Invocation,
    globals: Globals,
    trace: TraceCollector | undefined,
  ): Soon<Outcome> {
    const command = inner.innermost.command!;
    const { files } = this.#session;
    const refused = (error: unknown) => ({
      result: checkExpectation(expected, command, { error }, files),
      innermost: undefined,
    });
    const done = ({ innermost }: Outcome) => ({
      result: checkExpectation(expected, command, { result: innermost }, files),
      innermost,
    });
    let outcome: Soon<Outcome>;
    try {
      outcome = this.#session.perform(inner, globals, trace);
    } catch (error) {
      return refused(error);
    }
    return outcome instanceof Promise ? outcome.then(done, refused) : done(outcome);
  }

  #let(names: readonly Assigned[], inner: Invocation, { innermost }: Outcome): Outcome {
    const command = inner.innermost.command!;
    if (innermost === undefined) {
      throw new UsageError(`"${command.name}" failed as expected; there is no value that "let" could keep`);
    }
    const found = names.map(({ name, field }) => {
      const value = field === undefined ? command.value!(innermost) : fieldOf(innermost, field, command.name);
      return { name, value };
    });
    for (const { name, value } of found) this.#session.variables.set(name, value);
    const [first, ...more] = found;
    const result = more.length === 0
      ? first!
      : { values: Object.fromEntries(found.map(({ name, value }) => [name, value])) };
    return { result, innermost };
  }

  async #repeat(
    count: number,
    inner: Invocation,
    globals: Globals,
    trace: TraceCollector | undefined,
  ): Promise<Outcome> {
    const around = this.#repeats;
    if (around * count > MAX_REPEATS) {
      throw new UsageError(`${around} times ${count} runs are too many; the most is ${MAX_REPEATS}`);
    }
    const session = this.#session;
    const { variables } = session;
    const before = [RUN, RUNS].map((name) => [name!, variables.get(name!)] as const);
    const counts = inner.uses(RUN!);
    let last: Outcome | undefined;
    let done = 0;
    const kept = session.transactions.host === undefined ? "they are kept" : "nothing of them is kept";
    const what = () => ` after ${done} of ${count} runs; ${kept}`;
    using yielding = new Yielding(session.interrupted);
    try {
      using progress = new Progress(session.terminal, "run", count);
      this.#repeats *= count;
      variables.set(RUNS!, String(count));
      for (; done < count; done++) {
        progress.tell(done);
        if (yielding.isDue()) await yielding.now(what);
        if (counts) variables.set(RUN!, String(done));
        const outcome = session.perform(inner, globals, trace);
        last = outcome instanceof Promise ? await outcome : outcome;
        if (!globals.json) session.output.text(inner.command!, last.result, asTable(globals, last.table));
        if (exitCodeOf(inner, last.innermost) === EXIT.OK) continue;
        done++;
        break;
      }
    } finally {
      this.#repeats = around;
      for (const [name, value] of before) {
        if (value === undefined) variables.delete(name);
        else variables.set(name, value);
      }
    }
    const result = { count: done, command: inner.command!.name, last: last?.result ?? null };
    return { result, innermost: last?.innermost };
  }

  /** Runs a command on a copy of the host and tells what came of it. */
  async #explain(inner: Invocation, globals: Globals): Promise<Outcome> {
    const session = this.#session;
    const { transactions } = session;
    const real = transactions.host;
    const { TraceCollector } = await import("../../output/trace/collector.ts");
    const trace = new TraceCollector();
    const command = inner.innermost.command!;
    let failure: Failure | undefined;
    try {
      transactions.host = real?.fork();
      // Opening is a matter of its own; what the command does with an open function is what is asked.
      if (opensFunction(command)) void session.surroundings(globals, undefined).target.driver.descriptor;
      await session.perform(inner, { ...globals, dryRun: true, quiet: true, json: false }, trace);
    } catch (error) {
      failure = proposeIn(describeFailure(error), globals);
      if (failure.exit !== EXIT.REFUSED && failure.exit !== EXIT.EXPECT) throw error;
    } finally {
      transactions.host = real;
    }
    const note = () =>
      real === undefined ? undefined : driverNote(findDevice(real, session.which(globals)), globals);
    return { result: await explanation(command.name, failure, trace, note), innermost: undefined };
  }
}
