/** Reads the records of a `.jsonl` trace, which anybody may have written. */
import { TRACE_LAYERS } from "../../../lib/base/trace.ts";
import { MAX_TRACE_EVENTS } from "../../language/limits.ts";
import { FileError } from "../../language/usage_error.ts";
import { quoteText } from "../../language/quote.ts";
import type { TraceRecord } from "./record.ts";

const LAYERS: ReadonlySet<unknown> = new Set([...TRACE_LAYERS, "trace"]);

/** The records of a trace. @throws {FileError} that names the first line that is none */
export function readTrace(path: string, text: string): TraceRecord[] {
  const records: TraceRecord[] = [];
  let events = 0;
  let latest = 0;
  const lines = text.split("\n");
  for (const [i, line] of lines.entries()) {
    const fail = (why: string) =>
      new FileError(
        path,
        `${quoteText(path, 200)}, line ${i + 1}: ${why}; "view" reads what --trace-file FILE.jsonl writes`,
      );
    if (line.trim() === "") continue;
    let value: unknown;
    try {
      value = JSON.parse(line);
    } catch {
      const isCut = i === lines.length - 1;
      throw fail(isCut ? "it is cut off, or no JSON" : "it is no JSON");
    }
    const why = faultOf(value, latest);
    if (why !== undefined) throw fail(why);
    const record = value as TraceRecord;
    if (record.layer !== "trace") {
      latest = record.seq;
      if (++events > MAX_TRACE_EVENTS) throw fail(`there are more than ${MAX_TRACE_EVENTS} events`);
    }
    records.push(record);
  }
  if (records.length === 0) throw new FileError(path, `${quoteText(path, 200)} holds no trace: it is empty`);
  return records;
}

/** What keeps a value from being a record; undefined if it is one. */
function faultOf(value: unknown, latest: number): string | undefined {
  if (typeof value !== "object" || value === null || Array.isArray(value)) return "it is no object";
  const { seq, layer, op, time, end, guest, parent, text, process, pci, function: index, line, file } =
    value as Record<string, unknown>;
  if (!LAYERS.has(layer)) return `"layer" is not one of ${[...LAYERS].join(", ")}`;
  if (!isCount(seq)) return '"seq" is no number of an event';
  for (const [name, text_] of Object.entries({ text, process, pci, file })) {
    if (text_ !== undefined && typeof text_ !== "string") return `"${name}" is no text`;
  }
  for (const [name, count] of Object.entries({ function: index, line })) {
    if (count !== undefined && !isCount(count)) return `"${name}" is no whole number`;
  }
  if (layer === "trace") return undefined;
  if (typeof op !== "string" || op === "") return '"op" is missing';
  if (typeof guest !== "string" || guest === "") return '"guest" is missing';
  if (!isCount(time) || !isCount(end) || end < time) return '"time" and "end" are no times';
  if (seq <= latest) return '"seq" does not rise';
  if (parent !== undefined && (!isCount(parent) || parent >= seq)) return '"parent" is no event before it';
  return undefined;
}

const isCount = (value: unknown): value is number => Number.isSafeInteger(value) && Number(value) >= 0;
