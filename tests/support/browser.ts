/** A real browser, Debian's headless Chromium, for tests of pages. */

/** What to do in the page. */
export type BrowserStep =
  /** Opens a page in a window of a size, in light or dark; the result is how long it took until it was ready, in ms. */
  | {
    readonly do: "open";
    readonly url: string;
    readonly width: number;
    readonly height: number;
    readonly scheme?: "light" | "dark";
  }
  /** The value of an expression. */
  | { readonly do: "evaluate"; readonly expression: string }
  /** Presses a key and lets it go. */
  | { readonly do: "key"; readonly key: string }
  | { readonly do: "screenshot"; readonly path: string };

/** What a step came to. */
export type BrowserResult =
  | string
  | number
  | boolean
  | null
  | readonly BrowserResult[]
  | { readonly [key: string]: BrowserResult };

const DRIVER = new URL("browser_driver.ts", import.meta.url).pathname;

/** There is a Chromium on this machine; CI installs it. */
export const HAS_BROWSER = has("chromium");

function has(program: string): boolean {
  return new Deno.Command("sh", { args: ["-c", `command -v ${program}`] }).outputSync().success;
}

/** Carries out steps in one page. @returns the result of each @throws {Error} if a step fails or the page throws */
export async function inBrowser(steps: readonly BrowserStep[]): Promise<BrowserResult[]> {
  const args = ["run", "--quiet", "--no-check", "--allow-all", DRIVER];
  const child = new Deno.Command(Deno.execPath(), { args, stdin: "piped", stdout: "piped", stderr: "piped" })
    .spawn();
  const writer = child.stdin.getWriter();
  await writer.write(new TextEncoder().encode(JSON.stringify(steps)));
  await writer.close();
  const { success, stdout, stderr } = await child.output();
  if (!success) throw new Error(new TextDecoder().decode(stderr));
  const { results, faults } = JSON.parse(new TextDecoder().decode(stdout));
  if (faults.length > 0) throw new Error(`The page throws: ${faults.join("\n")}`);
  return results;
}
