/** The events as text, one row each; only the rows in sight are in the document. */
import { clockText, depthOf, lineOf, shownPosition, textOf, whoOf } from "./model.js";

const ROW = 24;
/** Browsers do not make boxes higher than this. Pixels. */
const HIGHEST = 8_000_000;

/** A list of all that the filters let through. */
export class EventList {
  constructor(box, model, onSelect) {
    this.box = box;
    this.model = model;
    this.onSelect = onSelect;
    this.selected = -1;
    this.space = box.querySelector(".space");
    this.rows = box.querySelector(".rows");
    this.frame = 0;
    box.addEventListener("scroll", () => this.update());
    new ResizeObserver(() => this.update()).observe(box);
    this.rows.addEventListener("click", (event) => {
      const row = event.target.closest("[data-index]");
      if (row !== null) onSelect(Number(row.dataset.index));
    });
  }

  /** Pixels of all rows, and how much more than that they would be. */
  get extent() {
    const whole = this.model.shown.length * ROW;
    return { height: Math.min(whole, HIGHEST), stretch: Math.max(1, whole / HIGHEST) };
  }

  get first() {
    return Math.floor(this.box.scrollTop * this.extent.stretch / ROW);
  }

  update() {
    if (this.frame !== 0) return;
    this.frame = requestAnimationFrame(() => {
      this.frame = 0;
      this.render();
    });
  }

  render() {
    const { model, box } = this;
    const { height, stretch } = this.extent;
    this.space.style.height = `${height}px`;
    const first = Math.max(0, Math.min(this.first, model.shown.length - 1));
    const count = Math.ceil(box.clientHeight / ROW) + 2;
    const rows = [];
    for (let k = first; k < Math.min(first + count, model.shown.length); k++) {
      rows.push(this.row(model.shown[k]));
    }
    // Rows of a stretched list stand where the scroll bar is; others exactly where they belong.
    this.rows.style.transform = `translateY(${stretch === 1 ? first * ROW : box.scrollTop}px)`;
    this.rows.replaceChildren(...rows);
    const active = rows.find((row) => row.classList.contains("selected"));
    if (active === undefined) box.removeAttribute("aria-activedescendant");
    else box.setAttribute("aria-activedescendant", active.id);
  }

  row(i) {
    const { model } = this;
    const row = document.createElement("div");
    row.className = `row ${model.layers[model.layer[i]]}`;
    row.id = `event-${i}`;
    row.dataset.index = String(i);
    row.setAttribute("role", "option");
    row.setAttribute("aria-selected", String(i === this.selected));
    if (model.refused[i] === 1) row.classList.add("refused");
    if (i === this.selected) row.classList.add("selected");
    const cell = (name, text) => {
      const span = document.createElement("span");
      span.className = name;
      span.textContent = text;
      return span;
    };
    const before = i === 0 ? undefined : lineOf(model, i - 1);
    const line = lineOf(model, i);
    if (line !== before && line !== undefined) row.classList.add("begins");
    const text = cell("text", textOf(model, i));
    text.style.paddingLeft = `${Math.min(depthOf(model, i), 6) * 14}px`;
    row.append(
      cell("seq", String(i + 1)),
      cell("time", clockText(model.start[i])),
      cell("who", whoOf(model, i)),
      text,
    );
    row.title = line === undefined ? textOf(model, i) : `${line.text}\n${textOf(model, i)}`;
    return row;
  }

  select(i) {
    this.selected = i;
    if (i >= 0) this.bring(shownPosition(this.model, i));
    this.update();
  }

  /** Scrolls a row into sight. */
  bring(position) {
    const { height, stretch } = this.extent;
    // What the filters let through may have changed since the last frame.
    this.space.style.height = `${height}px`;
    const top = position * ROW / stretch;
    const { scrollTop, clientHeight } = this.box;
    if (top < scrollTop) this.box.scrollTop = top;
    else if (top + ROW > scrollTop + clientHeight) this.box.scrollTop = top + ROW - clientHeight;
  }
}
