/** Waiting for other processes that use the same host file. */
import { DriverError } from "../lib/ism/driver/descriptor.ts";
import type { Context } from "./command.ts";
import { InterruptedError } from "./failure.ts";
import { plural } from "./units.ts";

/** Pauses between two looks: short at first, for a peer that is at work, then longer. */
const FIRST_PAUSE_MS = 1;
const LONGEST_PAUSE_MS = 50;

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
    const dueAt = dueMs === undefined ? Infinity : Date.now() + dueMs;
    const until = Date.now() + timeoutMs;
    let pauseMs = FIRST_PAUSE_MS;
    while (context.store.version === seen) {
      if (Date.now() >= dueAt) {
        timer!.fire();
        break;
      }
      if (Date.now() >= until) throw late(what, timeoutMs);
      await pause(pauseMs);
      pauseMs = Math.min(pauseMs * 2, LONGEST_PAUSE_MS);
    }
  }
}

function late(what: string, timeoutMs: number): DriverError {
  return new DriverError(`${what} did not come within ${plural(timeoutMs / 1000, "second")}`);
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
