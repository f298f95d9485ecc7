/** Error blocks for people and for JSON: every field of feature ZPCI_ERROR. */
import { hex } from "../../lib/base/hex.ts";
import type { ErrorBlock } from "../../lib/ism/driver/recovery.ts";
import { pecText } from "../../lib/zpci/error_events.ts";

const ETT_UNIT = 2 ** 28;
const MVN_SHIFT = 16;
const MVN_MASK = 0xfff;
const DMAAS_SHIFT = 8;
const DMAAS_MASK = 0xff;
const QUALIFIER = 2;
const WRITE = 1;

/** The fields of a block; `information` holds five of them in its bits (vfio.feature.zpcierror). */
export function blockFields({ fh, fid, information, address, pec }: ErrorBlock) {
  return {
    pec: hex(pec),
    event: pecText(pec),
    fh: hex(fh, 8),
    fid: hex(fid),
    ett: Math.floor(information / ETT_UNIT),
    mvn: information >>> MVN_SHIFT & MVN_MASK,
    dmaas: information >>> DMAAS_SHIFT & DMAAS_MASK,
    q: (information & QUALIFIER) === 0 ? 0 : 1,
    rw: (information & WRITE) === 0 ? "read" : "write",
    faddr: hex(address),
  };
}

/** Fields as lines. */
export function fieldLines(fields: Readonly<Record<string, string | number>>): string {
  return Object.entries(fields).map(([name, value]) => `${name.padEnd(8)}${value}`).join("\n");
}
