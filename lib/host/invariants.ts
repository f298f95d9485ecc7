/** Invariants of a host: what must be true of any state that this program can have left behind. */
import { PAGE_SIZE } from "../zpci/storage.ts";
import { DATA_OFFSET, DMB, SBA } from "../ism/protocol.ts";
import { ismConfigRegisters } from "../ism/device/config_image.ts";
import type { Host, HostFunction } from "./host.ts";

/** Every invariant that does not hold, one sentence each. */
export function checkHost(host: Host): string[] {
  return [
    ...checkTokens(host),
    ...host.guests.flatMap((guest) => checkStorage(guest.name, guest.partition.storage.buffers)),
    ...host.functions.flatMap(checkFunction),
  ];
}

function checkTokens(host: Host): string[] {
  const wrong: string[] = [];
  const seen = new Set<string>();
  for (const { adapter } of host.functions) {
    for (const { token } of adapter.dmbs.values()) {
      const name = `0x${token.toString(16)}`;
      const place = `${adapter.fabric.chid}:${token}`;
      if (token === 0 || token % DATA_OFFSET.TOKEN_UNIT !== 0) {
        wrong.push(`Token ${name} has bits where none may be`);
      }
      if (seen.has(place)) wrong.push(`Token ${name} is there twice`);
      seen.add(place);
    }
  }
  return wrong;
}

function checkStorage(
  guest: string,
  buffers: readonly { readonly address: number; readonly size: number }[],
): string[] {
  const wrong: string[] = [];
  let end = 0;
  for (const { address, size } of buffers) {
    if (address % PAGE_SIZE !== 0 || size % PAGE_SIZE !== 0 || size <= 0) {
      wrong.push(`Memory of ${guest} at 0x${address.toString(16)} is not whole pages`);
    }
    if (address < end) {
      wrong.push(`Memory of ${guest} at 0x${address.toString(16)} overlaps the buffer before it`);
    }
    end = address + size;
  }
  return wrong;
}

function checkFunction({ zdev, fn, adapter, guest }: HostFunction): string[] {
  const wrong: string[] = [];
  const here = `Function ${zdev.name} of ${guest.name}`;
  const say = (text: string) => wrong.push(`${here}: ${text}`);
  // Whether they are mapped is no invariant: a machine that refuses RPCIT does not hear of an unmap.
  const holds = adapter.sba !== undefined || adapter.ieq !== undefined || adapter.dmbs.size > 0;
  if (fn.state !== "enabled" && holds) say(`it is ${fn.state}, and still has something registered`);
  for (const { sbaIndex, length, token } of adapter.dmbs.values()) {
    if (sbaIndex < 0 || sbaIndex >= SBA.INDICES) say(`DMB 0x${token.toString(16)} has index ${sbaIndex}`);
    if (length < DMB.UNIT || length > DMB.MAX || length % DMB.UNIT !== 0) {
      say(`DMB 0x${token.toString(16)} has ${length} bytes`);
    }
  }
  const fixed = fixedRegister(fn, adapter.config.snapshot());
  if (fixed !== undefined) say(`config space of the machine has another value at 0x${fixed.toString(16)}`);
  const open = guest.kernel.device(zdev)?.openCount ?? 0;
  const descriptors = [...guest.kernel.process.files()].filter(([, file]) =>
    file.kind === "device" && file.id === zdev.facts.fid
  );
  if (open > descriptors.length) say(`it is open ${open} times, with ${descriptors.length} descriptors`);
  return wrong;
}

/** Offset of a byte of config space that no write can have given its value; undefined if there is none. */
function fixedRegister({ identity }: HostFunction["fn"], bytes: Uint8Array): number | undefined {
  const registers = ismConfigRegisters(identity.barExponents, identity.barFlags);
  const offset = bytes.findIndex((byte, at) => {
    registers.write(at, byte);
    return registers.read(at) !== byte;
  });
  return offset < 0 ? undefined : offset;
}
