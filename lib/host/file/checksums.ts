/** Checksums of rows, and what of a host has to be stored once more. */
import { crc32 } from "../../base/crc32.ts";
import { PAGE_SIZE } from "../../zpci/storage.ts";
import { HostFileError } from "./host_path.ts";
import { FORMAT } from "../state/migrations.ts";
import type { Host } from "../host.ts";

/** Key of the row that tells what all other rows add up to. */
export const MANIFEST = "manifest";

/** What all rows of a host file add up to, so that a lost row shows. */
export interface Manifest {
  /** Format that the file was created with; files of format 1 do not say. */
  readonly created?: number;
  readonly states: number;
  readonly pages: number;
  /** All checksums of pages, combined by exclusive or. */
  readonly pageSum: number;
}

/** Of a file without rows. */
export const EMPTY: Manifest = { created: FORMAT, states: 0, pages: 0, pageSum: 0 };

/** A page of a guest's memory as it is stored. */
export interface StoredPage {
  readonly guest: number;
  readonly address: number;
  readonly data: Uint8Array;
}

/** Pages that a copy has changed are stored from it, and once more from the host itself. */
export function markChanged(host: Host, copy: Host): void {
  for (const { index, partition: { storage } } of copy.guests) {
    for (const buffer of storage.buffers) {
      for (const offset of buffer.dirtyPages()) {
        const own = host.guests[index]!.partition.storage.find(buffer.address + offset, PAGE_SIZE);
        own?.touch(buffer.address + offset - own.address, PAGE_SIZE, true);
      }
    }
  }
}

/** Checksum of a state row. */
export function checksum(key: string, json: string): number {
  return crc32(json, crc32(key));
}

/** Checksum of a page, its place included. */
export function pageChecksum(guest: number, address: number, data: Uint8Array): number {
  return crc32(data, crc32(`${guest}:${address}`));
}

/** What is wrong with the pages of a host file, which add up to what was stored if nothing is. */
export function pageDamages(
  all: Iterable<StoredPage>,
  stored: Manifest,
  progress: (pages: number) => void = () => {},
): string[] {
  let pages = 0;
  let sum = 0;
  try {
    for (const { guest, address, data } of all) {
      progress(++pages);
      sum ^= pageChecksum(guest, address, data);
    }
  } catch (error) {
    if (!(error instanceof HostFileError)) throw error;
    return [error.message];
  }
  if (pages === stored.pages && sum >>> 0 === stored.pageSum) return [];
  return [`Memory pages are missing or surplus: ${pages} are there, ${stored.pages} were stored`];
}
