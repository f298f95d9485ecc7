/** A trace as one page of HTML that needs nothing else: no network, no other file. */
import { type EventRecord, isRefused, type TraceRecord } from "../record.ts";
import { causesOf, commandSpans, eventsOf, laneOf, LANES, spansOf } from "../timeline.ts";
import { TRACE_LAYERS } from "../../../../lib/base/trace.ts";
import template from "./page.html" with { type: "text" };
import style from "./page.css" with { type: "text" };
import model from "./model.js" with { type: "text" };
import pointer from "./pointer.js" with { type: "text" };
import timeline from "./timeline.js" with { type: "text" };
import list from "./list.js" with { type: "text" };
import details from "./details.js" with { type: "text" };
import main from "./main.js" with { type: "text" };

/** Elements of the page that are filled: style, data and script. */
const PLACES = /(?<=<style>)|(?<=id="trace">)|(?<=<script type="module">)/;

/** The page, piece by piece. */
export function* renderPage(records: readonly TraceRecord[]): Generator<string> {
  const events = eventsOf(records);
  const [head, body, end, last] = template.split(PLACES);
  yield `${head}${style}${body}`;
  yield* data(records, events);
  yield `${end}${script()}${last}`;
}

/** The modules as one: what they import is there, and nobody outside needs what they export. */
function script(): string {
  return [model, pointer, timeline, list, details, main]
    .map((text) => text.replaceAll(/^import [^;]+;$/gm, "").replaceAll(/^export /gm, ""))
    .join("\n");
}

/** Text within a script element. */
function safe(value: unknown): string {
  return JSON.stringify(value).replaceAll("<", "\\u003c");
}

/** Fields that all events have, and that stand apart. */
const COMMON: ReadonlySet<string> = new Set([
  ...["seq", "parent", "time", "end", "layer", "op", "guest", "process", "function", "pci", "fid"],
  ...["file", "line", "text"],
]);

function* data(records: readonly TraceRecord[], events: readonly EventRecord[]): Generator<string> {
  const guests = [...new Set(events.map(({ guest }) => guest))];
  // The peer stands upside down, so that what one adapter does to the other is next to it.
  const lanes = guests.flatMap((guest, i) =>
    (i === 0 ? LANES : LANES.toReversed()).map((name) => ({ guest, name }))
  );
  const laneAt = new Map(lanes.map(({ guest, name }, i) => [`${guest} ${name}`, i]));
  const speakers = new Distinct(({ guest, process, function: index, pci, fid }: EventRecord) => {
    return { guest, process, function: index, pci, fid };
  });
  const lines = linesOf(records);
  const spans = spansOf(events);
  const indexes = new Map(events.map(({ seq }, i) => [seq, i]));
  const rows = events.map((event, i) => {
    const { start, end } = spans[i]!;
    const fields = Object.fromEntries(Object.entries(event).filter(([name]) => !COMMON.has(name)));
    const parent = event.parent === undefined ? -1 : indexes.get(event.parent) ?? -1;
    return [
      ...[rounded(start), rounded(end), TRACE_LAYERS.indexOf(event.layer)],
      ...[laneAt.get(`${event.guest} ${laneOf(event)}`), parent, speakers.indexOf(event), lines.of[i]],
      ...[isRefused(event) ? 1 : 0, event.op, event.text ?? event.op, fields],
    ];
  });
  const functions = speakers.values
    .filter(({ function: index }, i, all) => {
      return index !== undefined && all.findIndex((other) => other.function === index) === i;
    })
    .toSorted((a, b) => a.function! - b.function!);
  const commands = commandSpans(records, spans).map(({ guest, start, end, text }) => {
    return { lane: laneAt.get(`${guest} driver`), start: rounded(start), end: rounded(end), text };
  });
  const causes = causesOf(events).map(({ from, to }) => [from, to]);
  const parts = {
    layers: TRACE_LAYERS,
    lanes,
    speakers: speakers.values,
    functions,
    lines: lines.all,
    commands,
    causes,
    notes: records.flatMap((record) => record.layer === "trace" && record.op === "note" ? [record.text] : []),
    dropped: records.findLast((record) => record.layer === "trace" && record.dropped !== undefined)
      ?.["dropped"],
  };
  yield `${safe(parts).slice(0, -1)},"events":[`;
  for (const [i, row] of rows.entries()) yield `${i === 0 ? "" : ",\n"}${safe(row)}`;
  yield "]}";
}

/** A thousandth of a nanosecond is enough. */
const rounded = (microseconds: number) => Math.round(microseconds * 1e6) / 1e6;

/** Values that many events share, each kept once. */
class Distinct<Value> {
  readonly values: Value[] = [];
  readonly #indexes = new Map<string, number>();
  readonly #part: (event: EventRecord) => Value;

  constructor(part: (event: EventRecord) => Value) {
    this.#part = part;
  }

  indexOf(event: EventRecord): number {
    const value = this.#part(event);
    const key = JSON.stringify(value);
    const known = this.#indexes.get(key);
    if (known !== undefined) return known;
    this.#indexes.set(key, this.values.length);
    return this.values.push(value) - 1;
  }
}

/** The lines that caused events, and for each event the index of its line. */
function linesOf(records: readonly TraceRecord[]): { readonly all: unknown[]; readonly of: number[] } {
  const all: unknown[] = [];
  const of: number[] = [];
  for (const record of records) {
    if (record.layer !== "trace") of.push(all.length - 1);
    else if (record.op === "line") all.push({ file: record.file, line: record.line, text: record.text });
  }
  return { all, of };
}
