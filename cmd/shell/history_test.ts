/** The history file: limits, repetitions, and files that are none of ours. */
import { assertEquals, assertLess } from "@std/assert";
import { History, HISTORY_LINES } from "./history.ts";

function inDirectory(work: (path: string) => void): void {
  const directory = Deno.makeTempDirSync({ prefix: "ism-history-" });
  try {
    work(`${directory}/state/history`);
  } finally {
    Deno.removeSync(directory, { recursive: true });
  }
}

Deno.test("a history keeps each line once, newest first, for this user only", () => {
  inDirectory((path) => {
    const history = new History(path, { keep: true });
    for (const line of ["a", "b", "b", "a", " hidden", "", "  ", "c\x1b[2J", "x".repeat(4097)]) {
      history.add(line);
    }
    assertEquals(history.entries, ["a", "b"]);
    assertEquals(Deno.readTextFileSync(path), "a\nb\na\n");
    assertEquals(Deno.statSync(path).mode! & 0o777, 0o600);
    assertEquals(Deno.statSync(path.slice(0, path.lastIndexOf("/"))).mode! & 0o777, 0o700);
    assertEquals(new History(path, { keep: true }).entries, ["a", "b"]);
  });
});

Deno.test("two histories on one file do not lose each other's lines", () => {
  inDirectory((path) => {
    const [one, other] = [new History(path, { keep: true }), new History(path, { keep: true })];
    one.add("from one");
    other.add("from other");
    one.add("from one again");
    assertEquals(new History(path, { keep: true }).entries, ["from one again", "from other", "from one"]);
  });
});

Deno.test("a history has at most 1000 lines, and its file does not grow for ever", () => {
  inDirectory((path) => {
    const history = new History(path, { keep: true });
    for (let i = 0; i < HISTORY_LINES; i++) history.add(`line ${i}`);
    assertEquals([history.entries.length, history.entries.at(-1)], [HISTORY_LINES, "line 0"]);
    history.add("one more");
    assertEquals([history.entries.length, history.entries.at(-1)], [HISTORY_LINES, "line 1"]);
    Deno.writeTextFileSync(path, "an older line of some length\n".repeat(300_000), { append: true });
    Deno.writeTextFileSync(path, "newest\n", { append: true });
    assertEquals(new History(path, { keep: true }).entries.slice(0, 2), [
      "newest",
      "an older line of some length",
    ]);
    assertLess(Deno.statSync(path).size, 256 * 1024);
    assertEquals(new History(path, { keep: true }).entries[0], "newest");
    assertEquals([...Deno.readDirSync(path.slice(0, path.lastIndexOf("/")))].map(({ name }) => name), [
      "history",
    ]);
  });
});

Deno.test("a history that is only read is left as it is", () => {
  inDirectory((path) => {
    new History(path, { keep: true }).add("kept");
    const reader = new History(path, { keep: false });
    reader.add("not kept");
    assertEquals(reader.entries, ["not kept", "kept"]);
    assertEquals(Deno.readTextFileSync(path), "kept\n");
  });
});

Deno.test("what is no file of ours is neither read nor written, and refuses nothing", () => {
  inDirectory((path) => {
    const directory = path.slice(0, path.lastIndexOf("/"));
    Deno.mkdirSync(path, { recursive: true });
    const rows = [undefined, path, "/dev/null/history", "/dev/zero"];
    Deno.symlinkSync("/dev/zero", `${directory}/link`);
    for (const odd of [...rows, `${directory}/link`]) {
      const history = new History(odd, { keep: true });
      history.add("a");
      assertEquals(history.entries, ["a"]);
    }
    Deno.writeFileSync(`${directory}/binary`, Uint8Array.of(0xff, 0xfe, 10, 0, 1, 10, 103, 105, 100, 10));
    assertEquals(new History(`${directory}/binary`, { keep: false }).entries[0], "gid");
  });
});
