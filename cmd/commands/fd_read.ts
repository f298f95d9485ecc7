/** read(2) and its like on any descriptor, also when there is something to read. */
import type { HostFunction } from "../../lib/host/host.ts";
import { DriverError } from "../../lib/ism/driver/errors.ts";
import { POLL } from "../../lib/vfio/process/file.ts";
import { defineCommand, flag, optional, rest } from "../language/command.ts";
import { findDescriptor } from "../run/driver/descriptors.ts";
import { KernelTicks } from "../run/waiting/kernel_ticks.ts";
import { COUNT, DURATION } from "../language/kinds.ts";
import { checkShown } from "../language/limits.ts";
import { dumpText } from "../output/hexdump.ts";
import { UsageError } from "../language/usage_error.ts";
import { readShown } from "../run/driver/transfer_buffer.ts";
import { plural } from "../output/units.ts";
import { waitUntil } from "../run/waiting/waiting.ts";
import { AT, FD, positionAfter, processOf } from "./fd.ts";

/** Buffers of a read, and where it reads. */
interface Read {
  readonly counts: readonly bigint[];
  readonly at: bigint | undefined;
  readonly accessible: bigint | undefined;
}

/** One call. */
function read(target: HostFunction, fd: number, { counts, at, accessible }: Read) {
  const process = processOf(target);
  const [count = 0n, ...more] = counts;
  if (more.length === 0) {
    const { ret, data } = readShown(
      count,
      accessible ?? count,
      (buffer) => at === undefined ? process.read(fd, buffer, count) : process.pread(fd, buffer, count, at),
    );
    return { fd, ret, position: positionAfter(target, fd, at, ret), data: data.toHex() };
  }
  if (accessible !== undefined) throw new UsageError("--accessible goes with one buffer");
  checkShown(counts.reduce((sum, each) => sum + each, 0n), "counts");
  const segments = counts.map((each) => new Uint8Array(Number(each)));
  const ret = at === undefined ? process.readv(fd, segments) : process.preadv(fd, segments, at);
  const data = segments.map((each) => each.toHex()).join("").slice(0, ret * 2);
  return { fd, ret, position: positionAfter(target, fd, at, ret), data };
}

export const fdRead = defineCommand({
  name: "fd read",
  group: "sys",
  summary: "Read from a descriptor: read, readv, pread or preadv",
  details:
    `One COUNT is one buffer; several are a vector, one call of the driver each. With --wait the call is made
when poll(2) says that there is something to read: an eventfd that was signalled. It takes the count and leaves the SBA
alone. Inside a script that is one transaction nobody else can send anything, so there is no wait then.`,
  args: { fd: FD, count: rest(COUNT, "bytes of each buffer") },
  options: {
    at: AT,
    accessible: optional(COUNT, "let the caller's buffer fault behind this many bytes"),
    wait: flag("wait until there is something to read"),
    timeout: optional(DURATION, "with --wait: give up after this time: seconds, or 500ms, 3m, 1h"),
  },
  access: "wait",
  examples: ["expect EBADF fd read 99 8"],
  async run(context, { fd: which, count: counts, at, accessible, wait, timeout }) {
    if (timeout !== undefined && !wait) {
      throw new UsageError("--timeout goes with --wait", { token: "--timeout" });
    }
    const how = { counts, at, accessible };
    const options = { keepRefused: true };
    if (!wait) return context.transact((target) => read(target, findDescriptor(target, which), how), options);
    const watch = new KernelTicks(context, (target) => {
      const fd = findDescriptor(target, which);
      return processOf(target).descriptors.poll([{ fd, events: POLL.IN }])[0] === 0
        ? undefined
        : read(target, fd, how);
    }, options);
    const timeoutMs = timeout === undefined ? Infinity : timeout * 1000;
    const what = "Something to read";
    const found = await waitUntil(context, what, timeoutMs, () => watch.look(), watch, { total: true });
    if (found !== undefined) return found;
    throw new DriverError(`${what} did not come within ${plural(timeout!, "second")}`);
  },
  text: ({ data, position, ret }, { terminal }) =>
    dumpText(
      terminal,
      Uint8Array.fromHex(data),
      BigInt(position) < BigInt(ret) ? 0 : BigInt(position) - BigInt(ret),
    ),
  raw: ({ data }) => Uint8Array.fromHex(data),
  value: ({ data }) => `hex:${data}`,
});
