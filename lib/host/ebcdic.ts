/** The few EBCDIC characters (code page 037) that a PNETID may hold: capital letters, digits and space. */
const RUNS: readonly (readonly [first: string, last: string, code: number])[] = [
  ["A", "I", 0xc1],
  ["J", "R", 0xd1],
  ["S", "Z", 0xe2],
  ["0", "9", 0xf0],
  [" ", " ", 0x40],
];

/** Encodes text; characters that have no place here become a space. */
export function toEbcdic(text: string, length: number): Uint8Array {
  const bytes = new Uint8Array(length).fill(0x40);
  [...text].slice(0, length).forEach((char, i) => {
    const run = RUNS.find(([first, last]) => char >= first && char <= last);
    if (run !== undefined) bytes[i] = run[2] + char.charCodeAt(0) - run[0].charCodeAt(0);
  });
  return bytes;
}

/** Decodes bytes; anything else than the characters above becomes `.`. */
export function fromEbcdic(bytes: Uint8Array): string {
  return [...bytes].map((byte) => {
    const run = RUNS.find(([first, last, code]) =>
      byte >= code && byte <= code + last.charCodeAt(0) - first.charCodeAt(0)
    );
    return run === undefined ? "." : String.fromCharCode(run[0].charCodeAt(0) + byte - run[2]);
  }).join("");
}
