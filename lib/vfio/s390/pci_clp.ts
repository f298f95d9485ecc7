/**
 * What the kernel asks CLP: which functions there are, what each of them is, and to enable or
 * disable one. Facts: docs/reference/zpci/clp.md
 * (arch/s390/pci/pci_clp.c).
 */
import { hex } from "../../base/hex.ts";
import {
  CLP,
  clp,
  CLP_HEADER,
  CLP_RESPONSE,
  LIST_ENTRY,
  LIST_REQUEST,
  LIST_RESPONSE,
  QUERY_FUNCTION_REQUEST,
  QUERY_FUNCTION_RESPONSE,
  QUERY_GROUP_REQUEST,
  QUERY_GROUP_RESPONSE,
  SET_FUNCTION,
  SET_FUNCTION_REQUEST,
  SET_FUNCTION_RESPONSE,
} from "../../zpci/clp.ts";
import { HANDLE_ENABLED } from "../../zpci/handle.ts";
import type { Processor } from "../../zpci/instruction.ts";
import type { Partition } from "../../zpci/partition.ts";
import { PAGE_SIZE } from "../../zpci/storage.ts";
import { ErrnoError } from "../errno.ts";

/** CLP blocks are one page (arch/s390/pci/pci_clp.c: clp_alloc_block). */
const CLP_BLOCK_BYTES = PAGE_SIZE;

/** A memory BAR as the kernel's resource table knows it. */
export interface BarResource {
  /** Size in bytes, 0 if there is no resource. */
  readonly size: number;
  readonly is64: boolean;
  readonly prefetch: boolean;
}

/** What the kernel remembers of Query PCI Function and Query PCI Function Group. */
export interface ZdevFacts {
  readonly fid: number;
  readonly uid: number;
  readonly pchid: number;
  readonly vfn: number;
  readonly pft: number;
  readonly pfgid: number;
  readonly port: number;
  readonly startDma: number;
  readonly endDma: number;
  readonly pfip: Uint8Array;
  readonly utilityString: Uint8Array | undefined;
  readonly fmbLength: number;
  readonly bars: readonly BarResource[];
  /** Longest store block of the function, from its group. */
  readonly maxstbl: number;
  readonly noi: number;
  readonly mui: number;
  readonly version: number;
  readonly dasm: bigint;
  readonly msia: bigint;
}

/** A page with a request header and, behind a 32-byte request, the header of a response area. */
export function clpBlock(code: number, responseLength: number): Uint8Array {
  const block = new Uint8Array(CLP_BLOCK_BYTES);
  CLP_HEADER.encode({ length: 32, code }, block);
  CLP_HEADER.encode({ length: responseLength }, block, 32);
  return block;
}

/** Asks CLP about a function and its group (arch/s390/pci/pci_clp.c: clp_query_pci_fn, clp_query_pci_fngrp). */
export function queryFacts(processor: Processor, fh: number): ZdevFacts {
  const functionBlock = clpBlock(CLP.QUERY_FUNCTION, QUERY_FUNCTION_RESPONSE.size);
  QUERY_FUNCTION_REQUEST.encode({ fh }, functionBlock);
  clp(processor.partition, functionBlock);
  const fn = QUERY_FUNCTION_RESPONSE.decode(functionBlock, QUERY_FUNCTION_REQUEST.size);

  const groupBlock = clpBlock(CLP.QUERY_GROUP, QUERY_GROUP_RESPONSE.size);
  QUERY_GROUP_REQUEST.encode({ pfgid: fn.pfgid }, groupBlock);
  clp(processor.partition, groupBlock);
  const group = QUERY_GROUP_RESPONSE.decode(groupBlock, QUERY_GROUP_REQUEST.size);

  const words = new DataView(fn.bars.buffer, fn.bars.byteOffset);
  return {
    fid: fn.fid,
    uid: fn.uid,
    pchid: fn.pchid,
    vfn: fn.vfn,
    pft: fn.pft,
    pfgid: fn.pfgid,
    port: fn.port & 0xf,
    startDma: fn.sdma,
    endDma: fn.edma,
    pfip: fn.pfip,
    utilityString: (fn.flags & 1) !== 0 ? fn.utilityString : undefined,
    fmbLength: fn.fmbWords * 4,
    bars: [...fn.barExponents].map((exponent, bar) => {
      const flags = words.getUint32(bar * 4, true);
      return {
        size: exponent === 0 ? 0 : 2 ** exponent,
        is64: (flags & 4) !== 0,
        prefetch: (flags & 8) !== 0,
      };
    }),
    maxstbl: group.maxstbl & 0x1fff,
    noi: group.noi & 0xfff,
    mui: group.mui,
    version: group.version,
    dasm: group.dasm,
    msia: group.msia,
  };
}

/** A function as List PCI tells it. */
export interface ListEntry {
  readonly fid: number;
  readonly fh: number;
  /** False: in standby. */
  readonly configured: boolean;
  readonly vendorId: number;
  readonly deviceId: number;
}

/** All functions that are not reserved, with their handles, from List PCI (arch/s390/pci/pci_clp.c: clp_list_pci). */
export function listEntries(partition: Partition): readonly ListEntry[] {
  const entries: ListEntry[] = [];
  let resumeToken = 0;
  do {
    const block = clpBlock(CLP.LIST_PCI, CLP_BLOCK_BYTES - LIST_REQUEST.size);
    LIST_REQUEST.encode({ resumeToken }, block);
    clp(partition, block);
    const end = LIST_REQUEST.size + CLP_HEADER.decode(block, LIST_REQUEST.size).length;
    for (let at = LIST_REQUEST.size + LIST_RESPONSE.size; at < end; at += LIST_ENTRY.size) {
      const { vendorId, deviceId, configured, fid, fh } = LIST_ENTRY.decode(block, at);
      if (vendorId === 0) continue;
      entries.push({ fid, fh, configured: configured === HANDLE_ENABLED, vendorId, deviceId });
    }
    resumeToken = LIST_RESPONSE.decode(block, LIST_REQUEST.size).resumeToken;
  } while (resumeToken !== 0);
  return entries;
}

/** The handle that List PCI tells of a function; undefined unless it is configured. */
export function listedHandle(partition: Partition, fid: number): number | undefined {
  const fn = listEntries(partition).find((entry) => entry.fid === fid);
  return fn?.configured === true ? fn.fh : undefined;
}

/**
 * Set PCI Function. To disable one that is disabled already, of which the kernel only did not know, counts as done
 * (arch/s390/pci/pci_clp.c: clp_set_pci_fn).
 *
 * @returns the handle from now on @throws {ErrnoError} EIO
 */
export function setFunction(
  partition: Partition,
  { fid, fh, operation, dmaSpaces }: {
    readonly fid: number;
    readonly fh: number;
    readonly operation: number;
    readonly dmaSpaces: number;
  },
): number {
  const block = clpBlock(CLP.SET_FUNCTION, SET_FUNCTION_RESPONSE.size);
  SET_FUNCTION_REQUEST.encode({ fh, operation, dmaSpaces }, block);
  clp(partition, block);
  const response = CLP_HEADER.decode(block, SET_FUNCTION_REQUEST.size).code;
  if (response === CLP_RESPONSE.ALREADY_IN_STATE && operation === SET_FUNCTION.DISABLE) {
    return listedHandle(partition, fid) ?? fh;
  }
  if (response !== CLP_RESPONSE.OK) {
    throw new ErrnoError("EIO", {
      layer: "instruction",
      ref: "zpci.clp.responses",
      rule: "set PCI function",
      source: "arch/s390/pci/pci_clp.c: clp_set_pci_fn",
      message: `Set PCI Function answered response code ${hex(response, 4)}`,
    });
  }
  const { fh: now } = SET_FUNCTION_RESPONSE.decode(block, SET_FUNCTION_REQUEST.size);
  return now === 0 ? fh : now;
}
