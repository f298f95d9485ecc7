/** Error recovery as user space has it: the error blocks of feature ZPCI_ERROR, and a driver's recovery. */
import { hex } from "../../lib/base/hex.ts";
import type { HostFunction } from "../../lib/host/host.ts";
import type { Recovery } from "../../lib/ism/driver/recovery.ts";
import { DEVICE_IOCTL, FEATURE, FEATURE_FLAGS, ZPCI_ERROR, ZPCI_ERROR_BLOCK } from "../../lib/vfio/uapi.ts";
import { argument, type Context, defineCommand, flag, optional } from "../language/command.ts";
import { blockFields, fieldLines } from "../output/error_blocks.ts";
import { DATA, DURATION, number } from "../language/kinds.ts";
import { checkShown } from "../language/limits.ts";
import { plural } from "../output/units.ts";
import { waitFor } from "../run/waiting/waiting.ts";

const FEATURE_ZPCI_ERROR = 13;
/** Simulated time between two resets of a recovery. Microseconds. */
const PAUSE = 1000;

/** Calls the feature with a payload. @returns the payload afterwards */
function callFeature({ driver, guest }: HostFunction, flags: number, payload: Uint8Array): Uint8Array {
  const arg = new Uint8Array(FEATURE.size + payload.length);
  FEATURE.encode({ argsz: arg.length, flags }, arg);
  arg.set(payload, FEATURE.size);
  guest.kernel.process.ioctl(driver.descriptor.fd, DEVICE_IOCTL.VFIO_DEVICE_FEATURE, arg);
  return arg.subarray(FEATURE.size);
}

/** Takes one error block into memory of the process. */
function takeBlock(target: HostFunction, flags: number) {
  const { process } = target.guest.kernel;
  const vaddr = process.mmapAnonymous(ZPCI_ERROR_BLOCK.size);
  try {
    callFeature(target, flags, ZPCI_ERROR.encode({ data: BigInt(vaddr) }));
    const bytes = process.memory(vaddr, ZPCI_ERROR_BLOCK.size, false);
    return { data: bytes.toHex(), block: blockFields(ZPCI_ERROR_BLOCK.decode(bytes)) };
  } finally {
    process.munmap(vaddr);
  }
}

export const feature = defineCommand({
  name: "feature",
  group: "host",
  summary: "Call VFIO_DEVICE_FEATURE",
  details:
    `13 is ZPCI_ERROR: --get takes the oldest error block of the function out and shows its fields, ENOMSG says
that none waits. With --payload the caller's own address of a buffer is passed, 8 bytes.`,
  args: {
    number: argument(
      number("NUMBER", { max: 0xffff }),
      "feature number; 3 is LOW_POWER_ENTRY, 11 DMA_BUF, 13 ZPCI_ERROR",
    ),
  },
  options: {
    get: flag("with the GET flag"),
    set: flag("with the SET flag"),
    probe: flag("with the PROBE flag; the default if neither --get nor --set is given"),
    payload: optional(DATA, "bytes behind the header"),
  },
  access: "write",
  examples: [
    "expect ENOTTY feature 0",
    "expect EOPNOTSUPP feature 11 --probe",
    "feature 3 --set",
    "expect ENOMSG feature 13 --get",
  ],
  run({ target, load }, { number, get, set, probe, payload }): Record<string, unknown> {
    const { GET, SET, PROBE } = FEATURE_FLAGS;
    const flags = number + (get ? GET : 0) + (set ? SET : 0) + (probe || (!get && !set) ? PROBE : 0);
    if (flags === FEATURE_ZPCI_ERROR + GET && payload === undefined) {
      return { number, ...takeBlock(target, flags) };
    }
    const bytes = payload === undefined ? new Uint8Array(0) : load(payload);
    checkShown(bytes.length, "payload");
    return { number, data: callFeature(target, flags, bytes).toHex() };
  },
  text: ({ block }) => block === undefined ? "" : fieldLines(block as ReturnType<typeof blockFields>),
  raw: ({ data }) => Uint8Array.fromHex(String(data)),
  value: ({ data }) => `hex:${data}`,
});

/** A recovery in one transaction. */
function recovered({ driver, zdev }: HostFunction, pause: () => void) {
  const { blocks, resets, dmbs }: Recovery = driver.recover(pause);
  return {
    blocks: blocks.map(blockFields),
    resets,
    fh: hex(zdev.fh, 8),
    dmbs: dmbs.map(({ index, from, to }) => ({ index, from: hex(from), to: hex(to) })),
  };
}

/** Waits for the ERR interrupt; its count says no more than that something happened. */
async function waitForError(context: Context, timeoutMs: number): Promise<void> {
  await waitFor(
    context,
    "An ERR interrupt",
    timeoutMs,
    () => context.transact(({ driver }) => driver.takeErrorInterrupts() > 0 ? true : undefined),
  );
}

export const recover = defineCommand({
  name: "recover",
  group: "ism",
  summary: "Recover the function as a driver does: read the error blocks, reset, register again",
  details:
    `Takes the error blocks out (feature 13, until ENOMSG), resets, again on EAGAIN and EIO, switches bus master on,
and registers SBA, IEQ, VLANs and DMBs anew: the memory of a DMB stays, its token is another one. A function that is
lost (event 0x3b or 0x40) is closed. With --wait it first waits for the ERR interrupt. Linux 7.1 has neither ERR nor error
blocks and recovers by itself; the rest is the same. "zpci recover" is what an operator does.`,
  args: {},
  options: {
    wait: flag("wait for an ERR interrupt first"),
    timeout: optional(DURATION, "with --wait: give up after this time: seconds, or 500ms, 3m, 1h"),
  },
  access: "wait",
  examples: ["recover", "recover -d 1 --json", "expect DRIVER recover --wait --timeout 0.5"],
  async run(context, { wait, timeout }) {
    if (wait) await waitForError(context, timeout === undefined ? Infinity : timeout * 1000);
    return context.transact((target, { clock }) => recovered(target, () => clock.advance(PAUSE)));
  },
  text({ blocks, resets, fh, dmbs }) {
    const lines = [
      ...blocks.map(({ pec, event, rw, faddr }) => `error event ${pec} ${event}: ${rw} at ${faddr}`),
      `${plural(resets, "reset")}, handle ${fh}`,
      ...dmbs.map(({ index, from, to }) => `dmb index ${index}: ${from} -> ${to}`),
    ];
    return lines.join("\n");
  },
});
