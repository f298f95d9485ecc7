/**
 * BAR 0: one store block is one store into a peer's DMB. Facts: ism.data.offset and ism.data.store.
 */
import { remainder } from "../../base/bits.ts";
import { DMA } from "../../zpci/dma.ts";
import { PEC } from "../../zpci/error_events.ts";
import { DATA_OFFSET } from "../protocol.ts";
import type { IsmAdapter } from "./adapter.ts";
import { storeAndSignal } from "./notify.ts";

/** Stores the first `length` bytes of `source`; 0, or the status code of condition code 1. */
export function storeData(writer: IsmAdapter, offset: number, source: Uint8Array, length: number): number {
  const inToken = remainder(offset, DATA_OFFSET.TOKEN_UNIT);
  const idx = Math.floor(inToken / DATA_OFFSET.IDX_UNIT);
  const inElement = remainder(inToken, DATA_OFFSET.IDX_UNIT);
  const signal = inElement >= DATA_OFFSET.SIGNAL_FLAG;
  const at = remainder(inElement, DATA_OFFSET.SIGNAL_FLAG);

  const dmb = writer.fabric.dmbAt(offset);
  if (dmb === undefined || dmb.rgid !== writer.gid) return refuse(writer, offset);
  if (dmb.owner === writer.barred) return refuse(writer, offset);
  if (dmb.vlanId !== undefined && !writer.vlans.has(dmb.vlanId)) return refuse(writer, offset);
  if (at + length > dmb.length) return refuse(writer, offset);

  const { dma } = dmb.owner.fn;
  const outcome = dma.resolve(dmb.iova + at, length);
  if (outcome !== DMA.OK && outcome !== DMA.DISCARDED) return refuse(writer, offset);
  const memory = outcome === DMA.OK ? dma.memory : undefined;
  const { offset: memoryAt } = dma;
  if (writer.tracing) {
    writer.trace("dmb-store", () => ({ token: dmb.token, offset: at, length, idx, signal }));
  }
  if (signal) storeAndSignal(dmb.owner, dmb.sbaIndex, idx, memory, memoryAt, source, length);
  else memory?.store(memoryAt, source, length);
  return 0;
}

function refuse(writer: IsmAdapter, offset: number): number {
  if (writer.options.bar0Failure === "error-state") writer.fn.fail(PEC.OUT_OF_RANGE, offset, true);
  return writer.options.bar0Status;
}
