/** poll(2) on the descriptors of the driver process. */
import { POLL, pollText } from "../../lib/vfio/process/file.ts";
import { defaulted, type Kind, optional, rest } from "../language/command.ts";
import { defineListing } from "../language/listing.ts";
import type { Table } from "../language/table.ts";
import { renderTable } from "../output/table/text.ts";
import { DESCRIPTOR, findDescriptor } from "../run/driver/descriptors.ts";
import { KernelTicks } from "../run/waiting/kernel_ticks.ts";
import { DURATION } from "../language/kinds.ts";
import { quoteText } from "../language/quote.ts";
import { UsageError } from "../language/usage_error.ts";
import { waitUntil } from "../run/waiting/waiting.ts";

/** Bits that can be asked for, by the names that the line has for them. */
const ASKED = { in: POLL.IN, out: POLL.OUT } as const;
const NAMES = Object.keys(ASKED) as (keyof typeof ASKED)[];

/** `in`, `out` or both. */
const EVENTS: Kind<number> = {
  placeholder: "EVENTS",
  choices: NAMES,
  separator: ",",
  parse(value, what) {
    return value.split(",").reduce((events, word) => {
      const name = NAMES.find((each) => each === word);
      if (name !== undefined) return events | ASKED[name];
      throw new UsageError(`${what}: ${quoteText(word)} is not one of ${NAMES.join(", ")}`, { token: value });
    }, 0);
  },
};

type Ready = {
  readonly ret: number;
  readonly fds: readonly { readonly fd: number; readonly revents: string }[];
};

const READY: Table<Ready> = {
  columns: [{ name: "fd" }, { name: "revents", head: "READY" }],
  rows: ({ fds }) => fds.map(({ fd, revents }) => [fd, revents]),
};

export const poll = defineListing({
  name: "poll",
  group: "sys",
  summary: "Wait until descriptors are ready: poll(2)",
  details:
    `An eventfd is readable when an interrupt came, or somebody wrote to it; files of vfio and iommufd have no
poll operation, and are ready always. Nothing is taken out, and the SBA is not touched: "fd read" takes an eventfd's
count. Without --timeout the wait has no end; when the time is over the answer is 0, which is no failure. The kernel's
own REQ interrupts come as its clock goes on. Inside a script that is one transaction nobody else can send anything, so
the time passes at once.`,
  args: { fd: rest(DESCRIPTOR, "descriptors: their numbers, or what they are of, as fd list shows it") },
  options: {
    events: defaulted(EVENTS, POLL.IN, "what for: in, out, or in,out; in by default"),
    timeout: optional(DURATION, "how long to wait at most: seconds, or 500ms, 3m, 1h; 0 for a look"),
  },
  access: "wait",
  examples: ["expect =1 poll 99 --timeout 0"],
  async run(context, { fd: names, events, timeout }): Promise<Ready> {
    const timeoutMs = timeout === undefined ? Infinity : timeout * 1000;
    const look = (wanted: boolean) =>
      new KernelTicks(context, (target) => {
        const fds = names.map((name) => ({ fd: findDescriptor(target, name), events }));
        const { process } = target.guest.kernel;
        if (wanted && !process.descriptors.poll(fds).some((revents) => revents !== 0)) return undefined;
        const revents = process.poll(fds);
        return fds.map(({ fd }, i) => ({ fd, revents: pollText(revents[i]!) }));
      });
    const watch = look(true);
    const what = "What poll waits for";
    const found = await waitUntil(context, what, timeoutMs, () => watch.look(), watch, { total: true }) ??
      look(false).look()!;
    return { ret: found.filter(({ revents }) => revents !== "0").length, fds: found };
  },
  text(result, { terminal, wide }) {
    if (result.ret === 0) return "0 descriptors are ready";
    return renderTable(READY.columns, READY.rows(result), terminal, { wide });
  },
  table: READY,
  value: ({ ret }) => String(ret),
});
