/** Waiting for other processes that use the same host file. */
import { DriverError } from "../../lib/ism/driver/descriptor.ts";
import type { Context } from "../language/command.ts";
import { InterruptWatch } from "./interrupt.ts";
import { plural } from "../output/units.ts";

/**
 * A pause between two looks is this part of the time waited so far: a peer at work is noticed at once, and what took
 * long is noticed late by little.
 */
const PAUSE_SHARE = 1 / 16;
const SHORTEST_PAUSE_MS = 1;
/** A person hardly notices it, and a waiting process stays well under 1 % of a core. */
const LONGEST_PAUSE_MS = 150;

/** Something that the simulated machine will do by itself when its clock gets there. */
export interface Timer {
  /** Milliseconds until then as of the last look; undefined if nothing is to come. */
  dueMs(): number | undefined;
  /** The time has passed: the next look sets the machine's clock. */
  fire(): void;
}

/**
 * Looks again and again, each time another process has committed or the timer is due, until `look` finds something.
 * Simulated time passes here as fast as the user's; where nobody else can act it passes at once.
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
  timer?: Timer,
): Promise<Of> {
  using watch = new InterruptWatch();
  let simulatedMs = 0;
  for (;;) {
    const seen = context.store.version;
    const found = look();
    if (found !== undefined) return found;
    const dueMs = timer?.dueMs();
    if (!context.shared) {
      if (dueMs === undefined) {
        throw new DriverError(`${what} cannot come: nobody else can act on this host now`);
      }
      simulatedMs += dueMs;
      if (simulatedMs > timeoutMs) throw late(what, timeoutMs);
      timer!.fire();
      continue;
    }
    const began = performance.now();
    while (context.store.version === seen) {
      const waited = performance.now() - began;
      if (dueMs !== undefined && waited >= dueMs) {
        timer!.fire();
        break;
      }
      if (waited >= timeoutMs) throw late(what, timeoutMs);
      const pauseMs = Math.min(Math.max(waited * PAUSE_SHARE, SHORTEST_PAUSE_MS), LONGEST_PAUSE_MS);
      await watch.sleep(Math.min(pauseMs, timeoutMs - waited, (dueMs ?? Infinity) - waited));
    }
  }
}

function late(what: string, timeoutMs: number): DriverError {
  return new DriverError(`${what} did not come within ${plural(timeoutMs / 1000, "second")}`);
}
