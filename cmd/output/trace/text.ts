/** Traces as text: who speaks, and what, one line an event. */
import {
  type InstructionEvent,
  isAccess,
  type TraceEvent,
  type TraceValue,
} from "../../../lib/base/trace.ts";
import { hex } from "../../../lib/base/hex.ts";
import type { Style } from "../../language/terminal.ts";
import type { EventPlace, Speaker } from "./record.ts";
import { straceText, valueText } from "./strace.ts";

/** An event without who speaks. */
export function eventText(event: TraceEvent): string {
  switch (event.layer) {
    case "syscall":
      return straceText(event);
    case "insn":
      return `${event.op} ${operands(event)} -> ${answer(event)}`;
    case "device": {
      const { command, ...args } = event.args;
      return `device: ${event.op}${command === undefined ? "" : ` ${command}`}${argsText(args)}`;
    }
    case "irq":
      return `irq: ${event.op}${argsText(event.args)}`;
  }
}

function operands(event: InstructionEvent): string {
  const handle = event.fh === undefined ? "" : `fh=${hex(event.fh, 8)}`;
  if (!isAccess(event)) return (handle + argsText(event.args)).trimStart();
  return `${handle} space=${event.space} offset=${hex(event.offset)} length=${event.length}`;
}

function answer({ cc, status, response, exception }: InstructionEvent): string {
  if (exception !== undefined) return `${exception} exception`;
  if (response !== undefined) return `cc ${cc}, response ${hex(response, 4)}`;
  return cc === 1 ? `cc 1, status ${status}` : `cc ${cc}`;
}

function argsText(args: Readonly<Record<string, TraceValue>>): string {
  return Object.entries(args).map(([name, value]) => ` ${name}=${valueText(name, value)}`).join("");
}

/** Colours in which guests speak, in the order in which they begin to. */
const VOICES: readonly (keyof Style)[] = ["cyan", "yellow", "green"];

/** Lays out the lines of one trace. */
export class TraceText {
  readonly #introduces: boolean;
  readonly #style: Style | undefined;
  readonly #guests: string[] = [];
  readonly #introduced = new Set<number>();
  /** Columns of who speaks, as wide as the widest so far. */
  #width = 0;

  /** @param introduces tell the address of each function that is named by its index */
  constructor(introduces: boolean, style?: Style) {
    this.#introduces = introduces;
    this.#style = style;
  }

  /** Makes room for those who may speak. */
  expect(speakers: Iterable<Speaker>): void {
    for (const speaker of speakers) this.#width = Math.max(this.#width, whoText(speaker).length);
  }

  /** The line that a heading is for what it caused: its place in the script, and itself. */
  heading(place: EventPlace | undefined, text: string): string {
    const where = place === undefined ? "" : `${place.file}:${place.line}: `;
    return `${this.#paint("bold", where + text)}\n`;
  }

  /** A line that stands for events that are not shown one by one. */
  note(text: string): string {
    return `${this.#paint("dim", `      (${text})`)}\n`;
  }

  /** One event, indented by what contains it; its number instead of a time. */
  event(seq: number, depth: number, speaker: Speaker, text: string, isRefused: boolean): string {
    const who = whoText(speaker);
    this.#width = Math.max(this.#width, who.length);
    const shown = this.#paint(this.#voice(speaker.guest), who) + " ".repeat(this.#width - who.length);
    const number = this.#paint("dim", String(seq).padStart(5));
    return `${this.#introduce(speaker)}${number} ${shown} ${"  ".repeat(depth)}${
      this.#words(text, isRefused)
    }\n`;
  }

  /** The first time that a function is named by its index, its address is told. */
  #introduce({ guest, function: index, pci, fid }: Speaker): string {
    if (!this.#introduces || index === undefined || this.#introduced.has(index)) return "";
    this.#introduced.add(index);
    return this.note(
      `#${index} is ${pci} of ${guest}${fid === undefined ? "" : `, function id ${hex(fid)}`}`,
    );
  }

  #words(text: string, isRefused: boolean): string {
    if (this.#style === undefined) return text;
    const [, head = "", name = "", rest = ""] = /^((?:device|irq): )?([\w-]+)(.*)$/s.exec(text) ?? [];
    const at = isRefused ? Math.max(rest.lastIndexOf(" = -1 "), rest.lastIndexOf(" -> ")) : -1;
    const tail = at < 0 ? rest : rest.slice(0, at) + this.#paint("red", rest.slice(at));
    return head + this.#paint("bold", name) + tail;
  }

  #voice(guest: string): keyof Style {
    if (!this.#guests.includes(guest)) this.#guests.push(guest);
    return VOICES[this.#guests.indexOf(guest) % VOICES.length]!;
  }

  #paint(how: keyof Style, text: string): string {
    return this.#style === undefined ? text : this.#style[how](text);
  }
}

/** `guest0 #1`; a process that is not ism's own by its number: `guest0[4711] #1`. */
export function whoText({ guest, process, function: index }: Speaker): string {
  const caller = process === undefined || process === "ism" ? "" : `[${process}]`;
  return `${guest}${caller}${index === undefined ? "" : ` #${index}`}`;
}
