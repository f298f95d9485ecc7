/** Tables fit, and lose nothing on their way to a program. */
import { assert, assertEquals } from "@std/assert";
import * as fc from "fast-check";
import { displayWidth } from "../diagnostic.ts";
import { tableData } from "./data.ts";
import { type Cell, choose, type Column } from "../../language/table.ts";
import { renderTable } from "./text.ts";

const plain = (text: string) => text;
const STYLE = { bold: plain, dim: plain, red: plain, green: plain, yellow: plain, cyan: plain };
const at = (tableWidth: number) => ({ style: STYLE, tableWidth });

const COLUMNS: readonly Column[] = [
  { name: "id", head: "#" },
  { name: "what" },
  { name: "some", drop: 2 },
  { name: "rest", drop: 1 },
  { name: "note" },
];
const ROW: readonly Cell[] = [0, "0001:00:00.0", "aaaaaaaaaa", "bbbbbbbbbb", "three short words"];

Deno.test("columns are left out by their number, the highest first, exactly where the line does not fit", () => {
  // 1 + 12 + 10 + 10 + 17 and four gaps of two.
  for (
    const [width, columns] of [[58, 5], [57, 4], [46, 4], [45, 3], [34, 3]] as const
  ) {
    const [head = "", row = ""] = renderTable(COLUMNS, [ROW], at(width)).split("\n");
    assertEquals(head.split(/ {2,}/).length, columns, `${width}`);
    assertEquals(row.includes("three short words"), true, `${width}`);
    assert(row.length <= width);
  }
  assertEquals(renderTable(COLUMNS, [ROW], at(45)).includes("bbb"), false);
  assertEquals(
    renderTable(COLUMNS, [ROW], at(34), { wide: true }),
    renderTable(COLUMNS, [ROW], at(Infinity)),
  );
});

Deno.test("the last column goes on below at its spaces, and below its line where there is no room", () => {
  assertEquals(
    renderTable(COLUMNS, [ROW], at(33)),
    "#  WHAT          NOTE\n0  0001:00:00.0  three short\n                 words\n",
  );
  assertEquals(
    renderTable(COLUMNS, [ROW], at(24)),
    "#  WHAT          NOTE\n0  0001:00:00.0\n    three short words\n",
  );
});

Deno.test("no line is wider than the terminal but for a word that is, and no word is lost or broken", () => {
  const word = fc.stringMatching(/^[a-z0-9äö中:]{1,24}$/);
  const cell = fc.array(word, { minLength: 0, maxLength: 4 }).map((words) => words.join(" "));
  fc.assert(fc.property(
    fc.array(fc.tuple(word, word, word, word, cell), { minLength: 1, maxLength: 6 }),
    fc.integer({ min: 40, max: 200 }),
    (rows, width) => {
      const text = renderTable(COLUMNS, rows, at(width));
      const shown = new Set(text.split(/\s+/));
      for (const line of text.split("\n")) {
        const first = line.trim().split(/ {2,}/);
        // "#" and "what" are always there; what they take is not broken.
        assert(displayWidth(line) <= width || first.length <= 2, `${width}: ${line}`);
      }
      for (const [id, what, , , note] of rows) {
        for (const part of [id, what, ...note.split(" ")]) assert(part === "" || shown.has(part), part);
      }
    },
  ));
});

Deno.test("CSV is what RFC 4180 says: CRLF, quotes where needed, doubled inside", () => {
  const columns = [{ name: "a" }, { name: "b" }];
  const rows: Cell[][] = [["x,y", 'say "no"'], ["two\nlines", null], [" edge", "\x1b[31m"], [{
    value: 4096,
    shown: "4 KiB",
  }, true]];
  assertEquals(
    tableData("csv", columns, rows),
    'a,b\r\n"x,y","say ""no"""\r\n"two\nlines",\r\n" edge",\\x1b[31m\r\n4096,true\r\n',
  );
  assertEquals(
    tableData("tsv", columns, rows),
    'a\tb\nx,y\tsay "no"\ntwo\\nlines\t\n edge\t\\x1b[31m\n4096\ttrue\n',
  );
  assertEquals(JSON.parse(tableData("json", columns, rows)), [
    { a: "x,y", b: 'say "no"' },
    { a: "two\nlines", b: null },
    { a: " edge", b: "\x1b[31m" },
    { a: 4096, b: true },
  ]);
});

Deno.test("a reader of CSV gets back what was in the cells", () => {
  const text = fc.string({ maxLength: 12 }).filter((each) => !/[^\x20-\x7e\n]/.test(each));
  fc.assert(fc.property(fc.array(fc.tuple(text, text), { maxLength: 5 }), (rows) => {
    const csv = tableData("csv", [{ name: "a" }, { name: "b" }], rows);
    assertEquals(readCsv(csv), [["a", "b"], ...rows]);
  }));
});

/** A reader by the grammar of RFC 4180. */
function readCsv(text: string): string[][] {
  const records: string[][] = [];
  let at = 0;
  while (at < text.length) {
    const record: string[] = [];
    for (;;) {
      let field = "";
      if (text[at] === '"') {
        for (at++; text[at] !== '"' || text[at + 1] === '"'; at++) {
          if (text[at] === '"') at++;
          field += text[at];
        }
        at++;
      } else for (; text[at] !== "," && text[at] !== "\r"; at++) field += text[at];
      record.push(field);
      if (text[at] !== ",") break;
      at++;
    }
    assertEquals(text.slice(at, at + 2), "\r\n");
    at += 2;
    records.push(record);
  }
  return records;
}

Deno.test("columns that are named come in that order, and none of them is left out", () => {
  const { columns, rows } = choose(COLUMNS, [ROW], ["rest", "id"]);
  assertEquals(renderTable(columns, rows, at(20)), "REST        #\nbbbbbbbbbb  0\n");
});
