/** What keeps a host from being made. */

/** A topology that cannot be a host. */
export class TopologyError extends Error {
  override readonly name = "TopologyError";
}

/** A saved host lacks a piece. */
export class MissingStateError extends Error {
  override readonly name = "MissingStateError";
}
