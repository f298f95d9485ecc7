import { assertEquals } from "@std/assert";
import { propose, shellWord } from "./proposal.ts";

const BOTH = { host: "my host.db", device: "1" };
const ROWS: readonly (readonly [text: string, shown: string])[] = [
  ['give it back with "ism bind"', `give it back with "ism --host 'my host.db' -d 1 bind"`],
  ['"ism zpci recover" looks', `"ism --host 'my host.db' -d 1 zpci recover" looks`],
  ['see "ism list"', `see "ism --host 'my host.db' list"`],
  ['or "ism host create --force"', `or "ism --host 'my host.db' host create --force"`],
  ['see "ism help zpci event"', 'see "ism help zpci event"'],
  [
    '"ism open" and "ism close"',
    `"ism --host 'my host.db' -d 1 open" and "ism --host 'my host.db' -d 1 close"`,
  ],
  ['"ism bind -d fid:0x11" gives', `"ism --host 'my host.db' bind -d fid:0x11" gives`],
  ["ism recv is no proposal", "ism recv is no proposal"],
];
for (const [text, shown] of ROWS) {
  Deno.test(`propose() puts the options of the line into ${text}`, () => {
    assertEquals(propose(text, BOTH), shown);
    assertEquals(propose(text, { host: undefined, device: undefined }), text);
  });
}

const WORDS: readonly (readonly [word: string, shown: string])[] = [
  ["host.db", "host.db"],
  ["/a/b-c_d.db", "/a/b-c_d.db"],
  ["fid:0x10", "fid:0x10"],
  ["a b", "'a b'"],
  ["it's", "'it'\\''s'"],
  ["$HOME", "'$HOME'"],
  ["~/x", "'~/x'"],
  ["a\x1b[2J'b", "$'a\\x1b[2J\\'b'"],
  ["e\u202ef", "$'e\\u202ef'"],
];
for (const [word, shown] of WORDS) {
  Deno.test(`shellWord() quotes ${JSON.stringify(word)}`, () => assertEquals(shellWord(word), shown));
}
