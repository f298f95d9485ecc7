/** What is known of the selected event: who, when, its fields, bytes, what contains it, what it caused, who refused it. */
import { clockText, fieldsOf, hexdump, lineOf, opOf, speakerOf, textOf, whoOf } from "./model.js";

/** Fields that are shown elsewhere. */
const ELSEWHERE = new Set(["data", "refused"]);

function element(name, { className, text, title } = {}, ...children) {
  const made = document.createElement(name);
  if (className !== undefined) made.className = className;
  if (text !== undefined) made.textContent = text;
  if (title !== undefined) made.title = title;
  made.append(...children);
  return made;
}

function definitions(pairs) {
  const list = element("dl");
  for (const [name, value] of pairs) {
    if (value === undefined || value === null || value === "") continue;
    list.append(
      element("dt", { text: name }),
      element("dd", value instanceof Node ? {} : { text: valueText(value) }),
    );
    if (value instanceof Node) list.lastChild.append(value);
  }
  return list;
}

function valueText(value) {
  if (typeof value !== "object") return String(value);
  if (Array.isArray(value)) return value.join(", ");
  return Object.entries(value).map(([name, each]) => `${name}=${valueText(each)}`).join("\n");
}

/** Fills the panel. */
export function showDetails(panel, model, i, onSelect) {
  if (i < 0) {
    panel.replaceChildren(...summary(model));
    return;
  }
  const fields = fieldsOf(model, i);
  const speaker = speakerOf(model, i);
  const line = lineOf(model, i);
  const layer = model.layers[model.layer[i]];
  const go = (target, text) => {
    const button = element("button", { className: "link", text });
    button.type = "button";
    button.addEventListener("click", () => onSelect(target));
    return button;
  };
  const parts = [
    element("h2", {}, element("span", { className: `tag ${layer}`, text: layer }), ` ${opOf(model, i)}`),
    element("pre", { className: "whole", text: textOf(model, i) }),
  ];
  if (model.refused[i] === 1) parts.push(refusal(fields));
  const duration = Math.floor(model.end[i]) - Math.floor(model.start[i]);
  parts.push(definitions([
    ["who", `${whoOf(model, i)}${speaker.pci === undefined ? "" : `, ${speaker.pci}`}`],
    ["function id", speaker.fid],
    ["process", speaker.process],
    ["at", `${clockText(model.start[i])}${duration >= 1 ? `, for ${clockText(duration)}` : ""}`],
    [
      "line",
      line === undefined
        ? undefined
        : `${line.file === undefined ? "" : `${line.file}:${line.line}: `}${line.text}`,
    ],
    ["within", model.parent[i] < 0 ? undefined : go(model.parent[i], labelFor(model, model.parent[i]))],
    [
      "raised",
      model.interruptOf.has(i)
        ? go(model.interruptOf.get(i), labelFor(model, model.interruptOf.get(i)))
        : undefined,
    ],
    [
      "raised by",
      model.causeOf.has(i) ? go(model.causeOf.get(i), labelFor(model, model.causeOf.get(i))) : undefined,
    ],
  ]));
  const own = Object.entries(fields).filter(([name]) => !ELSEWHERE.has(name));
  if (own.length > 0) parts.push(element("h3", { text: "Fields" }), definitions(own));
  const { data, count, length } = fields;
  if (typeof data === "string" && data !== "") {
    const whole = Number(count ?? length ?? data.length / 2);
    const more = whole > data.length / 2 ? `, the first ${data.length / 2} of ${whole}` : "";
    parts.push(
      element("h3", { text: `Bytes${more}` }),
      element("pre", { className: "dump", text: hexdump(data) }),
    );
  }
  panel.replaceChildren(...parts);
  panel.scrollTop = 0;
}

/** What there is to see, while nothing is selected. */
function summary(model) {
  const count = (column, value) => column.reduce((sum, each) => sum + (each === value ? 1 : 0), 0);
  const parts = [
    element("h2", { text: "What happened" }),
    definitions([
      ...model.layers.map((name, layer) => [name, count(model.layer, layer).toLocaleString("en")]),
      ["refused", count(model.refused, 1).toLocaleString("en")],
      ["arrows", `${model.causes.length.toLocaleString("en")}, from a store to the interrupt that it raised`],
      ["time", `${clockText(model.duration)} of the simulated clock`],
      ["left out", model.dropped],
    ]),
    element("h3", { text: "Functions" }),
    definitions(model.functions.map(({ function: index, pci, guest, fid }) => [
      `#${index}`,
      `${pci} of ${guest}, function id ${fid}`,
    ])),
  ];
  if (model.notes.length > 0) {
    parts.push(element("h3", { text: "Notes" }), ...model.notes.map((text) => element("p", { text })));
  }
  const help =
    "Click an event, or press j, to see all of it. c follows an arrow, n goes to the next refusal, ? lists all keys.";
  parts.push(element("p", { className: "empty", text: help }));
  return parts;
}

const labelFor = (model, i) => `${i + 1} ${whoOf(model, i)} ${opOf(model, i)}`;

/** In red: what was refused, by whom, by which rule, and what to do. */
function refusal({ error, exception, cc, status, refused = {} }) {
  const what = error ??
    (exception === undefined ? `condition code ${cc}, status ${status}` : `${exception} exception`);
  const { message, layer, source, rule, ref, hint } = refused;
  return element(
    "section",
    { className: "refusal" },
    element("strong", { text: message === undefined ? what : `${message} (${what})` }),
    definitions([
      ["refused by", layer],
      ["source", source],
      ["rule", ref === undefined ? rule : `${ref}: ${rule}`],
      ["hint", hint],
    ]),
  );
}
