/** "Did you mean …?" */

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
    const distance = editDistance([...typed.toLowerCase()], [...word.toLowerCase()]);
    if (distance < bestDistance) [best, bestDistance] = [word, distance];
  }
  return best;
}

/** Letters that must be put in, left out or exchanged to make one word of the other (Levenshtein). */
function editDistance(one: readonly string[], other: readonly string[]): number {
  // std's would be loaded from npm at every start, which takes as long as a whole command.
  let row = other.map((_, i) => i + 1);
  for (const [i, letter] of one.entries()) {
    let [left, corner] = [i + 1, i];
    row = row.map((above, j) => {
      const distance = Math.min(above + 1, left + 1, corner + (letter === other[j] ? 0 : 1));
      [left, corner] = [distance, above];
      return distance;
    });
  }
  return row.at(-1) ?? one.length;
}
