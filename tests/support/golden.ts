/**
 * Texts that are kept in files, so that a change of what the program prints shows in the diff. `deno task golden` writes
 * them anew; who changes output reads what it wrote.
 */
import { assertEquals } from "@std/assert";

/** The texts are written, not compared. */
export const RENEWS = Deno.args.includes("--update");

/** A text is what the file holds, or becomes it. @throws {AssertionError} */
export function assertGolden(url: URL, text: string): void {
  if (RENEWS) return Deno.writeTextFileSync(url, text);
  const path = url.pathname.slice(new URL("../../", import.meta.url).pathname.length);
  assertEquals(text, existing(url), `${path} is not what is printed now; if it should be: deno task golden`);
}

function existing(url: URL): string {
  try {
    return Deno.readTextFileSync(url);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return "";
    throw error;
  }
}
