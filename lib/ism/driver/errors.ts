/** What the driver process itself ends a step with. */
import { retText } from "../protocol.ts";

/** A driver cannot work with what the kernel offers; no errno, because no call failed. */
export class DriverError extends Error {
  override readonly name = "DriverError";
}

/** A command that the device refused. */
export class CommandError extends Error {
  override readonly name = "CommandError";

  constructor(readonly command: string, readonly ret: number) {
    super(`${command} answered 0x${ret.toString(16).padStart(4, "0")}: ${retText(ret)}`);
  }
}
