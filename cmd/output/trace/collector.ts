/** Takes the events of a line: which are wanted, whose they are, what lies within what. */
import type { TraceEvent, TraceLayer, TraceSink } from "../../../lib/base/trace.ts";
import type { Host } from "../../../lib/host/host.ts";
import { MAX_TRACE_EVENTS } from "../../language/limits.ts";
import { type Selection, TRACE_ALL, type TraceFilter } from "../../language/trace_filter.ts";
import { UsageError } from "../../language/usage_error.ts";
import { quoteText } from "../../language/quote.ts";
import {
  type EventPlace,
  type EventRecord,
  isRefused,
  recordOf,
  type Speaker,
  type TraceRecord,
} from "./record.ts";
import { eventText, TraceText } from "./text.ts";

/** Microseconds from 1900, where the machine's clock begins, to 1970. */
const UNIX_EPOCH = 2_208_988_800_000_000;

/** What all lines of a run share: numbers go on, and who was introduced stays so. */
export class TraceNumbers {
  next = 1;
}

/** How to take the events of a line. */
export interface CollectorOptions {
  readonly filter?: TraceFilter;
  readonly numbers?: TraceNumbers;
  /** The line that causes the events, and how a heading shows it. */
  readonly place?: EventPlace | undefined;
  readonly heading?: string | undefined;
  /** Finds the function id of a function that a filter names. @throws {UsageError} */
  readonly find?: (host: Host, word: string) => number;
  /** With it, text is handed on whenever an outermost event ends, and events are not kept. */
  readonly flush?: ((text: string) => void) | undefined;
  readonly layout?: TraceText;
}

/** An event with its place in the trace. */
interface Entry {
  readonly seq: number;
  readonly depth: number;
  readonly parent: number | undefined;
  readonly event: TraceEvent;
  readonly speaker: Speaker;
  /** Microseconds since 1970. */
  readonly time: number;
  end: number;
}

/** What a collector holds, as plain data. */
export interface Collected {
  readonly entries: readonly Entry[];
  readonly notes: readonly string[];
  readonly dropped: number;
  /** The number behind the last one. */
  readonly next: number;
}

/** Collects the events that a filter wants, in the order in which they began. */
export class TraceCollector implements TraceSink {
  readonly #options: CollectorOptions;
  readonly #filter: TraceFilter;
  readonly #numbers: TraceNumbers;
  readonly #layout: TraceText;
  readonly #entries: Entry[] = [];
  readonly #open: Entry[] = [];
  readonly #notes: string[] = [];
  #host: Host | undefined = undefined;
  /** Functions by function id. */
  #functions = new Map<number, Speaker>();
  #isWanted: (speaker: Speaker) => boolean = () => true;
  #isHeaded = false;
  #dropped = 0;

  constructor(options: CollectorOptions = {}) {
    this.#options = options;
    this.#filter = options.filter ?? TRACE_ALL;
    this.#numbers = options.numbers ?? new TraceNumbers();
    this.#layout = options.layout ?? new TraceText(false);
  }

  /** Takes the events of a host from here on. @throws {UsageError} if the filter names somebody who is not there */
  on(host: Host): this {
    if (this.#host === host) return this;
    this.#host = host;
    this.#functions = new Map(
      host.functions.map(({ index, guest, zdev, fn }) => {
        const { fid } = fn.identity;
        return [fid, { guest: guest.name, function: index, pci: zdev.name, fid }];
      }),
    );
    this.#layout.expect(this.#functions.values());
    const { guests, functions } = this.#filter;
    const byGuest = chooser(guests, (word) => findGuest(host, word));
    const byFunction = chooser(functions, (word) => this.#options.find!(host, word));
    this.#isWanted = ({ guest, fid }) => byGuest(guest) && byFunction(fid);
    return this;
  }

  enter(event: TraceEvent): void {
    if (!this.#filter.ops[event.layer].has(event.op)) return;
    const speaker = this.#speakerOf(event);
    if (!this.#isWanted(speaker)) return;
    const seq = this.#numbers.next++;
    const time = this.#now;
    const depth = this.#open.length;
    const entry = { seq, depth, parent: this.#open.at(-1)?.seq, event, speaker, time, end: time };
    this.#open.push(entry);
    if (this.#entries.length < MAX_TRACE_EVENTS) this.#entries.push(entry);
    else this.#dropped++;
  }

  leave(event: TraceEvent): void {
    if (this.#open.at(-1)?.event !== event) return;
    this.#open.pop()!.end = this.#now;
    const { flush } = this.#options;
    if (this.#open.length > 0 || flush === undefined) return;
    this.#flush(flush);
  }

  #flush(flush: (text: string) => void): void {
    this.#head(flush);
    flush(this.text());
    this.#entries.length = 0;
  }

  /** Everything that was collected, for a collector of another process. */
  get collected(): Collected {
    return { entries: this.#entries, notes: this.#notes, dropped: this.#dropped, next: this.#numbers.next };
  }

  /** Takes over what another process has collected, whose numbers begin at 1; they go on here. */
  adopt({ entries, notes, dropped, next }: Collected): void {
    const before = this.#numbers.next - 1;
    for (const { seq, parent, ...entry } of entries) {
      const moved = parent === undefined ? undefined : parent + before;
      this.#entries.push({ ...entry, seq: seq + before, parent: moved });
    }
    this.#dropped += dropped;
    this.#numbers.next += next - 1;
    for (const note of notes) this.note(note);
    this.#layout.expect(entries.map(({ speaker }) => speaker));
    if (this.#options.flush !== undefined && this.#entries.length > 0) this.#flush(this.#options.flush);
  }

  /** A line that stands for events that are not shown one by one. */
  note(text: string): void {
    const { flush } = this.#options;
    if (flush === undefined) {
      this.#notes.push(text);
      return;
    }
    this.#head(flush);
    flush(this.#layout.note(text));
  }

  #head(flush: (text: string) => void): void {
    const { place, heading } = this.#options;
    if (this.#isHeaded || place === undefined) return;
    this.#isHeaded = true;
    flush(this.#layout.heading(place, heading ?? ""));
  }

  get #now(): number {
    return this.#host === undefined ? 0 : this.#host.clock.microseconds - UNIX_EPOCH;
  }

  /** The process of what lies within a call is that of the call, as long as it is in the same guest. */
  #speakerOf(event: TraceEvent): Speaker {
    const { guest, fid } = event;
    const known = fid === undefined ? undefined : this.#functions.get(fid);
    const call = this.#open.findLast(({ speaker }) => speaker.process !== undefined);
    const process = event.layer === "syscall"
      ? event.process
      : call?.speaker.guest === guest
      ? call.speaker.process
      : undefined;
    return {
      ...known,
      guest,
      ...(process === undefined ? {} : { process }),
      ...(fid === undefined ? {} : { fid }),
    };
  }

  /** One line per event that is kept. */
  text(): string {
    return this.#entries.map(({ seq, depth, speaker, event }) =>
      this.#layout.event(seq, depth, speaker, eventText(event), isRefused(event as unknown as EventRecord))
    ).join("");
  }

  /** Number of events of a layer. */
  count(layer: TraceLayer): number {
    return this.#entries.filter(({ event }) => event.layer === layer).length;
  }

  /** The events as the JSON document shows them. */
  json(): TraceRecord[] {
    const { place } = this.#options;
    const events: TraceRecord[] = this.#entries.map((entry) => recordOf(entry.event, { ...entry, place }));
    return this.#dropped === 0
      ? events
      : [...events, { seq: this.#numbers.next, layer: "trace", dropped: this.#dropped }];
  }

  /** The events for a file, with how text shows each, behind the line that caused them. */
  records(): TraceRecord[] {
    const { place, heading } = this.#options;
    const [first] = this.#entries;
    if (first === undefined) return [];
    return [
      { seq: first.seq, layer: "trace", op: "line", ...place, text: heading ?? "" },
      ...this.#notes.map((text): TraceRecord => ({ seq: first.seq, layer: "trace", op: "note", text })),
      ...this.#entries.map((entry): TraceRecord => ({
        ...recordOf(entry.event, { ...entry, place }),
        text: eventText(entry.event),
      })),
    ];
  }

  /** Events behind those that are kept. */
  get dropped(): number {
    return this.#dropped;
  }
}

/** Whether a selection wants somebody. */
function chooser<Of>({ only, not }: Selection, find: (word: string) => Of): (one: Of | undefined) => boolean {
  const wanted = only.map(find);
  const unwanted = not.map(find);
  return (one) =>
    (wanted.length === 0 || (one !== undefined && wanted.includes(one))) &&
    (one === undefined || !unwanted.includes(one));
}

/** A guest by its name or its index. @throws {UsageError} */
function findGuest(host: Host, word: string): string {
  const found = host.guests.find(({ name, index }) => name === word || String(index) === word);
  if (found !== undefined) return found.name;
  const names = host.guests.map(({ name }) => name).join(", ");
  throw new UsageError(`--trace: there is no guest ${quoteText(word)} on this host; it has ${names}`, {
    token: word,
  });
}
