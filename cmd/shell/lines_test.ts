/** Lines of a pipe, however they are cut into pieces. */
import { assertEquals, assertRejects } from "@std/assert";
import { UsageError } from "../language/usage_error.ts";
import { PipedLines } from "./lines.ts";

/** An input that yields these pieces, one at each read. */
function input(pieces: readonly Uint8Array[]) {
  const rest = [...pieces];
  return {
    readSync(into: Uint8Array): number | null {
      const piece = rest.shift();
      if (piece !== undefined) into.set(piece);
      return piece?.length ?? null;
    },
  };
}

async function linesOf(bytes: Uint8Array, size: number): Promise<string[]> {
  const pieces: Uint8Array[] = [];
  for (let at = 0; at < bytes.length; at += size) pieces.push(bytes.subarray(at, at + size));
  const lines = new PipedLines(input(pieces));
  const found: string[] = [];
  for (;;) {
    const line = await lines.next();
    if (typeof line === "string") return found;
    found.push(line.text);
  }
}

Deno.test("lines come out whole, whatever the pieces are", async () => {
  const text = "gid\n\nstb bar2 8 text:grüße\r\n# 𝄞\nlast";
  const bytes = new TextEncoder().encode(text);
  for (const size of [1, 2, 3, 5, 7, 64]) {
    assertEquals(await linesOf(bytes, size), text.split("\n"), `${size}`);
  }
  assertEquals(await linesOf(new TextEncoder().encode("a\n"), 1), ["a"]);
  assertEquals(await linesOf(new Uint8Array(), 1), []);
});

Deno.test("a line that is not UTF-8 is refused, and the next one comes", async () => {
  const lines = new PipedLines(input([Uint8Array.of(97, 0xc3, 10, 98, 10)]));
  await assertRejects(() => lines.next(), UsageError, "not text in UTF-8");
  assertEquals([await lines.next(), await lines.next()], [{ text: "b" }, "end"]);
});
