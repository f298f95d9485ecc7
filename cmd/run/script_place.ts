/** Where the lines of a script stand; what is only asked of lines that fail, or are told of, is found then. */
import { eachLine, findComment, locate, type LogicalLine, startOfLine } from "../language/lines.ts";
import { splitWords, type Word } from "../language/words.ts";
import type { LinePlace } from "../output/report.ts";

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

  get #logical(): LogicalLine {
    return eachLine(this.#script.text.slice(this.#at), this.file, this.line).next().value!;
  }

  /** The comment at the end of the line, or the one on the line above it. */
  get title(): string {
    const line = this.#logical.text;
    const at = findComment(line, startOfLine());
    const above = this.#at === 0 ? "" : lineBefore(this.#script.text, this.#at);
    const comment = at >= 0 ? line.slice(at) : above.startsWith("#") ? above : "";
    return comment.replace(/^#+/, "").trim() || line.trim();
  }

  locate(token: string | undefined) {
    const { file } = this;
    const logical = this.#logical;
    const { source, ...place } = locate(logical, columnOf(splitWords(logical, this), token));
    return { place: { file, ...place }, source };
  }
}
