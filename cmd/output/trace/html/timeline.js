/** The lanes over simulated time, drawn on a canvas: only what is in sight, and no pixel twice. */
import { labelOf, lowerBound, tickStep, timeText } from "./model.js";
import { listenToPointers } from "./pointer.js";

const AXIS = 26;
const FONT = "12px ui-sans-serif, system-ui, sans-serif";
const GROUP_GAP = 22;
const LABELS_WIDE = 118;
const LABELS_NARROW = 74;
/** Most that a microsecond is stretched. Pixels. */
const CLOSEST = 40_000;
/** With more events in sight, lines between callers and callees would be a grey mass. */
const CONNECTED = 500;
const ARROWS = 400;

/** Draws a model on a canvas; `view` is what is in sight. */
export class Timeline {
  constructor(canvas, model, onSelect) {
    this.canvas = canvas;
    this.model = model;
    this.context = canvas.getContext("2d");
    this.view = { from: 0, to: model.duration };
    this.selected = -1;
    this.hovered = -1;
    this.theme = undefined;
    this.frame = 0;
    this.onSelect = onSelect;
    listenToPointers(this);
    new ResizeObserver(() => this.resize()).observe(canvas);
    this.resize();
  }

  resize() {
    const { clientWidth, clientHeight } = this.canvas;
    const scale = globalThis.devicePixelRatio || 1;
    this.width = clientWidth;
    this.height = clientHeight;
    this.canvas.width = Math.round(clientWidth * scale);
    this.canvas.height = Math.round(clientHeight * scale);
    this.scale = scale;
    this.left = clientWidth < 600 ? LABELS_NARROW : LABELS_WIDE;
    this.draw();
  }

  /** Colours come from the style sheet, which knows dark and light. */
  readTheme() {
    const style = getComputedStyle(document.documentElement);
    const color = (name) => style.getPropertyValue(`--${name}`).trim();
    this.theme = {
      layers: this.model.layers.map((name) => color(name)),
      ...Object.fromEntries(
        ["ink", "muted", "faint", "line", "panel", "stripe", "refused", "accent", "command"].map((
          name,
        ) => [name, color(name)]),
      ),
    };
  }

  x(time) {
    const { from, to } = this.view;
    return this.left + (time - from) / (to - from) * (this.width - this.left);
  }

  time(x) {
    const { from, to } = this.view;
    return from + (x - this.left) / (this.width - this.left) * (to - from);
  }

  /** Middle and height of a lane; guests stand apart. */
  laneBox(lane) {
    const { lanes } = this.model;
    const groups = lanes.filter(({ guest }, i) => i > 0 && guest !== lanes[i - 1].guest).length;
    const height = (this.height - AXIS - groups * GROUP_GAP - 8) / lanes.length;
    let gaps = 0;
    for (let i = 1; i <= lane; i++) if (lanes[i].guest !== lanes[i - 1].guest) gaps++;
    const top = AXIS + 4 + lane * height + gaps * GROUP_GAP;
    const bar = Math.min(26, height - 6);
    return { top, height, middle: top + height / 2, bar };
  }

  setView(from, to) {
    const { duration } = this.model;
    const margin = duration * 0.02;
    const least = (this.width - this.left) / CLOSEST;
    const span = Math.min(Math.max(to - from, least), duration + 2 * margin);
    const middle = (from + to) / 2;
    const start = Math.min(Math.max(middle - span / 2, -margin), duration + margin - span);
    this.view = { from: start, to: start + span };
    this.draw();
  }

  fit() {
    this.setView(-this.model.duration * 0.01, this.model.duration * 1.01);
  }

  zoom(factor, at = (this.view.from + this.view.to) / 2) {
    const { from, to } = this.view;
    this.setView(at - (at - from) * factor, at + (to - at) * factor);
  }

  pan(share) {
    const { from, to } = this.view;
    const by = (to - from) * share;
    this.setView(from + by, to + by);
  }

  /** Brings an event into sight, close enough to be seen if `close`. */
  reveal(i, close = false) {
    const { start, end } = this.model;
    const span = this.view.to - this.view.from;
    if (close) {
      const wide = Math.max((end[i] - start[i]) * 3, 6);
      const middle = (start[i] + end[i]) / 2;
      this.setView(middle - wide / 2, middle + wide / 2);
    } else if (start[i] < this.view.from || end[i] > this.view.to) {
      this.setView(start[i] - span / 2, start[i] + span / 2);
    }
  }

  draw() {
    if (this.frame !== 0) return;
    this.frame = requestAnimationFrame(() => {
      this.frame = 0;
      this.paint();
    });
  }

  /** Paints at once; also what tests measure. */
  paint() {
    if (this.width === 0 || this.height === 0) return;
    if (this.theme === undefined) this.readTheme();
    const { context } = this;
    context.setTransform(this.scale, 0, 0, this.scale, 0, 0);
    context.clearRect(0, 0, this.width, this.height);
    context.font = FONT;
    context.textBaseline = "middle";
    this.drawLanes();
    this.drawAxis();
    context.save();
    context.beginPath();
    context.rect(this.left, AXIS, this.width - this.left, this.height - AXIS);
    context.clip();
    this.drawCommands();
    const seen = this.drawEvents();
    if (seen.length <= CONNECTED) this.drawCalls(seen);
    this.drawArrows();
    this.drawMarked();
    context.restore();
  }

  drawLanes() {
    const { context, theme, model } = this;
    for (const [lane, { guest, name }] of model.lanes.entries()) {
      const { top, height, middle } = this.laneBox(lane);
      context.fillStyle = lane % 2 === 0 ? theme.stripe : theme.panel;
      context.fillRect(0, top, this.width, height);
      context.fillStyle = theme.muted;
      context.textAlign = "left";
      context.fillText(name, 10, middle);
      if (lane > 0 && model.lanes[lane - 1].guest === guest) continue;
      context.fillStyle = theme.ink;
      context.font = `600 ${FONT}`;
      context.fillText(clipped(context, guest, this.left - 16), 10, top - GROUP_GAP / 2 + 1);
      context.font = FONT;
    }
    context.fillStyle = theme.line;
    context.fillRect(this.left - 1, AXIS, 1, this.height - AXIS);
  }

  drawAxis() {
    const { context, theme } = this;
    const { from, to } = this.view;
    const step = tickStep((to - from) / Math.max(1, (this.width - this.left) / 110));
    context.textAlign = "center";
    for (let at = Math.ceil(from / step) * step; at <= to; at += step) {
      const x = Math.round(this.x(at));
      context.fillStyle = theme.line;
      context.fillRect(x, AXIS - 4, 1, this.height - AXIS + 4);
      const label = timeText(at, step);
      const half = context.measureText(label).width / 2;
      if (x - half < this.left || x + half > this.width - 4) continue;
      context.fillStyle = theme.muted;
      context.fillText(label, x, AXIS / 2);
    }
  }

  /** The line or command that a driver is about. */
  drawCommands() {
    const { context, theme, model } = this;
    for (const { lane, start, end, text } of model.commands) {
      if (end < this.view.from || start > this.view.to) continue;
      const { middle, bar } = this.laneBox(lane);
      const x = Math.max(this.x(start), this.left - 6);
      const width = Math.max(1, Math.min(this.x(end), this.width + 6) - x);
      context.fillStyle = theme.command;
      box(context, x, middle - bar / 2, width, bar);
      if (width < 30) continue;
      context.fillStyle = theme.ink;
      context.textAlign = "left";
      const inside = Math.max(x, this.left) + 6;
      context.fillText(clipped(context, text, x + width - inside - 4), inside, middle);
    }
  }

  /** @returns the events in sight, as long as they are few */
  drawEvents() {
    const { model } = this;
    const seen = [];
    for (const [lane, { indexes, latest }] of model.byLane.entries()) {
      const place = this.laneBox(lane);
      let filled = -Infinity;
      for (let k = lowerBound(latest, this.view.from); k < indexes.length; k++) {
        const i = indexes[k];
        if (model.start[i] > this.view.to) break;
        const x = this.x(model.start[i]);
        const right = Math.max(x + 1.5, this.x(model.end[i]));
        // A pixel that is full already shows nothing new, unless it is a refusal.
        if (right < filled + 0.75 && model.refused[i] === 0) continue;
        filled = Math.max(filled, right);
        this.drawEvent(i, x, right - x, place);
        if (seen.length <= CONNECTED) seen.push(i);
      }
    }
    return seen;
  }

  drawEvent(i, x, width, { middle, bar }) {
    const { context, theme, model } = this;
    context.globalAlpha = model.wanted[i] === 1 ? 1 : 0.14;
    context.fillStyle = model.refused[i] === 1 ? theme.refused : theme.layers[model.layer[i]];
    const y = middle - bar / 2;
    if (width < 4) context.fillRect(x, y, width, bar);
    else box(context, x, y, width, bar);
    const visible = Math.min(x + width, this.width) - Math.max(x, this.left);
    if (visible > 34 && model.wanted[i] === 1) {
      context.fillStyle = theme.panel;
      context.textAlign = "left";
      const inside = Math.max(x, this.left) + 6;
      context.fillText(clipped(context, labelOf(model, i), visible - 12), inside, middle + 0.5);
    }
    context.globalAlpha = 1;
  }

  /** From each event to what contains it, a lane above or below. */
  drawCalls(seen) {
    const { context, theme, model } = this;
    context.lineWidth = 1;
    context.strokeStyle = theme.faint;
    for (const i of seen) {
      const parent = model.parent[i];
      if (parent < 0 || model.lane[parent] === model.lane[i] || model.wanted[i] === 0) continue;
      const from = this.laneBox(model.lane[parent]);
      const to = this.laneBox(model.lane[i]);
      const down = to.middle > from.middle ? 1 : -1;
      const x = Math.round(this.x(model.start[i])) + 0.5;
      context.beginPath();
      context.moveTo(x, from.middle + down * from.bar / 2);
      context.lineTo(x, to.middle - down * to.bar / 2);
      context.stroke();
    }
  }

  /** From stores to the interrupts that they raised; those that would lie on each other are one. */
  drawArrows() {
    const { context, theme, model } = this;
    context.lineWidth = 1.5;
    let last = -Infinity;
    let drawn = 0;
    for (const [from, to] of model.causes) {
      const x = this.x((model.start[from] + model.end[from]) / 2);
      if (x < this.left - 200 || x > this.width + 200 || x < last + 5 || drawn > ARROWS) continue;
      last = x;
      drawn++;
      const isMarked = from === this.selected || to === this.selected;
      context.globalAlpha = isMarked ? 1 : model.wanted[from] + model.wanted[to] > 0 ? 0.75 : 0.12;
      context.strokeStyle = context.fillStyle = isMarked ? theme.accent : theme.layers.at(-1);
      this.arrow(
        x,
        this.laneBox(model.lane[from]),
        this.x(model.start[to]) + 1,
        this.laneBox(model.lane[to]),
      );
    }
    context.globalAlpha = 1;
  }

  arrow(x, from, endX, to) {
    const { context } = this;
    const down = to.middle > from.middle ? 1 : -1;
    const y = from.middle + down * from.bar / 2;
    const endY = to.middle - down * to.bar / 2;
    const bend = (endY - y) / 2;
    context.beginPath();
    context.moveTo(x, y);
    context.bezierCurveTo(x, y + bend, endX, endY - bend, endX, endY - down * 5);
    context.stroke();
    context.beginPath();
    context.moveTo(endX, endY);
    context.lineTo(endX - 4, endY - down * 8);
    context.lineTo(endX + 4, endY - down * 8);
    context.fill();
  }

  drawMarked() {
    const { context, theme, model } = this;
    for (const [i, color] of [[this.hovered, theme.muted], [this.selected, theme.accent]]) {
      if (i < 0) continue;
      const { middle, bar } = this.laneBox(model.lane[i]);
      const x = this.x(model.start[i]);
      const width = Math.max(3, this.x(model.end[i]) - x);
      context.strokeStyle = color;
      context.lineWidth = 2;
      context.strokeRect(x - 2, middle - bar / 2 - 2, width + 4, bar + 4);
    }
  }
}

function box(context, x, y, width, height) {
  context.beginPath();
  context.roundRect(x, y, width, height, Math.min(4, width / 2));
  context.fill();
}

/** A text that fits, cut with an ellipsis. */
function clipped(context, text, width) {
  if (width <= 0) return "";
  const whole = context.measureText(text).width;
  if (whole <= width) return text;
  const fits = Math.floor(text.length * width / whole) - 1;
  return fits < 2 ? "" : `${text.slice(0, fits)}…`;
}
