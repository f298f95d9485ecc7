/** A registered DMB (direct memory buffer). Facts: ism.data.store and ism.dmb.limits. */
import type { IsmAdapter } from "./adapter.ts";

export interface Dmb {
  readonly owner: IsmAdapter;
  readonly token: number;
  /** DMA address in the owner's address space. */
  readonly iova: number;
  /** Length in bytes. */
  readonly length: number;
  readonly sbaIndex: number;
  /** VLAN that the writer must be in; undefined for an untagged DMB. */
  readonly vlanId: number | undefined;
  /** The one GID that may write. */
  readonly rgid: bigint;
}

/** A DMB in the host file. */
export interface DmbState {
  readonly token: number;
  readonly iova: number;
  readonly length: number;
  readonly sbaIndex: number;
  readonly vlanId: number | null;
  readonly rgid: string;
}
