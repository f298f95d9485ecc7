/** What SET_IRQS gives on an ISM function, from vfio.setirqs.order alone. Imports nothing from lib. */

/** Header fields, then what lies behind them: bytes for BOOL, descriptors for EVENTFD. */
export interface SetIrqs {
  readonly argsz: number;
  readonly flags: number;
  readonly index: number;
  readonly start: number;
  readonly count: number;
  readonly data: readonly number[];
}

const [NONE, BOOL, EVENTFD, TRIGGER] = [1, 2, 4, 32];
const MSI = 1;
/** Vectors by index: INTx, MSI, MSI-X, ERR from 7.3 on, REQ (vfio.irqinfo.table). */
const VECTORS = (err: number) => [0, 1, 0, err, 1];
const isOne = (bits: number) => bits !== 0 && (bits & (bits - 1)) === 0;

/** Eventfds and which interrupt each is wired to. */
export class IrqModel {
  readonly counters: Map<number, number>;
  /** The one vector while MSI is on; what it is wired to, or nothing. */
  msi: { fd: number | undefined } | undefined;
  /** What ERR and REQ are wired to, by index. */
  readonly single = new Map<number, number>();

  /** `files` are descriptors that are open and no eventfds. */
  constructor(eventfds: readonly number[], readonly files: readonly number[], readonly hasErr = true) {
    this.counters = new Map(eventfds.map((fd) => [fd, 0]));
  }

  set({ argsz, flags, index, start, count, data }: SetIrqs): number | string {
    const n = VECTORS(this.hasErr ? 1 : 0)[index];
    if (argsz < 20 || n === undefined || count >= 2 ** 32 - 1 - start || flags > 63) return "EINVAL";
    if (start >= n || start + count > n || !isOne(flags & 7)) return "EINVAL";
    const type = flags & 7;
    const size = count * (type === EVENTFD ? 4 : type === BOOL ? 1 : 0);
    if (argsz - 20 < size) return "EINVAL";
    // One vector: with EVENTFD a datum is a descriptor of 4 bytes, with BOOL it is a byte.
    if (size > 0 && data.length === 0) return "EFAULT";
    if ((flags & 56) !== TRIGGER) return "ENOTTY"; // MASK and UNMASK exist for neither index
    return index === MSI
      ? this.#setMsi(type, count, data[0]!)
      : this.#setSingle(index, type, count, data[0]!);
  }

  #setMsi(type: number, count: number, datum: number): number | string {
    if (type !== EVENTFD) {
      if (this.msi === undefined) return "EINVAL";
      if (type === NONE && count === 0) this.msi = undefined;
      else if (count === 1 && (type === NONE || datum !== 0)) this.#signal(this.msi.fd);
      return 0;
    }
    if (this.msi === undefined && count === 0) return "ERANGE";
    if (count === 0) return 0;
    const refused = this.#refused(datum);
    // A descriptor that fails takes the call's vectors with it, and MSI if this call had switched it on.
    if (refused !== undefined) this.msi &&= { fd: undefined };
    else this.msi = { fd: datum < 0 ? undefined : datum };
    return refused ?? 0;
  }

  #setSingle(index: number, type: number, count: number, datum: number): number | string {
    if (type === NONE) {
      if (!this.single.has(index)) return "EINVAL";
      if (count === 1) this.#signal(this.single.get(index));
      else this.single.delete(index);
      return 0;
    }
    if (count === 0) return "EINVAL";
    if (type === BOOL) {
      if (datum !== 0) this.#signal(this.single.get(index));
      return 0;
    }
    if (datum < -1) return "EINVAL";
    const refused = this.#refused(datum);
    if (refused !== undefined) return refused;
    if (datum < 0) this.single.delete(index);
    else this.single.set(index, datum);
    return 0;
  }

  #refused(fd: number): string | undefined {
    if (fd < 0 || this.counters.has(fd)) return undefined;
    return this.files.includes(fd) ? "EINVAL" : "EBADF";
  }

  #signal(fd: number | undefined): void {
    if (fd !== undefined) this.counters.set(fd, this.counters.get(fd)! + 1);
  }

  /** What a read of an eventfd takes. */
  take(fd: number): number {
    const count = this.counters.get(fd)!;
    this.counters.set(fd, 0);
    return count;
  }
}
