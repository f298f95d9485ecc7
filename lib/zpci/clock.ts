/**
 * The machine's clock. It is simulated: it starts where the topology says and moves only when something happens,
 * so that the same script on the same host gives the same bytes.
 */
export class Clock {
  // A field would get a new heap number with every instruction; an array element is changed in place.
  readonly #now = new Float64Array(1);

  constructor(microseconds: number) {
    this.#now[0] = microseconds;
  }

  /** Microseconds since 1900-01-01T00:00:00Z. */
  get microseconds(): number {
    return this.#now[0]!;
  }

  set microseconds(microseconds: number) {
    this.#now[0] = microseconds;
  }

  /** Lets time pass. Microseconds. */
  advance(microseconds: number): void {
    this.#now[0] = this.#now[0]! + microseconds;
  }

  /** The TOD clock value: microseconds since 1900 times 4096 (z/Architecture: bit 51 is one microsecond). */
  get tod(): bigint {
    return BigInt(this.microseconds) * 4096n;
  }
}

const UNIX_EPOCH_SINCE_1900_MS = 2_208_988_800_000;

/** Whole microseconds since 1900 for an ISO date and time; NaN if the text is no date. */
export function microsecondsSince1900(iso: string): number {
  return (Date.parse(iso) + UNIX_EPOCH_SINCE_1900_MS) * 1000;
}
