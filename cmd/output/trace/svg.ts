/** A trace as a sequence diagram: a lifeline for each layer of each guest, an arrow for each event, its text beside it. */
import { type EventRecord, isRefused, type TraceRecord } from "./record.ts";
import { causesOf, depths, eventsOf, type Lane, LANES } from "./timeline.ts";
import { whoText } from "./text.ts";

/** Events that one diagram shows; more would be no picture any more. */
export const MAX_DRAWN = 2000;

const ROW = 24;
const HEAD = 64;
const MARGIN = 56;
const LIFELINE = 92;
const TEXT_WIDTH = 700;
/** Width of a character of the text beside the diagram. */
const CHARACTER = 7.23;
const BAR = 8;

const STYLE = `
  svg { color-scheme: light dark; background: #ffffff; font: 12px ui-sans-serif, system-ui, sans-serif; }
  text { fill: #16202e; } .muted { fill: #5b6778; }
  .text { font-family: ui-monospace, "DejaVu Sans Mono", Menlo, Consolas, monospace; white-space: pre; }
  .label { font-size: 11px; text-anchor: middle; } .name { text-anchor: middle; } .guest { font-weight: 600; text-anchor: middle; }
  .ground { fill: #ffffff; } .band { fill: #eaf0f9; } .life { stroke: #c9d2df; stroke-dasharray: 3 3; }
  .syscall { --ink: #2563c9; } .insn { --ink: #7a3fc4; } .device { --ink: #0c7f74; } .irq { --ink: #b45f06; } .refused { --ink: #cc2b2b; }
  .arrow { stroke: var(--ink); stroke-width: 1.5; } .head, .bar { fill: var(--ink); } .bar { opacity: 0.3; }
  .label, .refused .text { fill: var(--ink); }
  .cause { fill: none; stroke: #b45f06; stroke-width: 2; stroke-dasharray: 5 3; } .cause-head { fill: #b45f06; }
  @media (prefers-color-scheme: dark) {
    svg { background: #151c26; } text { fill: #e3e9f2; } .muted { fill: #93a1b5; } .ground { fill: #151c26; }
    .band { fill: #263550; } .life { stroke: #4a586c; } .syscall { --ink: #6aa5ff; } .insn { --ink: #b794f6; }
    .device { --ink: #3ccbbb; } .irq { --ink: #f3b04d; } .refused { --ink: #ff7b72; } .cause { stroke: #f3b04d; } .cause-head { fill: #f3b04d; }
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
  const textAt = MARGIN + LIFELINE * lifelines.length + 16;
  const [width, height] = [textAt + TEXT_WIDTH, HEAD + ROW * rows.length + 16];
  yield `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" viewBox="0 0 ${width} ${height}" role="img">\n`;
  yield `<title>ism trace</title>\n<style>${STYLE}</style>\n<rect class="ground" width="${width}" height="${height}"/>\n`;
  for (const guest of guests) {
    const middle = (x(guest, "driver") + x(guest, "adapter")) / 2;
    yield `<text class="guest" x="${middle}" y="22">${escape(guest)}</text>\n`;
  }
  for (const { guest, lane } of lifelines) {
    yield `<text class="name muted" x="${x(guest, lane)}" y="44">${lane}</text>\n`;
  }
  const rowOf = new Map<number, number>();
  for (const [i, row] of rows.entries()) if ("event" in row) rowOf.set(row.event.seq, i);
  for (const [i, row] of rows.entries()) if ("band" in row) yield band(row.band, i, width);
  for (const { guest, lane } of lifelines) {
    const at = x(guest, lane);
    yield `<line class="life" x1="${at}" x2="${at}" y1="52" y2="${height - 8}"/>\n`;
  }
  const bySeq = new Map(events.map((event) => [event.seq, event]));
  const lasts = lastsWithin(events);
  const depthOf = depths(records);
  for (const event of events) {
    const parent = event.parent === undefined ? undefined : bySeq.get(event.parent);
    const [from, to] = wayOf(event, parent);
    const row = rowOf.get(event.seq)!;
    const around = depthOf.get(event.seq) ?? 0;
    yield drawn(event, row, x(...from), x(...to), rowOf.get(lasts.get(event.seq)!)!, textAt, around);
  }
  for (const { from, to } of causesOf(events)) {
    const [store, interrupt] = [events[from]!, events[to]!];
    yield causeArrow(
      ...[x(store.guest, "machine") + BAR / 2, middleOf(rowOf.get(store.seq)!)] as const,
      ...[x(interrupt.guest, "machine"), middleOf(rowOf.get(interrupt.seq)!)] as const,
    );
  }
  yield "</svg>\n";
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
      const place = record.file === undefined ? "" : `${record.file}:${record.line}: `;
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

const middleOf = (row: number) => HEAD + ROW * row + ROW / 2 + 3;

function band(text: string, row: number, width: number): string {
  const y = HEAD + ROW * row;
  return `<rect class="band" x="0" y="${y + 2}" width="${width}" height="${ROW - 4}"/>` +
    `<text x="12" y="${y + 16.5}">${escape(cut(text, width - 24))}</text>\n`;
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
  row: number,
  from: number,
  to: number,
  lastRow: number,
  textAt: number,
  depth: number,
): string {
  const y = middleOf(row);
  const towards = to > from ? 1 : -1;
  const tip = to - towards * BAR / 2;
  const name = event.op === "command" ? String(event["command"]) : event.op;
  const label = cut(name, Math.abs(to - from) - 6, 6.2);
  const who = whoText({ guest: event.guest, process: event.process, function: event.function });
  const text = `${who.padEnd(10)} ${"  ".repeat(depth)}${event.text ?? event.op}`;
  return `<g class="${event.layer}${isRefused(event) ? " refused" : ""}">` +
    `<title>${escape(event.text ?? event.op)}</title>` +
    `<text class="muted" x="${MARGIN - 8}" y="${y + 4}" text-anchor="end">${event.seq}</text>` +
    `<rect class="bar" x="${to - BAR / 2}" y="${y - 3}" width="${BAR}" height="${
      ROW * (lastRow - row) + 12
    }"/>` +
    `<line class="arrow" x1="${from}" y1="${y}" x2="${tip - towards * 6}" y2="${y}"/>` +
    `<path class="head" d="M${tip} ${y}l${-towards * 8} -4v8z"/>` +
    `<text class="label" x="${(from + to) / 2}" y="${y - 4}">${escape(label)}</text>` +
    `<text class="text" x="${textAt}" y="${y + 4}">${escape(cut(text, TEXT_WIDTH - 16))}</text></g>\n`;
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
function cut(text: string, width: number, character = CHARACTER): string {
  const fits = Math.max(1, Math.floor(width / character));
  return text.length <= fits ? text : `${text.slice(0, fits - 1)}…`;
}

const NAMED: Readonly<Record<string, string>> = { "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;" };

/** Text in XML, which knows no control characters. */
function escape(text: string): string {
  return text.replaceAll(/[&<>"]/g, (char) => NAMED[char]!).replaceAll(/\p{Cc}/gu, "�");
}
