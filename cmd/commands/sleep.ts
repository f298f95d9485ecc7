/** Simulated time. */
import { argument, defineCommand } from "../language/command.ts";
import { DURATION } from "../language/kinds.ts";

const MICROSECONDS = 1_000_000;

export const sleep = defineCommand({
  name: "sleep",
  group: "host",
  summary: "Let time pass on the simulated machine, at once",
  details:
    `The machine's clock moves by itself only with instructions, a microsecond each. This moves it on, for what the
kernel does after a time: while an unbind waits, REQ is signalled every 10 seconds.`,
  args: {
    seconds: argument(DURATION, "time of the machine's clock: seconds such as 10 or 0.5, or 500ms, 3m, 1h"),
  },
  options: {},
  access: "write",
  examples: ["sleep 10", "sleep 0.5"],
  run({ host }, { seconds }) {
    host.clock.advance(Math.round(seconds * MICROSECONDS));
    for (const { kernel } of host.guests) kernel.tick();
    return { seconds, clock: host.clock.microseconds };
  },
});
