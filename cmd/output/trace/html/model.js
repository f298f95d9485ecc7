/**
 * The trace as the page holds it: columns of numbers for what is drawn, rows for what is read.
 *
 * @typedef {object} Model
 * @property {number} count
 * @property {Float64Array} start Microseconds since the first event.
 * @property {Float64Array} end
 * @property {Uint8Array} layer
 * @property {Uint8Array} lane
 * @property {Int32Array} parent Index, -1 for none.
 * @property {Uint8Array} refused
 */

/** Columns of a row of the page's data. */
const COLUMN = {
  start: 0,
  end: 1,
  layer: 2,
  lane: 3,
  parent: 4,
  speaker: 5,
  line: 6,
  refused: 7,
  op: 8,
  text: 9,
  fields: 10,
};

/** Reads the data that the page carries. */
export function readModel(data) {
  const rows = data.events;
  const count = rows.length;
  const column = (Type, at) => Type.from(rows, (row) => row[at]);
  const model = {
    ...data,
    rows,
    count,
    start: column(Float64Array, COLUMN.start),
    end: column(Float64Array, COLUMN.end),
    layer: column(Uint8Array, COLUMN.layer),
    lane: column(Uint8Array, COLUMN.lane),
    parent: column(Int32Array, COLUMN.parent),
    refused: column(Uint8Array, COLUMN.refused),
    /** 1 for what the filters let through. */
    wanted: new Uint8Array(count).fill(1),
    /** Indexes of what the filters let through, in order. */
    shown: Int32Array.from({ length: count }, (_, i) => i),
    interruptOf: new Map(data.causes),
    causeOf: new Map(data.causes.map(([from, to]) => [to, from])),
  };
  model.duration = model.end.reduce((most, end) => Math.max(most, end), 0) || 1;
  model.byLane = data.lanes.map((_, lane) => laneColumn(model, lane));
  return model;
}

/** The events of a lane, with the latest end up to each, by which the first visible one is found. */
function laneColumn(model, lane) {
  const indexes = [];
  for (let i = 0; i < model.count; i++) if (model.lane[i] === lane) indexes.push(i);
  const latest = new Float64Array(indexes.length);
  let most = 0;
  for (const [k, i] of indexes.entries()) latest[k] = most = Math.max(most, model.end[i]);
  return { indexes: Int32Array.from(indexes), latest };
}

/** The first position whose value is not below `value`, in a rising column. */
export function lowerBound(column, value) {
  let low = 0;
  let high = column.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (column[middle] < value) low = middle + 1;
    else high = middle;
  }
  return low;
}

export const opOf = (model, i) => model.rows[i][COLUMN.op];
export const textOf = (model, i) => model.rows[i][COLUMN.text];
export const fieldsOf = (model, i) => model.rows[i][COLUMN.fields];
export const speakerOf = (model, i) => model.speakers[model.rows[i][COLUMN.speaker]];
export const lineOf = (model, i) => model.lines[model.rows[i][COLUMN.line]];

/** `guest0 #1`, with a process that is not ism's own. */
export function whoOf(model, i) {
  const { guest, process, function: index } = speakerOf(model, i);
  const caller = process === undefined || process === "ism" ? "" : `[${process}]`;
  return `${guest}${caller}${index === undefined ? "" : ` #${index}`}`;
}

/** What an event is called in its box. */
export function labelOf(model, i) {
  const op = opOf(model, i);
  const { command, request } = fieldsOf(model, i);
  if (op === "command") return String(command);
  return op === "ioctl" ? String(request) : op;
}

/** How many events lie around one. */
export function depthOf(model, i) {
  let depth = 0;
  for (let at = model.parent[i]; at >= 0; at = model.parent[at]) depth++;
  return depth;
}

/** What is searched in; made when it is first wanted. */
function searchable(model) {
  model.haystack ??= model.rows.map((_, i) => {
    const line = lineOf(model, i);
    const { pci = "" } = speakerOf(model, i);
    return `${whoOf(model, i)} ${pci} ${opOf(model, i)} ${textOf(model, i)} ${line?.text ?? ""}`
      .toLowerCase();
  });
  return model.haystack;
}

/** Lets events through: of these layers and that speaker, refused ones alone if wanted, with all words of the search. */
export function applyFilter(model, { layers, functionIndex, refusedOnly, search }) {
  const words = search.toLowerCase().split(/\s+/).filter((word) => word !== "");
  const texts = words.length === 0 ? undefined : searchable(model);
  const found = [];
  for (let i = 0; i < model.count; i++) {
    const isWanted = layers[model.layer[i]] &&
      (!refusedOnly || model.refused[i] === 1) &&
      (functionIndex === undefined || speakerOf(model, i).function === functionIndex) &&
      (texts === undefined || words.every((word) => texts[i].includes(word)));
    model.wanted[i] = isWanted ? 1 : 0;
    if (isWanted) found.push(i);
  }
  model.shown = Int32Array.from(found);
}

/** The position of an event in what is shown, or of the next one behind it. */
export const shownPosition = (model, i) => lowerBound(model.shown, i);

/** A time beside ticks that are `step` apart: `12 µs`, `3 ms`. Microseconds. */
export function timeText(microseconds, step) {
  const [unit, size] = step >= 1e6 ? ["s", 1e6] : step >= 1e3 ? ["ms", 1e3] : ["µs", 1];
  const digits = Math.max(0, Math.min(6, Math.ceil(-Math.log10(step / size) - 1e-9)));
  return `${(microseconds / size).toFixed(digits)} ${unit}`;
}

/** Distance of ticks that are at least `least` apart: 1, 2 or 5 times a power of ten. */
export function tickStep(least) {
  const power = 10 ** Math.floor(Math.log10(least));
  return [1, 2, 5, 10].map((times) => times * power).find((step) => step >= least) ?? 10 * power;
}

/** The reading of the simulated clock at a time: whole microseconds, behind which is only the order. */
export const clockText = (microseconds) => `${Math.floor(microseconds + 1e-9).toLocaleString("en")} µs`;

/** Bytes eight in a row, with their text, from a string of hexadecimal digits. */
export function hexdump(digits) {
  const bytes = digits.match(/../g) ?? [];
  const lines = [];
  for (let at = 0; at < bytes.length; at += 8) {
    const row = bytes.slice(at, at + 8);
    const text = row.map((byte) => Number.parseInt(byte, 16))
      .map((code) => code >= 0x20 && code < 0x7f ? String.fromCharCode(code) : ".").join("");
    lines.push(`${at.toString(16).padStart(4, "0")}  ${row.join(" ").padEnd(23)}  |${text}|`);
  }
  return lines.join("\n");
}
