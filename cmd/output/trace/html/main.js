/** Puts the page together: data, lanes, list, details, filters, keys. */
import { showDetails } from "./details.js";
import { EventList } from "./list.js";
import { applyFilter, readModel, shownPosition } from "./model.js";
import { Timeline } from "./timeline.js";

const find = (selector) => document.querySelector(selector);
const model = readModel(JSON.parse(find("#trace").textContent));
const panel = find("#details");
const filter = {
  layers: model.layers.map(() => true),
  functionIndex: undefined,
  refusedOnly: false,
  search: "",
};
let selected = -1;

const list = new EventList(find("#list"), model, select);
const timeline = new Timeline(find("#lanes"), model, select);

/** Selects an event, -1 for none. */
function select(i, { close = false } = {}) {
  selected = i;
  timeline.selected = i;
  document.body.classList.toggle("has-selection", i >= 0);
  if (i >= 0) timeline.reveal(i, close);
  timeline.draw();
  list.select(i);
  showDetails(panel, model, i, select);
  history.replaceState(null, "", i < 0 ? "#" : `#${i + 1}`);
}

/** Selects the next event that is shown and that `isWanted`, in a direction. */
function step(direction, isWanted = () => true) {
  const { shown } = model;
  const at = shownPosition(model, selected < 0 ? 0 : selected);
  const isOn = selected >= 0 && shown[at] === selected;
  for (let k = direction > 0 ? at + (isOn ? 1 : 0) : at - 1; k >= 0 && k < shown.length; k += direction) {
    if (isWanted(shown[k])) return select(shown[k]);
  }
}

function refilter() {
  applyFilter(model, filter);
  const { shown, count } = model;
  find("#count").textContent = shown.length === count
    ? `${count} events`
    : `${shown.length} of ${count} events`;
  for (const button of document.querySelectorAll("[data-layer]")) {
    button.setAttribute("aria-pressed", String(filter.layers[Number(button.dataset.layer)]));
  }
  find("#refused").setAttribute("aria-pressed", String(filter.refusedOnly));
  find("#none").hidden = shown.length > 0;
  list.update();
  timeline.draw();
}

function toggleLayer(layer) {
  filter.layers[layer] = !filter.layers[layer];
  refilter();
}

function toggleRefused() {
  filter.refusedOnly = !filter.refusedOnly;
  refilter();
}

/** From a store to the interrupt that it raised, and back. */
function follow() {
  const other = model.interruptOf.get(selected) ?? model.causeOf.get(selected);
  if (other !== undefined) return select(other);
  if (model.causes.length === 0) return;
  select((model.causes.find(([from]) => from > selected) ?? model.causes[0])[0]);
}

const KEYS = {
  j: () => step(1),
  ArrowDown: () => step(1),
  k: () => step(-1),
  ArrowUp: () => step(-1),
  ArrowLeft: () => timeline.pan(-0.2),
  ArrowRight: () => timeline.pan(0.2),
  "+": () => timeline.zoom(0.6),
  "=": () => timeline.zoom(0.6),
  "-": () => timeline.zoom(1 / 0.6),
  0: () => timeline.fit(),
  Enter: () => selected >= 0 && timeline.reveal(selected, true),
  n: () => step(1, (i) => model.refused[i] === 1),
  N: () => step(-1, (i) => model.refused[i] === 1),
  p: () => selected >= 0 && model.parent[selected] >= 0 && select(model.parent[selected]),
  c: follow,
  r: toggleRefused,
  "/": () => find("#search").focus(),
  "?": () => find("#keys").showModal(),
  Home: () => model.shown.length > 0 && select(model.shown[0]),
  End: () => model.shown.length > 0 && select(model.shown.at(-1)),
  Escape: clear,
  ...Object.fromEntries(model.layers.map((_, layer) => [String(layer + 1), () => toggleLayer(layer)])),
};

/** Takes the search away, then the selection. */
function clear() {
  const search = find("#search");
  if (search.value !== "") {
    search.value = filter.search = "";
    return refilter();
  }
  select(-1);
}

function onKey(event) {
  if (event.ctrlKey || event.metaKey || event.altKey || find("#keys").open) return;
  const { target, key } = event;
  if (target instanceof HTMLInputElement || target instanceof HTMLSelectElement) {
    if (key === "Escape" || key === "Enter") target.blur();
    return;
  }
  // Enter and the space bar press the button that has the focus.
  if (target instanceof HTMLButtonElement && (key === "Enter" || key === " ")) return;
  const act = KEYS[key];
  if (act === undefined) return;
  event.preventDefault();
  act();
}

function begin() {
  for (const [layer, name] of model.layers.entries()) {
    const button = find(`[data-layer="${layer}"]`);
    button.addEventListener("click", () => toggleLayer(layer));
    button.title = `${name}: key ${layer + 1}`;
  }
  const chooser = find("#function");
  for (const { function: index, pci, guest } of model.functions) {
    chooser.append(new Option(`#${index} ${pci} ${guest}`, String(index)));
  }
  chooser.addEventListener("change", () => {
    filter.functionIndex = chooser.value === "" ? undefined : Number(chooser.value);
    refilter();
  });
  find("#search").addEventListener("input", ({ target }) => {
    filter.search = target.value;
    refilter();
  });
  find("#refused").addEventListener("click", toggleRefused);
  find("#in").addEventListener("click", KEYS["+"]);
  find("#out").addEventListener("click", KEYS["-"]);
  find("#all").addEventListener("click", KEYS[0]);
  find("#help").addEventListener("click", KEYS["?"]);
  find("#close").addEventListener("click", () => select(-1));
  document.addEventListener("keydown", onKey);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
    timeline.theme = undefined;
    timeline.draw();
  });
  refilter();
  timeline.fit();
  const wanted = Number(location.hash.slice(1)) - 1;
  select(Number.isInteger(wanted) && wanted >= 0 && wanted < model.count ? wanted : -1);
  list.render();
  timeline.paint();
}

begin();
/** For the console of the browser: everything that the page knows. */
globalThis.trace = { model, timeline, list, filter, refilter, select };
document.documentElement.dataset.ready = "yes";
