/** Waiting for other processes that use the same host file. */
import { DriverError } from "../../../lib/ism/driver/errors.ts";
import type { Context } from "../../language/command.ts";
import { InterruptWatch } from "./interrupt.ts";
import { plural } from "../../output/units.ts";

/** Who has just acted mostly acts again at once, and is waited for with naps: they are shorter than any timer's sleep. */
const EAGER_MS = 3;
const NAP_MS = 0.05;
/** It is looked for at once at first: a nap is longer than many an answer takes. */
const SPIN_MS = 0.1;
/** How long a dialogue goes on without a look at signals. */
const TURN_MS = 50;
const NOTHING = new Int32Array(new SharedArrayBuffer(Int32Array.BYTES_PER_ELEMENT));

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
  const found = await waitUntil(context, what, timeoutMs, look, timer);
  if (found !== undefined) return found;
  throw new DriverError(`${what} did not come within ${plural(timeoutMs / 1000, "second")}`);
}

/**
 * As {@linkcode waitFor}, for waits whose time may pass.
 *
 * @param total the time counts from the beginning, and not from the last commit of another process
 * @returns undefined after `timeoutMs`
 * @throws {DriverError} if it would wait for ever, as nobody else can act
 */
export async function waitUntil<Of>(
  context: Context,
  what: string,
  timeoutMs: number,
  look: () => Of | undefined,
  timer?: Timer,
  { total = false } = {},
): Promise<Of | undefined> {
  using watch = new InterruptWatch(context.interrupted);
  let simulatedMs = 0;
  let began = performance.now();
  let turn = began;
  for (;;) {
    const seen = context.store.version;
    const found = look();
    if (found !== undefined) return found;
    const dueMs = timer?.dueMs();
    if (!context.shared) {
      if (dueMs === undefined) {
        if (total && timeoutMs < Infinity) return undefined;
        throw new DriverError(`${what} cannot come: nobody else can act on this host now`);
      }
      simulatedMs += dueMs;
      if (simulatedMs > timeoutMs) return undefined;
      timer!.fire();
      continue;
    }
    const looked = performance.now();
    if (!total) began = looked;
    if (looked - turn > TURN_MS) {
      await watch.sleep(0, () => `: ${what} did not come`);
      turn = looked;
    }
    while (context.store.version === seen) {
      const now = performance.now();
      const waited = now - began;
      if (dueMs !== undefined && waited >= dueMs) {
        timer!.fire();
        break;
      }
      if (waited >= timeoutMs) return undefined;
      if (now - looked < SPIN_MS) continue;
      if (now - looked < EAGER_MS) {
        Atomics.wait(NOTHING, 0, 0, NAP_MS);
        continue;
      }
      const pauseMs = Math.min(Math.max(waited * PAUSE_SHARE, SHORTEST_PAUSE_MS), LONGEST_PAUSE_MS);
      const pause = Math.min(pauseMs, timeoutMs - waited, (dueMs ?? Infinity) - waited);
      await watch.sleep(pause, () => `: ${what} did not come`);
    }
  }
}
