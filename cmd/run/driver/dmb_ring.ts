/** Rings of data in DMBs, as SMC-D has them: where both cursors are, seen from outside. */
import type { Host, HostFunction } from "../../../lib/host/host.ts";
import type { Dmb } from "../../../lib/ism/device/dmb.ts";
import {
  bytesBetween,
  CONTROL_BYTES,
  readControl,
  type RingControl,
} from "../../../lib/ism/driver/stream.ts";
import type { DmbRing } from "../../output/pictures/signals.ts";
import { memoryAt } from "./mapped_memory.ts";

function controlOf(owner: HostFunction, { iova, length }: Dmb): RingControl | undefined {
  if (length <= CONTROL_BYTES) return undefined;
  const bytes = memoryAt(owner, iova, CONTROL_BYTES);
  return bytes === undefined ? undefined : readControl(bytes);
}

/** The ring in a function's DMB; undefined if the DMB does not begin with a control message. */
export function ringOf(host: Host, owner: HostFunction, dmb: Dmb): DmbRing | undefined {
  const control = controlOf(owner, dmb);
  if (control === undefined) return undefined;
  const { adapter } = owner;
  const peer = host.functions.find((each) =>
    each.adapter.fabric === adapter.fabric && each.adapter.gid === dmb.rgid
  );
  const answers = peer === undefined
    ? []
    : [...peer.adapter.dmbs.values()].filter((each) => each.rgid === adapter.gid)
      .map((each) => controlOf(peer, each)).filter((each) => each !== undefined);
  // With several streams between the two, nothing outside of them says which DMBs belong together.
  const consumer = answers.length === 1 ? answers[0]!.consumer : null;
  const size = dmb.length - CONTROL_BYTES;
  const unread = consumer === null ? null : bytesBetween(consumer, control.producer, size);
  return {
    size,
    producer: control.producer,
    consumer,
    // Cursors that make no sense are shown, but nothing is reckoned from them.
    unread: unread !== null && unread >= 0 && unread <= size ? unread : null,
    blocked: control.writeBlocked,
    done: control.done,
  };
}
