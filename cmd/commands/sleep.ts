/** Simulated time. */
import { argument, defineCommand } from "../command.ts";
import { number } from "../kinds.ts";

const MICROSECONDS = 1_000_000;

export const sleep = defineCommand({
  name: "sleep",
  group: "host",
  summary: "Let time pass on the simulated machine, at once",
  details:
    `The machine's clock moves by itself only with instructions, a microsecond each. This moves it on, for what the
kernel does after a time: while an unbind waits, REQ is signalled every 10 seconds.`,
  args: { seconds: argument(number("SECONDS", { max: 86_400 }), "seconds of the machine's clock") },
  options: {},
  access: "write",
  examples: ["sleep 10"],
  run({ host }, { seconds }) {
    host.clock.advance(seconds * MICROSECONDS);
    for (const { kernel } of host.guests) kernel.tick();
    return { seconds, clock: host.clock.microseconds };
  },
});
