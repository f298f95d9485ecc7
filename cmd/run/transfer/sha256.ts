/** Sums of what a transfer moves. Their modules take as long to load as a whole command, so only transfers load them. */
import type { Hash } from "node:crypto";
import { useEngineCrc32 } from "../../../lib/base/crc32.ts";

/** A hash of nothing so far. */
export async function newSha256(): Promise<Hash> {
  const { createHash } = await import("node:crypto");
  return createHash("sha256");
}

/** Has checksums of memory made by the engine. */
export async function loadCrc32(): Promise<void> {
  const { crc32 } = await import("node:zlib");
  useEngineCrc32(crc32);
}
