/** What every picture of a trace is drawn from: depth, place in time, lanes, and what caused an interrupt. */
import type { EventRecord, TraceRecord } from "./record.ts";

/** The events among the records. */
export function eventsOf(records: readonly TraceRecord[]): EventRecord[] {
  return records.filter((record): record is EventRecord => record.layer !== "trace");
}

/** How many events lie around each, by sequence number. */
export function depths(records: readonly TraceRecord[]): ReadonlyMap<number, number> {
  const found = new Map<number, number>();
  for (const record of records) {
    if (record.layer === "trace") continue;
    found.set(record.seq, record.parent === undefined ? 0 : (found.get(record.parent) ?? -1) + 1);
  }
  return found;
}

/** Where an event is drawn. Microseconds since the first event. */
export interface Span {
  readonly start: number;
  readonly end: number;
}

/**
 * Simulated time, told apart within a microsecond: the clock moves with instructions, so that much happens at one reading
 * of it. What does is spread over that microsecond in its order; begin and end stay within the reading that they have.
 */
export function spansOf(events: readonly EventRecord[]): readonly Span[] {
  const first = events[0]?.time ?? 0;
  const moments = momentsOf(events);
  const starts = new Float64Array(events.length);
  const ends = new Float64Array(events.length);
  for (let at = 0; at < moments.length;) {
    const { time } = moments[at]!;
    let next = at;
    while (next < moments.length && moments[next]!.time === time) next++;
    const step = 1 / (next - at + 1);
    for (let i = at; i < next; i++) {
      const { index, begins } = moments[i]!;
      (begins ? starts : ends)[index] = time - first + (i - at + 1) * step;
    }
    at = next;
  }
  return events.map((_, i) => ({ start: starts[i]!, end: ends[i]! }));
}

/** Begins and ends in the order in which they came: an event ends when everything within it has ended. */
function momentsOf(events: readonly EventRecord[]): { index: number; begins: boolean; time: number }[] {
  const moments: { index: number; begins: boolean; time: number }[] = [];
  const open: number[] = [];
  const close = () => {
    const index = open.pop()!;
    moments.push({ index, begins: false, time: Math.max(events[index]!.end, moments.at(-1)?.time ?? 0) });
  };
  for (const [index, event] of events.entries()) {
    while (open.length > 0 && events[open.at(-1)!]!.seq !== event.parent) close();
    moments.push({ index, begins: true, time: Math.max(event.time, moments.at(-1)?.time ?? 0) });
    open.push(index);
  }
  while (open.length > 0) close();
  return moments;
}

/** Layers of a guest, from its driver down to its adapter. */
export const LANES = ["driver", "kernel", "machine", "adapter"] as const;
export type Lane = (typeof LANES)[number];

const IRQ_LANES: Readonly<Record<string, Lane>> = {
  MSI: "machine",
  "adapter-interruption": "kernel",
  eventfd: "driver",
  "error-event": "machine",
  "availability-event": "machine",
};

/** The layer in which an event happens: a call in the kernel, an instruction in the machine. */
export function laneOf({ layer, op }: EventRecord): Lane {
  if (layer === "syscall") return "kernel";
  if (layer === "insn") return "machine";
  return layer === "device" ? "adapter" : IRQ_LANES[op] ?? "kernel";
}

/** What caused an interrupt in another guest. Indexes of events. */
export interface Cause {
  /** The instruction: a store of the writer. */
  readonly from: number;
  /** The MSI at the owner. */
  readonly to: number;
}

/** From each instruction to the first interrupt that it raised in another guest. */
export function causesOf(events: readonly EventRecord[]): Cause[] {
  const indexes = new Map(events.map(({ seq }, index) => [seq, index]));
  const causes: Cause[] = [];
  const caused = new Set<number>();
  for (const [to, event] of events.entries()) {
    if (event.layer !== "irq") continue;
    let from = indexOf(event, indexes);
    while (from !== undefined && events[from]!.layer !== "insn") from = indexOf(events[from]!, indexes);
    if (from === undefined || caused.has(from) || events[from]!.guest === event.guest) continue;
    caused.add(from);
    causes.push({ from, to });
  }
  return causes;
}

function indexOf({ parent }: EventRecord, indexes: ReadonlyMap<number, number>): number | undefined {
  return parent === undefined ? undefined : indexes.get(parent);
}

/** What a guest's driver is about for a while. Microseconds since the first event. */
export interface CommandSpan extends Span {
  readonly guest: string;
  readonly text: string;
  readonly file?: string | undefined;
  readonly line?: number | undefined;
}

/** Each line or command, in each guest from the first event that it caused there to the last. */
export function commandSpans(records: readonly TraceRecord[], spans: readonly Span[]): CommandSpan[] {
  const found: CommandSpan[] = [];
  let open = new Map<string, { -readonly [Key in keyof CommandSpan]: CommandSpan[Key] }>();
  let line: Omit<CommandSpan, "guest" | "start" | "end"> = { text: "" };
  let at = 0;
  for (const record of records) {
    if (record.layer === "trace") {
      if (record.op !== "line") continue;
      found.push(...open.values());
      open = new Map();
      line = { text: record.text ?? "", file: record.file, line: record.line };
      continue;
    }
    const { start, end } = spans[at++]!;
    const known = open.get(record.guest);
    if (known === undefined) open.set(record.guest, { ...line, guest: record.guest, start, end });
    else known.end = Math.max(known.end, end);
  }
  return [...found, ...open.values()];
}
