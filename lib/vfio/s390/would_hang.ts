/** A call that the real kernel would never come back from. */
export class WouldHangError extends Error {
  override readonly name = "WouldHangError";
}
