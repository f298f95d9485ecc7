/**
 * Chrome Trace Event JSON, which Perfetto and chrome://tracing show: a process for each guest, a thread for each of its
 * layers, simulated time, and an arrow from a store to the interrupt that it raises in the other guest. The format:
 * "Trace Event Format", events X (complete), M (metadata), s and f (flow).
 */
import type { RemarkRecord, TraceRecord } from "./record.ts";
import {
  causesOf,
  commandSpans,
  eventsOf,
  type Lane,
  laneOf,
  LANES,
  type Span,
  spansOf,
} from "./timeline.ts";

/** Shortest slice that Perfetto shows as one. Microseconds. */
const SHORTEST = 0.001;

type ChromeEvent = Readonly<Record<string, unknown>>;

/** Numbers of processes and threads; 0 stands for a process of its own in some viewers. */
const pidOf = (guests: readonly string[], guest: string) => guests.indexOf(guest) + 1;
const tidOf = (lane: Lane) => LANES.indexOf(lane) + 1;

/** The document, piece by piece. */
export function* renderChrome(records: readonly TraceRecord[]): Generator<string> {
  const dropped = records.findLast((record): record is RemarkRecord =>
    record.layer === "trace" && record.dropped !== undefined
  );
  yield '{"traceEvents":[';
  let first = true;
  for (const event of chromeEvents(records)) {
    yield `${first ? "" : ",\n"}${JSON.stringify(event)}`;
    first = false;
  }
  const other = dropped === undefined ? "" : `,"otherData":{"dropped":${dropped.dropped}}`;
  yield `],"displayTimeUnit":"ns"${other}}`;
}

function* chromeEvents(records: readonly TraceRecord[]): Generator<ChromeEvent> {
  const events = eventsOf(records);
  const guests = [...new Set(events.map(({ guest }) => guest))];
  yield* names(guests);
  const spans = spansOf(events);
  yield* lineEvents(records, spans, guests);
  for (const [i, event] of events.entries()) {
    const { seq, parent, layer, op, time: _time, end: _end, ...args } = event;
    const { start, end } = spans[i]!;
    yield {
      ...{ name: op, cat: layer, ph: "X", ts: rounded(start), dur: Math.max(SHORTEST, rounded(end - start)) },
      ...{ pid: pidOf(guests, event.guest), tid: tidOf(laneOf(event)) },
      args: { seq, ...(parent === undefined ? {} : { parent }), ...args },
    };
  }
  for (const [id, { from, to }] of causesOf(events).entries()) {
    const flow = { name: "interrupt", cat: "flow", id: id + 1 };
    const place = (index: number) => ({
      ts: rounded((spans[index]!.start + spans[index]!.end) / 2),
      pid: pidOf(guests, events[index]!.guest),
      tid: tidOf(laneOf(events[index]!)),
    });
    yield { ...flow, ph: "s", ...place(from) };
    yield { ...flow, ph: "f", bp: "e", ...place(to) };
  }
}

/** Nanoseconds are what viewers keep. */
const rounded = (microseconds: number) => Math.round(microseconds * 1000) / 1000;

function* names(guests: readonly string[]): Generator<ChromeEvent> {
  for (const guest of guests) {
    const pid = pidOf(guests, guest);
    yield { name: "process_name", ph: "M", pid, args: { name: guest } };
    yield { name: "process_sort_index", ph: "M", pid, args: { sort_index: pid } };
    for (const lane of LANES) {
      const tid = tidOf(lane);
      yield { name: "thread_name", ph: "M", pid, tid, args: { name: lane } };
      yield { name: "thread_sort_index", ph: "M", pid, tid, args: { sort_index: tid } };
    }
  }
}

/** What a driver is about: the command or the line of a script. */
function* lineEvents(
  records: readonly TraceRecord[],
  spans: readonly Span[],
  guests: readonly string[],
): Generator<ChromeEvent> {
  for (const { guest, start, end, text, file, line } of commandSpans(records, spans)) {
    yield {
      ...{
        name: text,
        cat: "line",
        ph: "X",
        ts: rounded(start),
        dur: Math.max(SHORTEST, rounded(end - start)),
      },
      ...{ pid: pidOf(guests, guest), tid: tidOf("driver") },
      args: file === undefined ? {} : { file, line },
    };
  }
}
