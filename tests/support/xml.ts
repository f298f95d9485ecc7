/** A strict reader of the little XML that reports are made of: elements, attributes, text. */

export interface Element {
  readonly name: string;
  readonly attributes: Readonly<Record<string, string>>;
  readonly children: readonly Element[];
  /** All text within. */
  readonly text: string;
}

const NAMED: Readonly<Record<string, string>> = { amp: "&", lt: "<", gt: ">", quot: '"', apos: "'" };
const TOKEN = /<\/([A-Za-z]+)>|<([A-Za-z]+)((?: [A-Za-z_]+="[^"<]*")*)(\/?)>|([^<]+)/y;

/** Reads a document. @throws {Error} where it is not well-formed, or has a character that XML 1.0 has not */
export function readXml(document: string): Element {
  const strange = /[^\t\n\r\x20-\ud7ff\ue000-\ufffd\u{10000}-\u{10ffff}]/u.exec(document);
  if (strange !== null) throw new Error(`A character that XML has not at ${strange.index}`);
  const head = '<?xml version="1.0" encoding="UTF-8"?>\n';
  if (!document.startsWith(head)) throw new Error("No declaration");
  type Open = { name: string; attributes: Record<string, string>; children: Element[]; text: string };
  const root: Open = { name: "", attributes: {}, children: [], text: "" };
  const open = [root];
  TOKEN.lastIndex = head.length;
  while (TOKEN.lastIndex < document.length) {
    const at = TOKEN.lastIndex;
    const found = TOKEN.exec(document);
    if (found === null) throw new Error(`Not well-formed: ${document.slice(at, at + 80)}`);
    const [, end, begin, attributes = "", empty, text] = found;
    const inner = open.at(-1)!;
    if (text !== undefined) {
      if (open.length === 1 && text.trim() !== "") throw new Error("Text outside of all elements");
      for (const each of open) each.text += decoded(text);
    } else if (end !== undefined) {
      if (inner.name !== end) throw new Error(`</${end}> ends <${inner.name}>`);
      open.pop();
    } else {
      const pairs = [...attributes.matchAll(/ ([A-Za-z_]+)="([^"]*)"/g)];
      const element: Open = {
        name: begin!,
        attributes: Object.fromEntries(pairs.map(([, key, value]) => [key!, decoded(value!)])),
        children: [],
        text: "",
      };
      if (Object.keys(element.attributes).length !== pairs.length) throw new Error("An attribute twice");
      inner.children.push(element);
      if (empty === "") open.push(element);
    }
  }
  if (open.length !== 1 || root.children.length !== 1) throw new Error("An element has no end");
  return root.children[0]!;
}

function decoded(text: string): string {
  return text.replace(/&([^;]*);|&/g, (whole, name: string | undefined) => {
    const number = /^#([0-9]+)$/.exec(name ?? "")?.[1];
    const char = number === undefined ? NAMED[name ?? ""] : String.fromCodePoint(Number(number));
    if (char === undefined) throw new Error(`No such reference: ${whole}`);
    return char;
  });
}
