/** SHA-256 of what comes piece by piece. Its module takes as long to load as a whole command, so only transfers load it. */
import type { Hash } from "node:crypto";

/** A hash of nothing so far. */
export async function newSha256(): Promise<Hash> {
  const { createHash } = await import("node:crypto");
  return createHash("sha256");
}
