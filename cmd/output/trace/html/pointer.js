/** The timeline under a mouse, a pen or fingers. */
import { labelOf, lowerBound } from "./model.js";

/** The event at a place of a timeline, or the nearest one in its lane; -1 for none. */
export function hit(timeline, x, y) {
  const { model } = timeline;
  const lane = model.lanes.findIndex((_, i) => {
    const { top, height } = timeline.laneBox(i);
    return y >= top && y < top + height;
  });
  if (lane < 0 || x < timeline.left) return -1;
  const { indexes, latest } = model.byLane[lane];
  let best = -1;
  let nearest = 6;
  for (let k = lowerBound(latest, timeline.time(x - 8)); k < indexes.length; k++) {
    const i = indexes[k];
    const left = timeline.x(model.start[i]);
    if (left > x + 8) break;
    const distance = x < left ? left - x : Math.max(0, x - Math.max(left + 2, timeline.x(model.end[i])));
    if (distance >= nearest || model.wanted[i] === 0) continue;
    [best, nearest] = [i, distance];
  }
  return best;
}

/** Lets the wheel zoom, a drag move, two fingers zoom, and a click select. */
export function listenToPointers(timeline) {
  const { canvas } = timeline;
  const pointers = new Map();
  let moved = 0;
  canvas.addEventListener("wheel", (event) => {
    event.preventDefault();
    const isSideways = Math.abs(event.deltaX) > Math.abs(event.deltaY);
    if (isSideways || event.shiftKey) {
      timeline.pan((isSideways ? event.deltaX : event.deltaY) / timeline.width);
    } else timeline.zoom(Math.exp(event.deltaY * 0.0016), timeline.time(event.offsetX));
  }, { passive: false });
  canvas.addEventListener("pointerdown", (event) => {
    pointers.set(event.pointerId, event.offsetX);
    moved = 0;
    canvas.setPointerCapture(event.pointerId);
  });
  canvas.addEventListener("pointermove", (event) => {
    const before = pointers.get(event.pointerId);
    if (before === undefined) {
      const hovered = hit(timeline, event.offsetX, event.offsetY);
      if (hovered === timeline.hovered) return;
      timeline.hovered = hovered;
      canvas.style.cursor = hovered < 0 ? "grab" : "pointer";
      canvas.title = hovered < 0 ? "" : labelOf(timeline.model, hovered);
      return timeline.draw();
    }
    const by = event.offsetX - before;
    moved += Math.abs(by);
    const other = [...pointers].find(([id]) => id !== event.pointerId)?.[1];
    pointers.set(event.pointerId, event.offsetX);
    if (other === undefined) return timeline.pan(-by / (timeline.width - timeline.left));
    const was = Math.max(8, Math.abs(before - other));
    const is = Math.max(8, Math.abs(event.offsetX - other));
    timeline.zoom(was / is, timeline.time((event.offsetX + other) / 2));
  });
  const release = (event) => {
    pointers.delete(event.pointerId);
    if (event.type === "pointerup" && moved < 5) {
      timeline.onSelect(hit(timeline, event.offsetX, event.offsetY));
    }
  };
  canvas.addEventListener("pointerup", release);
  canvas.addEventListener("pointercancel", release);
}
