/** What a line prints: its result as text, bytes or a document, or its failure. */
import { type AnyCommand, type Result } from "../../language/command.ts";
import { type Failure, failureJson } from "../../output/failure.ts";
import type { Globals, Invocation } from "../../language/invocation.ts";
import { propose } from "../../output/proposal.ts";
import { failureText, type LinePlace } from "../../output/report.ts";
import type { ProcessTerminal } from "../../output/terminal.ts";
import { tableData } from "../../output/table/data.ts";
import { choose, type Table, type TableChoice } from "../../language/table.ts";
import { renderTable } from "../../output/table/text.ts";
import type { TraceCollector } from "../../output/trace/collector.ts";

/** Prints lines of one run. */
export class LineOutput {
  readonly terminal: ProcessTerminal;
  /** It was said that nothing is done. */
  #isMarked = false;

  constructor(terminal: ProcessTerminal) {
    this.terminal = terminal;
  }

  /** Says once, before the first result, that what follows is not done. */
  markDryRun({ access }: AnyCommand, { dryRun, json, quiet, raw }: Globals): void {
    const acts = access === "write" || access === "wait";
    if (!dryRun || json || quiet || raw || !acts || this.#isMarked) return;
    this.#isMarked = true;
    this.terminal.out("dry run: nothing is changed\n");
  }

  /** The result of a line. @throws {FileError} */
  result(
    command: AnyCommand,
    result: Result,
    globals: Globals,
    trace: TraceCollector | undefined,
    place: LinePlace | undefined,
  ): void {
    if (!globals.json) return this.text(command, result, globals);
    const document = {
      schema: 1,
      command: command.name,
      ok: true,
      result,
      ...traced(trace, globals),
    };
    this.#printDocument(document, place);
  }

  /** The result of a command, or of one run of it. @throws {FileError} */
  text(command: AnyCommand, result: Result, globals: Globals): void {
    const { quiet, raw, verbose, table } = globals;
    if (quiet) return;
    if (raw && command.raw !== undefined) return this.terminal.outBytes(command.raw(result));
    const wide = verbose || table?.wide === true;
    const isChosen = table?.format !== undefined || table?.columns !== undefined;
    if (command.table !== undefined && (isChosen || command.text === undefined)) {
      return this.#table(command.table, result, table, wide);
    }
    if (command.text === undefined) return;
    const surroundings = {
      terminal: this.terminal,
      verbose,
      wide,
      propose: (sentence: string) => propose(sentence, globals),
    };
    const text = command.text(result, surroundings);
    if (text !== "") this.terminal.out(text.endsWith("\n") ? text : `${text}\n`);
  }

  #table(table: Table<Result>, result: Result, choice: TableChoice | undefined, wide: boolean): void {
    const { columns, rows } = choose(table.columns, table.rows(result), choice?.columns);
    const format = choice?.format ?? "table";
    // The text is safe, and CSV ends its lines as a terminal's text does not.
    if (format !== "table") {
      this.terminal.outBytes(new TextEncoder().encode(tableData(format, columns, rows)));
    } else if (rows.length > 0 || table.empty === undefined) {
      this.terminal.out(renderTable(columns, rows, this.terminal, { wide }));
    } else if (table.empty !== "") this.terminal.out(`${table.empty}\n`);
  }

  /** The failure of a line. @throws {FileError} */
  failure(
    { command, inner, innermost }: Invocation,
    failure: Failure,
    globals: Globals,
    trace: TraceCollector | undefined,
    place: LinePlace | undefined,
  ): void {
    const { name } = command!;
    if (globals.json) {
      const document = {
        schema: 1,
        command: name,
        ok: false,
        ...(inner === undefined ? {} : { prefixed: innermost.command!.name }),
        error: failureJson(failure),
        ...traced(trace, globals),
      };
      this.#printDocument(document, place);
    }
    this.terminal.err(failureText(this.terminal, name, failure, globals.verbose, place));
  }

  #printDocument(document: Record<string, unknown>, place: LinePlace | undefined): void {
    this.terminal.outDocument(
      place === undefined ? document : { ...document, file: place.file, line: place.line },
    );
  }
}

function traced(
  trace: TraceCollector | undefined,
  { trace: wanted, dryRun }: Globals,
): Record<string, unknown> {
  return {
    ...(dryRun ? { dry_run: true } : {}),
    ...(trace === undefined || (wanted === undefined && !dryRun) ? {} : { trace: trace.json() }),
  };
}
