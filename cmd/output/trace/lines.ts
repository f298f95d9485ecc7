/** Traces with one record a line: as JSON, to be read again, and as text. */
import { parseNumber } from "../../language/number.ts";
import { escapeText } from "../../language/quote.ts";
import { type EventRecord, isRefused, type Speaker, type TraceRecord } from "./record.ts";
import { TraceText } from "./text.ts";
import { depths, eventsOf } from "./timeline.ts";

/** JSON Lines: what `view` reads. */
export function* renderLines(records: readonly TraceRecord[]): Generator<string> {
  for (const record of records) yield `${JSON.stringify(record)}\n`;
}

/** The text that `--trace` prints. */
export function* renderText(records: readonly TraceRecord[]): Generator<string> {
  const layout = new TraceText(true);
  const depthOf = depths(records);
  layout.expect(eventsOf(records).map(speakerOf));
  for (const piece of textLines(records, layout, depthOf)) yield escapeText(piece, { keepNewline: true });
}

function* textLines(
  records: readonly TraceRecord[],
  layout: TraceText,
  depthOf: ReadonlyMap<number, number>,
): Generator<string> {
  for (const record of records) {
    if (record.layer !== "trace") {
      const shown = record.text ?? record.op;
      yield layout.event(
        record.seq,
        depthOf.get(record.seq) ?? 0,
        speakerOf(record),
        shown,
        isRefused(record),
      );
    } else if (record.dropped !== undefined) yield layout.note(`${record.dropped} more events are left out`);
    else if (record.op === "note") yield layout.note(record.text ?? "");
    else if (record.file !== undefined) {
      yield layout.heading({ file: record.file, line: record.line ?? 0 }, record.text ?? "");
    }
  }
}

function speakerOf(record: EventRecord): Speaker {
  const { guest, process, function: index, pci } = record;
  const fid = record["fid"];
  return {
    guest,
    process,
    function: index,
    pci,
    fid: typeof fid === "string" ? parseNumber(fid, "fid") : undefined,
  };
}
