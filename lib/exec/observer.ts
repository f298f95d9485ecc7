/** Somebody who looks at the calls of a program while they are answered, and changes nothing. */
import type { Call } from "./call.ts";
import type { CallName } from "./calls.ts";

/** Told of each call that the supervisor answers. */
export interface Observer {
  /** A call is about to be carried out. */
  before(name: CallName, call: Call): void;
  /** It was carried out, and the program waits for its answer: its value, a negative error number, or PROCEED. */
  after(name: CallName, call: Call, value: number): void;
  /** Everybody has ended, and what was open is closed. */
  end(): void;
}
