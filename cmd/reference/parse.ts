/**
 * Reads the pages of docs/reference. A rule is a heading `### domain.topic.rule`, its text, and a list of what is known
 * about it: `- Source: …`, and where they apply `- Release: …` and `- Assumed: …`.
 */

/** A rule of the reference. */
export type Rule = {
  /** Its name: `vfio.setirqs.err`. */
  readonly rule: string;
  /** Path of its page below docs/reference. */
  readonly page: string;
  /** The page's section. */
  readonly section: string;
  /** The rule itself, as Markdown: paragraphs, tables, lists. */
  readonly text: string;
  /** Who says so: release and `path: symbol`. */
  readonly source: string;
  /** How releases of the kernel differ; null if they do not. */
  readonly release: string | null;
  /** What no public source settles, and the option that chooses otherwise; null if nothing. */
  readonly assumed: string | null;
};

/** A page that does not have the shape above. */
export class ReferenceError extends Error {
  override readonly name = "ReferenceError";
}

const FACTS = { Source: "source", Release: "release", Assumed: "assumed" } as const;

/** The rules of a page, in order. @throws {ReferenceError} naming the rule that is wrong */
export function parsePage(page: string, markdown: string): Rule[] {
  const rules: Rule[] = [];
  let section = "";
  for (const part of markdown.split(/^(?=##{1,2} )/m)) {
    const [heading = "", ...lines] = part.split("\n");
    if (heading.startsWith("## ")) section = heading.slice(3).trim();
    if (heading.startsWith("### ")) rules.push(parseRule(page, section, heading.slice(4).trim(), lines));
  }
  return rules;
}

function parseRule(page: string, section: string, rule: string, lines: readonly string[]): Rule {
  const wrong = (what: string) => new ReferenceError(`${page}: ${rule}: ${what}`);
  if (!/^[a-z][a-z0-9]*(\.[a-z0-9]+){2}$/.test(rule)) {
    throw wrong("a name has three words of letters and digits");
  }
  const facts: { source?: string; release?: string; assumed?: string } = {};
  const text: string[] = [];
  for (const line of lines) {
    const [, name, value] = /^- (Source|Release|Assumed): (.+)$/.exec(line) ?? [];
    if (name !== undefined) facts[FACTS[name as keyof typeof FACTS]] = value!;
    else if (facts.source === undefined) text.push(line);
    else if (line.trim() !== "") throw wrong(`"${line}" stands behind its source`);
  }
  if (facts.source === undefined) throw wrong("there is no source");
  const body = text.join("\n").trim();
  if (body === "") throw wrong("there is no text");
  if (!/^[\w`]/.test(body)) throw wrong("the text begins with no sentence");
  return {
    rule,
    page,
    section,
    text: body,
    source: facts.source,
    release: facts.release ?? null,
    assumed: facts.assumed ?? null,
  };
}
