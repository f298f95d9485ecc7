/** "Did you mean …?" */
import { levenshteinDistance } from "@std/text/levenshtein-distance";

/** Words longer than this are not worth comparing. */
const LONGEST = 40;

/** The word that `typed` is most likely a slip of, or undefined if none is near. */
export function nearest(typed: string, words: readonly string[]): string | undefined {
  if (typed.length < 2 || typed.length > LONGEST) return undefined;
  // A slip of the fingers is often two edits: letters that changed places.
  const limit = typed.length < 4 ? 1 : Math.max(2, Math.floor(typed.length / 3));
  let best: string | undefined;
  let bestDistance = limit + 1;
  for (const word of words) {
    const distance = levenshteinDistance(typed.toLowerCase(), word.toLowerCase());
    if (distance < bestDistance) [best, bestDistance] = [word, distance];
  }
  return best;
}
