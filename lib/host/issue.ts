/** What valibot found wrong with a document, as a sentence: where, what, and never longer than a line or two. */
import * as v from "valibot";

/** Most characters of a sentence: it quotes the document, which may be of any length. */
const MAX_LENGTH = 300;

/** The sentence for the first thing that is wrong. */
export function issueText(issue: v.BaseIssue<unknown>, document: string): string {
  const path = v.getDotPath(issue);
  const where = path ?? document;
  if (issue.type === "strict_object" && issue.expected === "never") {
    return cut(`${where}: this key is not known`);
  }
  if (issue.type === "strict_object" && issue.received === "undefined") return cut(`${where}: it is missing`);
  return cut(`${where}: ${issue.message}`);
}

function cut(text: string): string {
  return text.length > MAX_LENGTH ? `${text.slice(0, MAX_LENGTH)}…` : text;
}
