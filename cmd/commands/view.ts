/** Makes something to look at of a trace that was kept. */
import { HostFileError } from "../../lib/host/file/store.ts";
import { argument, type Context, defineCommand, optional } from "../language/command.ts";
import { choice, FILE, OUTPUT } from "../language/kinds.ts";
import { MAX_DOCUMENT_BYTES } from "../language/limits.ts";
import { FileError, UsageError } from "../language/usage_error.ts";
import { quoteText } from "../language/quote.ts";
import { knownFormatOf, rendererOf, TRACE_FORMATS } from "../output/trace/formats.ts";
import { isSameFile } from "../output/file_names.ts";
import { readText } from "../run/files.ts";
import { Sink } from "../run/transfer/sink.ts";

const ENCODER = new TextEncoder();

/** The host file, which must not be written over; none where there is no place for one. */
function hostPathOf(context: Context): string {
  try {
    return context.hostPath;
  } catch (error) {
    if (error instanceof HostFileError) return "";
    throw error;
  }
}

export const view = defineCommand({
  name: "view",
  group: "look",
  summary: "Make a page, a sequence diagram, a Perfetto trace or text of a trace in a .jsonl file",
  details:
    `The ending of the output's name chooses: .html is a page that holds everything itself, with lanes over simulated
time, search and filters; .svg a sequence diagram; .json is for ui.perfetto.dev; .txt is what --trace prints, and what
standard output gets. --trace-file FILE.jsonl writes the trace; docs/trace.md has the fields of its lines.`,
  args: { trace: argument(FILE, "the trace; - for standard input") },
  options: {
    out: optional(OUTPUT, "where to; standard output by default", "o"),
    format: optional(choice("FORMAT", TRACE_FORMATS), "the form, where the name of the output does not tell"),
  },
  access: "none",
  examples: ["view trace.jsonl -o trace.html", "view trace.jsonl --format=svg"],
  async run(context, { trace, out = "-", format }) {
    const { terminal, json, dryRun } = context;
    if (trace === "-" && context.stdinIsLines) {
      throw new UsageError("Standard input holds the lines that are run; name a file", { token: trace });
    }
    if (json && out === "-") {
      throw new UsageError("--json and a trace on standard output exclude each other; name a file with -o");
    }
    const form = format ?? knownFormatOf(out) ?? (out === "-" ? "txt" : undefined);
    if (form === undefined) {
      throw new UsageError(
        `The name ${quoteText(out)} does not tell the form; let it end in ${
          TRACE_FORMATS.map((each) => `.${each}`).join(", ")
        }, or say --format`,
        { token: out },
      );
    }
    if (out !== "-" && isSameFile(trace, out)) {
      throw new FileError(out, `${quoteText(out, 200)} is the trace itself; name another file`);
    }
    const { readTrace } = await import("../output/trace/read.ts");
    const render = await rendererOf(form);
    const records = readTrace(trace, readText(trace, MAX_DOCUMENT_BYTES));
    using sink = new Sink({ terminal, hostPath: hostPathOf(context), dryRun }, out);
    sink.open();
    for (const piece of render(records)) sink.take(ENCODER.encode(piece));
    sink.finish();
    const events = records.filter(({ layer }) => layer !== "trace").length;
    return { file: out, format: form, events, done: !dryRun };
  },
  text: () => "",
});
