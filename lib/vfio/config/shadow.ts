import type { ConfigHardware } from "./hardware.ts";
import { planChunks } from "./chunks.ts";
import {
  CAPABILITIES_END,
  type Capability,
  clearPowerEventBits,
  HEADER_SIZE,
  visibleLength,
} from "./permission_map.ts";
import { COMMAND_MEMORY, STATUS_CAP_LIST } from "./registers.ts";
import { writeWord } from "./word.ts";

const COMMAND = 0x04;
const STATUS = 0x06;
const CAPABILITY_LIST = 0x34;
const INTERRUPT_PIN = 0x3d;
/** The last dword in which a capability can start. */
const LAST_CAPABILITY = CAPABILITIES_END - 4;

/** The shadow of a config space as it is at open, and the capabilities that the user will see. */
export interface InitialShadow {
  readonly bytes: Uint8Array;
  readonly capabilities: readonly Capability[];
}

/** Reads header and capabilities from hardware and virtualises what is constant for the time of the open. */
export function buildShadow(hardware: ConfigHardware, size: number, virtualFunction: boolean): InitialShadow {
  const bytes = new Uint8Array(size);
  copyFromHardware(hardware, bytes, 0, HEADER_SIZE);
  if (virtualFunction) bytes[COMMAND]! |= COMMAND_MEMORY;
  bytes[INTERRUPT_PIN] = 0; // s390 kernels are built without INTx support.
  return { bytes, capabilities: linkCapabilities(hardware, bytes) };
}

/** Walks the chain, copies what vfio shows and unlinks the rest from the pointers of the shadow. */
function linkCapabilities(hardware: ConfigHardware, shadow: Uint8Array): Capability[] {
  if ((shadow[STATUS]! & STATUS_CAP_LIST) === 0) return [];
  const shown = new Map<number, Capability>();
  const seen = new Set<number>();
  let link = CAPABILITY_LIST;
  let start = shadow[link]!;
  while (start >= HEADER_SIZE && start <= LAST_CAPABILITY && !seen.has(start)) {
    seen.add(start);
    const id = hardware.load(start, 1);
    const next = hardware.load(start + 1, 1);
    const length = visibleLength(id, start, hardware);
    if (length === 0) {
      shadow[link] = next;
    } else {
      const capability = { id, start, length };
      copyFromHardware(hardware, shadow, start, Math.min(length, CAPABILITIES_END - start));
      clearPowerEventBits(capability, shadow);
      shown.set(start, capability);
      link = start + 1;
    }
    start = next;
  }
  // The chain ended; a pointer into the header, past the end or back to a hidden capability shows as the end.
  if (!shown.has(start)) shadow[link] = 0;
  if (shown.size === 0) shadow[STATUS]! &= ~STATUS_CAP_LIST;
  return [...shown.values()];
}

function copyFromHardware(hardware: ConfigHardware, shadow: Uint8Array, start: number, length: number): void {
  for (const { offset, width } of planChunks(start, length, () => start + length)) {
    writeWord(shadow, offset, width, hardware.load(offset, width));
  }
}
