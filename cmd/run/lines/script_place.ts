/** Where the lines of a script stand; what is only asked of lines that fail, or are told of, is found then. */
import {
  eachLine,
  findComment,
  locate,
  type LogicalLine,
  PlainLine,
  startOfLine,
} from "../../language/lines.ts";
import { splitWords, type Word } from "../../language/words.ts";
import type { LinePlace } from "../../output/report.ts";

/** What may stand at the end of a physical line that is no logical one as it is. */
const ENDING = "\\\r";

/** Where the word stands that an error blames. */
export function columnOf(words: readonly Word[], token: string | undefined): number {
  return (words.find(({ text }) => text === token) ??
    words.find(({ text }) => token !== undefined && text.endsWith(`=${token}`)) ?? words[0]!).column;
}

/** The line that ends before an index, without the blanks around it. */
function lineBefore(text: string, at: number): string {
  return text.slice(text.lastIndexOf("\n", at - 2) + 1, at - 1).trim();
}

/** A script's text, for the places of its lines. */
export interface ScriptText {
  readonly text: string;
  readonly file: string;
  /** The last line with a comment of its own that was asked for its title: a script often has many of the same. */
  titled?: { readonly line: string; readonly title: string };
}

/** Where a line stands. */
export class ScriptPlace implements LinePlace {
  readonly #script: ScriptText;
  readonly line: number;
  /** Where the line begins in the text. */
  readonly #at: number;

  constructor(script: ScriptText, line: number, at: number) {
    this.#script = script;
    this.line = line;
    this.#at = at;
  }

  get file(): string {
    return this.#script.file;
  }

  /** The line, cut out of the script again. */
  get logical(): LogicalLine {
    const { text } = this.#script;
    const end = text.indexOf("\n", this.#at);
    // A generator for one line costs as much as to run it.
    if (end > this.#at && !ENDING.includes(text.charAt(end - 1))) {
      return new PlainLine(text.slice(this.#at, end), this.line, this.#at);
    }
    return eachLine(this.#script.text.slice(this.#at), this.file, this.line).next().value!;
  }

  /** The comment at the end of the line, or the one on the line above it. */
  get title(): string {
    const line = this.logical.text;
    const script = this.#script;
    if (script.titled?.line === line) return script.titled.title;
    const at = findComment(line, startOfLine());
    const above = this.#at === 0 || at >= 0 ? "" : lineBefore(script.text, this.#at);
    const comment = at >= 0 ? line.slice(at) : above.startsWith("#") ? above : "";
    const title = comment.replace(/^#+/, "").trim() || line.trim();
    if (at >= 0) script.titled = { line, title };
    return title;
  }

  locate(token: string | undefined) {
    const { file } = this;
    const logical = this.logical;
    const { source, ...place } = locate(logical, columnOf(splitWords(logical, this), token));
    return { place: { file, ...place }, source };
  }
}
