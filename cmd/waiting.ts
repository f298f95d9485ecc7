/** Waiting for other processes that use the same host file. */
import { DriverError } from "../lib/ism/driver/descriptor.ts";
import type { Context } from "./command.ts";
import { InterruptedError } from "./failure.ts";
import { plural } from "./units.ts";

/** Pauses between two looks: short at first, for a peer that is at work, then longer. */
const FIRST_PAUSE_MS = 1;
const LONGEST_PAUSE_MS = 50;

/**
 * Looks again and again, each time another process has committed, until `look` finds something.
 *
 * @param what what is waited for, for the message
 * @throws {DriverError} after `timeoutMs` without a commit of another process, or if nobody else can act
 * @throws {InterruptedError} on Ctrl-C, so that the caller can take back what it has set up
 */
export async function waitFor<Of>(
  context: Context,
  what: string,
  timeoutMs: number,
  look: () => Of | undefined,
): Promise<Of> {
  for (;;) {
    const seen = context.store.version;
    const found = look();
    if (found !== undefined) return found;
    if (!context.shared) throw new DriverError(`${what} cannot come: nobody else can act on this host now`);
    const until = Date.now() + timeoutMs;
    let pauseMs = FIRST_PAUSE_MS;
    while (context.store.version === seen) {
      if (Date.now() >= until) {
        throw new DriverError(`${what} did not come within ${plural(timeoutMs / 1000, "second")}`);
      }
      await pause(pauseMs);
      pauseMs = Math.min(pauseMs * 2, LONGEST_PAUSE_MS);
    }
  }
}

/** Sleeps; Ctrl-C ends it. @throws {InterruptedError} */
function pause(milliseconds: number): Promise<void> {
  return new Promise((resolve, reject) => {
    const end = () => {
      clearTimeout(timer);
      Deno.removeSignalListener("SIGINT", interrupt);
    };
    const interrupt = () => {
      end();
      reject(new InterruptedError());
    };
    const timer = setTimeout(() => {
      end();
      resolve();
    }, milliseconds);
    Deno.addSignalListener("SIGINT", interrupt);
  });
}
