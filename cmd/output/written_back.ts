/** A refused ioctl that wrote into its argument all the same, as some do to say how much room they need. */
import { ErrnoError } from "../../lib/vfio/errno.ts";

/** The argument behind the call. */
export interface WrittenBack {
  readonly fields: Readonly<Record<string, string>>;
  readonly data: string;
}

/** The refusal, and what the kernel wrote. */
export class WrittenBackError extends ErrnoError {
  readonly written: WrittenBack;

  constructor({ code, layer, ref, rule, source, message, hint }: ErrnoError, written: WrittenBack) {
    super(code, { layer, ref, rule, source, message, hint });
    this.written = written;
  }
}
