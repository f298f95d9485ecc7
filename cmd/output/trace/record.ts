/**
 * A trace event as data: what `--json` shows, what a `.jsonl` file has one of a line, and what every picture of a trace
 * is made from.
 */
import {
  HEX_FIELDS,
  isAccess,
  type TraceEvent,
  type TraceLayer,
  type TraceValue,
} from "../../../lib/base/trace.ts";
import { hex } from "../../../lib/base/hex.ts";
import { returned } from "./strace.ts";

/** Where in a script the line stands that caused an event. */
export interface EventPlace {
  readonly file: string;
  readonly line: number;
}

/** Whose an event is, as far as the host knows. */
export interface Speaker {
  readonly guest: string;
  /** The process whose call led to it: `ism` for that of the program's own commands, else its number. */
  readonly process?: string | undefined;
  /** The function, by its index in `list`, its PCI address and its function id. */
  readonly function?: number | undefined;
  readonly pci?: string | undefined;
  readonly fid?: number | undefined;
}

/** One event. Fields of its `op` stand beside these. */
export interface EventRecord {
  readonly seq: number;
  readonly layer: TraceLayer;
  readonly op: string;
  /** Sequence number of the event in which it happened. */
  readonly parent?: number;
  /** Simulated time at which it began and ended. Microseconds since 1970. */
  readonly time: number;
  readonly end: number;
  readonly guest: string;
  readonly process?: string;
  readonly function?: number;
  readonly pci?: string;
  readonly file?: string;
  readonly line?: number;
  /** How text shows it. */
  readonly text?: string;
  readonly error?: string;
  readonly refused?: Readonly<Record<string, string>>;
  readonly cc?: number;
  readonly exception?: string;
  readonly [field: string]: unknown;
}

/** What is no event of the host: a line of a script or a command that begins, a note, events that were left out. */
export interface RemarkRecord {
  readonly seq: number;
  readonly layer: "trace";
  readonly op?: "line" | "note";
  readonly file?: string;
  readonly line?: number;
  readonly text?: string;
  /** Events behind those that are kept. */
  readonly dropped?: number;
}

export type TraceRecord = EventRecord | RemarkRecord;

/** What is known of an event besides what it says itself. */
export interface Circumstances {
  readonly seq: number;
  readonly parent: number | undefined;
  readonly time: number;
  readonly end: number;
  readonly speaker: Speaker;
  readonly place: EventPlace | undefined;
}

/** True for what the machine or the kernel refused. */
export function isRefused({ error, cc, exception }: Readonly<Record<string, unknown>>): boolean {
  return error !== undefined || exception !== undefined || (typeof cc === "number" && cc !== 0);
}

/** The event with its circumstances. */
export function recordOf(event: TraceEvent, about: Circumstances): EventRecord {
  const { seq, parent, time, end, speaker, place } = about;
  const { op, layer, ...fields } = eventFields(event);
  return {
    seq,
    ...(parent === undefined ? {} : { parent }),
    time,
    end,
    layer,
    op,
    guest: speaker.guest,
    ...(speaker.process === undefined ? {} : { process: speaker.process }),
    ...(speaker.function === undefined ? {} : { function: speaker.function }),
    ...(speaker.pci === undefined ? {} : { pci: speaker.pci }),
    ...(speaker.fid === undefined ? {} : { fid: hex(speaker.fid) }),
    ...(place === undefined ? {} : { file: place.file, line: place.line }),
    ...fields,
  };
}

/** What an event says itself, in the form of the JSON documents. */
function eventFields(event: TraceEvent): Record<string, unknown> & { op: string; layer: TraceLayer } {
  const { layer, op } = event;
  switch (event.layer) {
    case "insn": {
      const { fh, cc, status, response, exception } = event;
      const answer = exception !== undefined
        ? { exception }
        : { cc, status, ...(response === undefined ? {} : { response: hex(response, 4) }) };
      const handle = fh === undefined ? {} : { fh: hex(fh, 8) };
      if (!isAccess(event)) return { layer, op, ...handle, ...jsonFields(event.args), ...answer };
      const { space, length, offset, data } = event;
      const bytes = data === undefined ? {} : { data: data.toHex() };
      return { layer, op, ...handle, space, length, offset: hex(offset), ...bytes, ...answer };
    }
    case "syscall": {
      const { args, input, output, data, error, refusal } = event;
      return {
        layer,
        op,
        ...jsonFields(args),
        ...(input === undefined || Object.keys(input).length === 0 ? {} : { in: jsonFields(input) }),
        ...(output === undefined ? {} : { out: jsonFields(output) }),
        ...(data === undefined ? {} : { data: data.toHex() }),
        ...(error === undefined ? { result: returned(event) } : { result: -1, error }),
        ...(refusal === undefined ? {} : { refused: refusal }),
      };
    }
    case "device":
    case "irq":
      return { layer, op, ...jsonFields(event.args) };
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
