/** A trace as a sequence diagram: a lifeline for each layer of each guest, an arrow for each event, its text over it. */
import { type EventRecord, isRefused, type TraceRecord } from "./record.ts";
import { causesOf, eventsOf, type Lane, LANES } from "./timeline.ts";
import { whoText } from "./text.ts";

/** Events that one diagram shows; more would be no picture any more. */
export const MAX_DRAWN = 2000;

const ROW = 35;
const BAND = 30;
const HEAD = 92;
const FOOT = 14;
/** Left of the lifelines: numbers. */
const MARGIN = 40;
const LIFELINE = 94;
/** As wide as two guests need; text of one guest has room, too. A README shows that much without making it smaller. */
const MIN_WIDTH = 800;
/** Width of a character of monospaced text. */
const CHARACTER = 7.23;
const BAR = 8;

const STYLE = `
  svg { color-scheme: light dark; font: 12px ui-sans-serif, system-ui, sans-serif; }
  text { fill: #16202e; } .muted { fill: #5b6778; }
  .text, .line { font-family: ui-monospace, "DejaVu Sans Mono", Menlo, Consolas, monospace; white-space: pre; }
  .text { stroke: #ffffff; stroke-width: 4; stroke-linejoin: round; paint-order: stroke; } .line { font-weight: 600; }
  .op { fill: var(--ink); font-weight: 600; } .name { font-weight: 600; text-anchor: middle; }
  .guest { font-weight: 600; font-size: 14px; text-anchor: middle; } .guest tspan { font-weight: 400; font-size: 12px; }
  .number { text-anchor: end; font-size: 11px; fill: #5b6778; }
  .ground { fill: #ffffff; stroke: #d5dde8; } .panel { fill: #f4f7fb; } .box { fill: #ffffff; stroke: #b9c5d6; }
  .band { fill: #e3ebf7; } .life { stroke: #c3cddb; stroke-dasharray: 3 3; }
  .syscall { --ink: #2563c9; } .insn { --ink: #7a3fc4; } .device { --ink: #0b6f66; } .irq { --ink: #9a5204; } .refused { --ink: #cc2b2b; }
  .arrow { stroke: var(--ink); stroke-width: 1.5; } .head, .bar { fill: var(--ink); } .bar { opacity: 0.3; }
  .refused .text { fill: var(--ink); }
  .cause { fill: none; stroke: #d97706; stroke-width: 2; stroke-dasharray: 5 3; } .cause-head { fill: #d97706; }
  @media (prefers-color-scheme: dark) {
    text { fill: #e3e9f2; } .muted, .number { fill: #93a1b5; } .text { stroke: #151c26; }
    .ground { fill: #151c26; stroke: #2d3a4d; } .panel { fill: #1b2431; } .box { fill: #222d3d; stroke: #4a586c; }
    .band { fill: #263550; } .life { stroke: #45536a; } .syscall { --ink: #6aa5ff; } .insn { --ink: #b794f6; }
    .device { --ink: #3ccbbb; } .irq { --ink: #f3b04d; } .refused { --ink: #ff7b72; }
  }
`;

/** A row: an event, or what stands between events. */
type Row = { readonly event: EventRecord } | { readonly band: string };

/** The diagram, piece by piece. */
export function* renderSvg(records: readonly TraceRecord[]): Generator<string> {
  const rows = rowsOf(records);
  const events = rows.flatMap((row) => "event" in row ? [row.event] : []);
  const guests = [...new Set(events.map(({ guest }) => guest))];
  // The peer stands the other way round, so that both adapters are neighbours.
  const lifelines = guests.flatMap((guest, i) =>
    (i === 0 ? LANES : LANES.toReversed()).map((lane) => ({ guest, lane }))
  );
  const x = (guest: string, lane: Lane) =>
    MARGIN + LIFELINE / 2 +
    LIFELINE * lifelines.findIndex((each) => each.guest === guest && each.lane === lane);
  const width = Math.max(MIN_WIDTH, MARGIN + LIFELINE * lifelines.length + 8);
  const tops = topsOf(rows);
  const height = tops.at(-1)! + FOOT;
  yield `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" viewBox="0 0 ${width} ${height}" role="img">\n`;
  yield `<title>ism trace</title>\n<style>${STYLE}</style>\n`;
  yield `<rect class="ground" x="0.5" y="0.5" width="${width - 1}" height="${height - 1}" rx="8"/>\n`;
  for (const [i, guest] of guests.entries()) {
    yield head(guest, events, MARGIN + i * LIFELINE * LANES.length, height);
  }
  for (const { guest, lane } of lifelines) yield lifeline(lane, x(guest, lane), height);
  for (const [i, row] of rows.entries()) if ("band" in row) yield band(row.band, tops[i]!, width);
  const arrowAt = new Map<number, number>();
  for (const [i, row] of rows.entries()) if ("event" in row) arrowAt.set(row.event.seq, tops[i]! + ROW - 8);
  for (const { from, to } of causesOf(events)) {
    const [store, interrupt] = [events[from]!, events[to]!];
    yield causeArrow(
      ...[x(store.guest, "machine") + BAR / 2, arrowAt.get(store.seq)!] as const,
      ...[x(interrupt.guest, "machine"), arrowAt.get(interrupt.seq)!] as const,
    );
  }
  const bySeq = new Map(events.map((event) => [event.seq, event]));
  const lasts = lastsWithin(events);
  const whoSpeaks = needsNames(events);
  for (const event of events) {
    const parent = event.parent === undefined ? undefined : bySeq.get(event.parent);
    const [from, to] = wayOf(event, parent);
    const until = arrowAt.get(lasts.get(event.seq)!)!;
    yield drawn(event, arrowAt.get(event.seq)!, x(...from), x(...to), until, width, whoSpeaks);
  }
  yield "</svg>\n";
}

/** Where each row begins, and where the last ends. */
function topsOf(rows: readonly Row[]): number[] {
  const tops = [HEAD];
  for (const row of rows) tops.push(tops.at(-1)! + ("band" in row ? BAND : ROW));
  return tops;
}

/** Whether lifelines alone do not tell whose an event is: a guest has several functions or processes here. */
function needsNames(events: readonly EventRecord[]): boolean {
  const known = new Map<string, string>();
  return events.some((event) => {
    if (event.function === undefined) return false;
    const who = whoOf(event);
    const first = known.get(event.guest) ?? who;
    known.set(event.guest, first);
    return first !== who;
  });
}

function whoOf({ guest, process, function: index }: EventRecord): string {
  return whoText({ guest, process, function: index });
}

/** A guest's name and its functions over its panel. */
function head(guest: string, events: readonly EventRecord[], left: number, height: number): string {
  const own = events.filter((event) => event.guest === guest && event.function !== undefined);
  const functions = [...new Set(own.map(({ function: index, pci }) => `  #${index} ${pci ?? ""}`))];
  const named = cut(functions.join(""), LIFELINE * LANES.length - 100);
  const middle = left + LIFELINE * LANES.length / 2;
  return `<rect class="panel" x="${left + 2}" y="10" width="${LIFELINE * LANES.length - 4}" height="${
    height - 20
  }" rx="6"/>\n` +
    `<text class="guest" x="${middle}" y="33">${escape(guest)}<tspan class="muted" xml:space="preserve">${
      escape(named)
    }</tspan></text>\n`;
}

function lifeline(lane: Lane, at: number, height: number): string {
  return `<line class="life" x1="${at}" x2="${at}" y1="70" y2="${height - FOOT}"/>` +
    `<rect class="box" x="${at - 38}" y="46" width="76" height="24" rx="5"/>` +
    `<text class="name" x="${at}" y="62">${lane}</text>\n`;
}

function rowsOf(records: readonly TraceRecord[]): Row[] {
  const rows: Row[] = [];
  const left = eventsOf(records).length - MAX_DRAWN;
  let count = 0;
  for (const record of records) {
    if (record.layer !== "trace") {
      if (count++ < MAX_DRAWN) rows.push({ event: record });
    } else if (record.dropped !== undefined) {
      rows.push({ band: `${record.dropped} more events were not kept` });
    } else if (count < MAX_DRAWN) {
      // A line of -c is the command line itself.
      const place = record.file === undefined || record.file === "-c"
        ? ""
        : `${record.file}:${record.line}: `;
      rows.push({ band: place + (record.text ?? "") });
    }
  }
  if (left > 0) {
    rows.push({
      band: `${left} more events are not drawn; choose fewer with --trace=FILTER, or make .html of them`,
    });
  }
  return rows;
}

function band(text: string, y: number, width: number): string {
  return `<rect class="band" x="8" y="${y + 6}" width="${width - 16}" height="22" rx="4"/>` +
    `<text class="line" x="18" y="${y + 21}">${escape(cut(text, width - 36))}</text>\n`;
}

/** From which lifeline to which an event goes. */
function wayOf(event: EventRecord, parent: EventRecord | undefined): [[string, Lane], [string, Lane]] {
  const { guest, layer, op } = event;
  const within = (from: Lane, to: Lane): [[string, Lane], [string, Lane]] => [[guest, from], [guest, to]];
  if (layer === "syscall") return within("driver", "kernel");
  if (layer === "insn") return within("kernel", "machine");
  if (layer === "device") {
    return parent === undefined || parent.guest === guest
      ? within("machine", "adapter")
      : [[parent.guest, "adapter"], [guest, "adapter"]];
  }
  if (op === "MSI" || op === "error-event") return within("adapter", "machine");
  return op === "adapter-interruption" || op === "availability-event"
    ? within("machine", "kernel")
    : within("kernel", "driver");
}

/** The last event within each, itself if there is none. */
function lastsWithin(events: readonly EventRecord[]): ReadonlyMap<number, number> {
  const parents = new Map(events.map(({ seq, parent }) => [seq, parent]));
  const lasts = new Map<number, number>();
  for (const { seq } of events) {
    for (let at: number | undefined = seq; at !== undefined; at = parents.get(at)) lasts.set(at, seq);
  }
  return lasts;
}

function drawn(
  event: EventRecord,
  y: number,
  from: number,
  to: number,
  until: number,
  width: number,
  whoSpeaks: boolean,
): string {
  const towards = to > from ? 1 : -1;
  const tip = to - towards * BAR / 2;
  const whole = event.text ?? event.op;
  const who = whoSpeaks ? `${whoOf(event)} ` : "";
  // Colour and lifelines tell the layer.
  const text = cut(who + whole.replace(/^(device|irq): /, ""), width - MARGIN - 24);
  // The text is over its arrow and goes on where there is room: to the right from the left half, and the other way round.
  const isLeft = (from + to) / 2 < width / 2;
  const long = text.length * CHARACTER;
  const at = isLeft
    ? Math.max(MARGIN + 8, Math.min(from + 8, to + 8, width - 14 - long))
    : Math.min(width - 14, Math.max(from - 8, to - 8, MARGIN + 8 + long));
  const [, name = "", rest = ""] = /^([\w-]+)(.*)$/s.exec(text.slice(who.length)) ?? [];
  const spoken = `<tspan class="muted">${escape(who)}</tspan><tspan class="op">${escape(name)}</tspan>` +
    escape(name === "" ? text.slice(who.length) : rest);
  return `<g class="${event.layer}${isRefused(event) ? " refused" : ""}"><title>${escape(whole)}</title>` +
    `<text class="number" x="${MARGIN - 6}" y="${y + 4}">${event.seq}</text>` +
    `<rect class="bar" x="${to - BAR / 2}" y="${y - 3}" width="${BAR}" height="${until - y + 10}"/>` +
    `<line class="arrow" x1="${from}" y1="${y}" x2="${tip - towards * 6}" y2="${y}"/>` +
    `<path class="head" d="M${tip} ${y}l${-towards * 8} -4v8z"/>` +
    `<text class="text" x="${at}" y="${y - 8}"${isLeft ? "" : ' text-anchor="end"'}>${spoken}</text></g>\n`;
}

function causeArrow(x: number, y: number, endX: number, endY: number): string {
  const towards = endX > x ? 1 : -1;
  const tip = endX - towards * BAR / 2;
  const bend = Math.max(60, Math.abs(endX - x) / 2) * towards;
  return `<path class="cause" d="M${x} ${y}C${x + bend} ${y + 14} ${tip - bend} ${endY + 14} ${
    tip - towards * 7
  } ${endY + 3}"/>` +
    `<path class="cause-head" d="M${tip} ${endY + 2}l${-towards * 9} -3l${towards * 2} 8z"/>\n`;
}

/** A text that fits a width. */
function cut(text: string, width: number): string {
  const fits = Math.max(1, Math.floor(width / CHARACTER));
  return text.length <= fits ? text : `${text.slice(0, fits - 1)}…`;
}

const NAMED: Readonly<Record<string, string>> = { "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;" };

/** Text in XML, which knows no control characters. */
function escape(text: string): string {
  return text.replaceAll(/[&<>"]/g, (char) => NAMED[char]!).replaceAll(/\p{Cc}/gu, "�");
}
