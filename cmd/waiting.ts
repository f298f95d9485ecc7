/** Waiting for other processes that use the same host file. */
import { DriverError } from "../lib/ism/driver/descriptor.ts";
import type { Context } from "./command.ts";
import { plural } from "./units.ts";

/** Pauses between two looks: short at first, for a peer that is at work, then longer. */
const FIRST_PAUSE_MS = 1;
const LONGEST_PAUSE_MS = 50;

/**
 * Looks again and again, each time another process has committed, until `look` finds something.
 *
 * @param what what is waited for, for the message
 * @throws {DriverError} after `timeoutMs` without a commit of another process, or if nobody else can act
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
    let pause = FIRST_PAUSE_MS;
    while (context.store.version === seen) {
      if (Date.now() >= until) {
        throw new DriverError(`${what} did not come within ${plural(timeoutMs / 1000, "second")}`);
      }
      await new Promise((resolve) => setTimeout(resolve, pause));
      pause = Math.min(pause * 2, LONGEST_PAUSE_MS);
    }
  }
}
