/** Traces as text, as JSON and as Chrome Trace Event JSON. */
import {
  HEX_FIELDS,
  type TraceEvent,
  type TraceLayer,
  type TraceSink,
  type TraceValue,
} from "../../../lib/base/trace.ts";
import { hex } from "../../../lib/base/hex.ts";
import { returned, straceText, valueText } from "./strace.ts";
import { MAX_TRACE_EVENTS } from "../../language/limits.ts";

/** An event with its place in the trace. */
interface Entry {
  readonly seq: number;
  readonly depth: number;
  readonly event: TraceEvent;
  /** Sequence number at which the event ended. */
  end: number;
}

/** What a collector holds, as plain data. */
export interface Collected {
  readonly entries: readonly Entry[];
  readonly notes: readonly string[];
  readonly dropped: number;
  readonly next: number;
}

/** Collects the events of chosen layers, in the order in which they began. */
export class TraceCollector implements TraceSink {
  readonly #layers: ReadonlySet<TraceLayer>;
  readonly #entries: Entry[] = [];
  readonly #open: Entry[] = [];
  readonly #flush: ((text: string) => void) | undefined;
  readonly #notes: string[] = [];
  #next = 1;
  #flushed = 0;
  #dropped = 0;

  /** With `flush`, text is handed on whenever an outermost event ends, and not kept. */
  constructor(layers: readonly TraceLayer[], flush?: (text: string) => void) {
    this.#layers = new Set(layers);
    this.#flush = flush;
  }

  enter(event: TraceEvent): void {
    if (!this.#layers.has(event.layer)) return;
    const seq = this.#next++;
    const entry = { seq, depth: this.#open.length, event, end: seq };
    this.#open.push(entry);
    if (this.#entries.length < MAX_TRACE_EVENTS) this.#entries.push(entry);
    else this.#dropped++;
  }

  leave(event: TraceEvent): void {
    if (this.#open.at(-1)?.event !== event) return;
    this.#open.pop()!.end = this.#next;
    if (this.#open.length > 0 || this.#flush === undefined) return;
    this.#flush(this.text());
    this.#flushed += this.#entries.length;
    this.#entries.length = 0;
  }

  /** Everything that was collected, for a collector of another process. */
  get collected(): Collected {
    return { entries: this.#entries, notes: this.#notes, dropped: this.#dropped, next: this.#next };
  }

  /** Takes over what another process has collected; this one is empty. */
  adopt({ entries, notes, dropped, next }: Collected): void {
    this.#entries.push(...entries);
    this.#notes.push(...notes);
    this.#dropped = dropped;
    this.#next = next;
  }

  /** A line that stands for events that are not shown one by one. */
  note(text: string): void {
    if (this.#flush !== undefined) this.#flush(`      (${text})\n`);
    else this.#notes.push(text);
  }

  /** Notes so far. */
  get notes(): readonly string[] {
    return this.#notes;
  }

  /** One line per event, indented by what contains it; a sequence number instead of a time. */
  text(): string {
    return this.#entries.map(({ seq, depth, event }) => {
      return `${String(seq).padStart(5)} ${"  ".repeat(depth)}${eventText(event)}\n`;
    }).join("");
  }

  /** Number of events of a layer. */
  count(layer: TraceLayer): number {
    return this.#entries.filter(({ event }) => event.layer === layer).length;
  }

  /** The events as the JSON document shows them. */
  json(): Record<string, unknown>[] {
    const events = this.#entries.map(({ seq, event }) => ({ seq, ...eventJson(event) }));
    return this.#dropped === 0
      ? events
      : [...events, { seq: this.#next, layer: "trace", dropped: this.#dropped }];
  }

  /** Chrome Trace Event Format; one sequence number is one microsecond. */
  chrome(): { traceEvents: Record<string, unknown>[] } {
    return {
      traceEvents: this.#entries.map(({ seq, event, end }) => {
        const { op, layer, ...args } = eventJson(event);
        const duration = Math.max(1, end - seq);
        return { name: op, cat: layer, ph: "X", ts: seq, dur: duration, pid: 1, tid: 1, args };
      }),
    };
  }
}

function argsText(args: Readonly<Record<string, TraceValue>>): string {
  return Object.entries(args).map(([name, value]) => `${name}=${valueText(name, value)}`).join(", ");
}

function eventText(event: TraceEvent): string {
  switch (event.layer) {
    case "syscall":
      return straceText(event);
    case "insn": {
      const answer = event.exception !== undefined
        ? `${event.exception} exception`
        : event.response !== undefined
        ? `cc ${event.cc}, response ${hex(event.response, 4)}`
        : event.cc === 1
        ? `cc 1, status ${event.status}`
        : `cc ${event.cc}`;
      return `${event.op} fh=${hex(event.fh, 8)} space=${event.space} offset=${hex(event.offset)} ` +
        `length=${event.length} -> ${answer}`;
    }
    case "device":
      return `device ${hex(event.fid)}: ${event.op} ${argsText(event.args)}`;
    case "irq":
      return `irq ${event.op} fid=${hex(event.fid)} ${argsText(event.args)}`;
  }
}

function jsonFields(fields: Readonly<Record<string, TraceValue>>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(fields).map(([name, value]) => [name, jsonValue(name, value)]));
}

/** Counts are numbers, as long as a number holds them; anything else of 64 bits is text. */
function jsonValue(name: string, value: TraceValue): string | number | boolean | readonly number[] {
  if (typeof value === "string" || typeof value === "boolean") return value;
  if (value instanceof Uint8Array) return value.toHex();
  if (typeof value === "object") return "value" in value ? value.value : value;
  if (HEX_FIELDS.has(name)) return hex(value);
  if (typeof value === "number") return value;
  return name === "count" && value <= Number.MAX_SAFE_INTEGER ? Number(value) : hex(value);
}

function eventJson(event: TraceEvent): Record<string, unknown> & { op: string; layer: string } {
  if (event.layer === "insn") {
    const { layer, op, fh, space, length, offset, cc, status, response, exception } = event;
    const answer = exception !== undefined
      ? { exception }
      : { cc, status, ...(response === undefined ? {} : { response: hex(response, 4) }) };
    return { layer, op, fh: hex(fh, 8), space, length, offset: hex(offset), ...answer };
  }
  const args = jsonFields(event.args);
  if (event.layer === "syscall") {
    const { layer, op, error, input, output, data } = event;
    return {
      layer,
      op,
      ...args,
      ...(input === undefined || Object.keys(input).length === 0 ? {} : { in: jsonFields(input) }),
      ...(output === undefined ? {} : { out: jsonFields(output) }),
      ...(data === undefined ? {} : { data: data.toHex() }),
      ...(error === undefined ? { result: returned(event) } : { result: -1, error }),
    };
  }
  return { layer: event.layer, op: event.op, fid: hex(event.fid), ...args };
}
