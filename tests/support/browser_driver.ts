/**
 * Carries out steps in a headless Chromium over the DevTools protocol: `deno run -A browser_driver.ts`, the steps as JSON on
 * standard input, their results as JSON on standard output. It is a process of its own because tests have no network.
 */
import type { BrowserResult, BrowserStep } from "./browser.ts";

interface Message {
  readonly id?: number;
  readonly method?: string;
  readonly params?: Record<string, unknown>;
  readonly result?: Record<string, unknown>;
  readonly error?: { readonly message: string };
}

/** A connection to one page. */
class Page {
  readonly #socket: WebSocket;
  readonly #waiting = new Map<number, (message: Message) => void>();
  readonly faults: string[] = [];
  session: string | undefined = undefined;
  #next = 1;

  constructor(socket: WebSocket) {
    this.#socket = socket;
    socket.onmessage = ({ data }) => {
      const message: Message = JSON.parse(String(data));
      if (message.id !== undefined) this.#waiting.get(message.id)?.(message);
      else if (message.method === "Runtime.exceptionThrown") this.faults.push(JSON.stringify(message.params));
    };
  }

  async call(method: string, params: Record<string, unknown> = {}): Promise<Record<string, unknown>> {
    const id = this.#next++;
    const { result, error } = await new Promise<Message>((resolve) => {
      this.#waiting.set(id, resolve);
      const session = this.session === undefined ? {} : { sessionId: this.session };
      this.#socket.send(JSON.stringify({ id, method, params, ...session }));
    });
    if (error !== undefined) throw new Error(`${method}: ${error.message}`);
    return result ?? {};
  }

  async evaluate(expression: string): Promise<unknown> {
    const options = { expression, returnByValue: true, awaitPromise: true };
    const { result, exceptionDetails } = await this.call("Runtime.evaluate", options);
    if (exceptionDetails !== undefined) throw new Error(`${expression}: ${JSON.stringify(exceptionDetails)}`);
    return (result as { readonly value?: unknown }).value;
  }

  close(): void {
    this.#socket.close();
  }
}

/** Starts a browser. @returns its process, and where the protocol is */
async function start(profile: string): Promise<readonly [Deno.ChildProcess, string]> {
  const flags = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--hide-scrollbars",
    "--remote-debugging-port=0",
  ];
  const args = [...flags, `--user-data-dir=${profile}`, "about:blank"];
  const process = new Deno.Command("chromium", { args, stdout: "null", stderr: "piped" }).spawn();
  let said = "";
  for await (
    const piece of process.stderr.pipeThrough(new TextDecoderStream()).values({ preventCancel: true })
  ) {
    said += piece;
    const [address] = /ws:\/\/\S+/.exec(said) ?? [];
    if (address !== undefined) return [process, address];
  }
  throw new Error(`Chromium did not start: ${said}`);
}

const KEY_CODES: Readonly<Record<string, string>> = { Enter: "\r" };

async function perform(page: Page, step: BrowserStep): Promise<BrowserResult> {
  switch (step.do) {
    case "open": {
      const { width, height, scheme } = step;
      const mobile = width < 600;
      await page.call("Emulation.setDeviceMetricsOverride", { width, height, deviceScaleFactor: 1, mobile });
      const features = [{ name: "prefers-color-scheme", value: scheme ?? "light" }];
      await page.call("Emulation.setEmulatedMedia", { features });
      await page.call("Page.navigate", { url: "about:blank" });
      const began = performance.now();
      await page.call("Page.navigate", { url: step.url });
      while (await page.evaluate("document.documentElement?.dataset.ready") !== "yes") {
        if (performance.now() - began > 60_000) {
          throw new Error(`${step.url} did not get ready: ${page.faults}`);
        }
        await new Promise((resolve) => setTimeout(resolve, 10));
      }
      return performance.now() - began;
    }
    case "evaluate":
      return await page.evaluate(step.expression) as BrowserResult;
    case "key": {
      const text = step.key.length === 1 ? step.key : KEY_CODES[step.key];
      const key = { key: step.key, ...(text === undefined ? {} : { text }) };
      await page.call("Input.dispatchKeyEvent", { type: "keyDown", ...key });
      await page.call("Input.dispatchKeyEvent", { type: "keyUp", key: step.key });
      return null;
    }
    case "screenshot": {
      const { data } = await page.call("Page.captureScreenshot", { format: "png" });
      Deno.writeFileSync(step.path, Uint8Array.fromBase64(String(data)));
      return null;
    }
  }
}

/** Removes the profile: parts of the browser write into it for a moment after its process has ended. */
async function removeAll(profile: string): Promise<void> {
  for (let tries = 50;; tries--) {
    try {
      return Deno.removeSync(profile, { recursive: true });
    } catch (error) {
      if (tries === 0) throw error;
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
  }
}

if (import.meta.main) {
  const steps: readonly BrowserStep[] = JSON.parse(await new Response(Deno.stdin.readable).text());
  const profile = Deno.makeTempDirSync({ prefix: "ism-browser-" });
  const [process, address] = await start(profile);
  try {
    const socket = new WebSocket(address);
    await new Promise((resolve, reject) => {
      socket.onopen = resolve;
      socket.onerror = reject;
    });
    const page = new Page(socket);
    const { targetId } = await page.call("Target.createTarget", { url: "about:blank" });
    const { sessionId } = await page.call("Target.attachToTarget", { targetId, flatten: true });
    page.session = String(sessionId);
    await page.call("Page.enable");
    await page.call("Runtime.enable");
    const results: BrowserResult[] = [];
    for (const step of steps) results.push(await perform(page, step));
    console.log(JSON.stringify({ results, faults: page.faults }));
    page.close();
  } finally {
    process.kill();
    await process.status;
    await removeAll(profile);
  }
  Deno.exit(0);
}
