/**
 * The journal of a transaction: what it changed, so that a commit stores that and nothing else, and a rollback undoes
 * that and nothing else. Neither looks at what was left alone, however much there is.
 *
 * Objects that are part of a host's state say so *before* they change: a {@linkcode Kept} object by `touch()`, which
 * remembers its fields the first time; a {@linkcode KeptMap}, or a sorted list by {@linkcode Changes}, by noting the
 * member that a key had before. Both put back what was there before, not the inverse of each step, so that the order
 * does not matter and a long transaction remembers each thing once. While no transaction is open nothing is remembered.
 */

/**
 * Takes a row of the saved state as it is now; undefined for one that is gone. With `id` it is a member of the list
 * `key`, which is read only when somebody looks at the list.
 */
export type PutRow = (key: string, value: unknown, id?: number) => void;

/** Whatever has rows in the saved state. */
export interface Rows {
  writeRows(put: PutRow): void;
}

/** What a transaction has changed. */
export interface Changed {
  /** Whose rows tell of it; undefined if none do. */
  readonly rows: Rows | undefined;
  /** It stays as it is now. */
  settle(): void;
  /** It becomes what it was when the transaction began. */
  revert(): void;
}

/** All changes of the transaction that is open. */
export class Journal {
  #changed: Changed[] = [];
  #isOpen = false;

  /** A transaction is open. */
  get isOpen(): boolean {
    return this.#isOpen;
  }

  /** Begins a transaction. */
  open(): void {
    this.#isOpen = true;
  }

  /** Something changes for the first time in this transaction. */
  add(changed: Changed): void {
    this.#changed.push(changed);
  }

  /** The rows of everything that changed, each once or more. Work that this causes may change more. */
  writeRows(put: PutRow): void {
    const written = new Set<Rows>();
    for (const { rows } of this.#changed) {
      if (rows === undefined || written.has(rows)) continue;
      written.add(rows);
      rows.writeRows(put);
    }
  }

  /** Everything that changed, for those who store it in another way than by rows. */
  get changed(): readonly Changed[] {
    return this.#changed;
  }

  /** Ends the transaction; its changes stay. */
  settle(): void {
    this.#isOpen = false;
    for (const each of this.#changed.splice(0)) each.settle();
  }

  /** Ends the transaction; its changes are undone. */
  revert(): void {
    this.#isOpen = false;
    for (const each of this.#changed.splice(0)) each.revert();
  }
}

/** An object that remembers its fields before it changes. */
export abstract class Kept implements Changed {
  readonly journal: Journal;
  #before: (() => void) | undefined = undefined;

  constructor(journal: Journal) {
    this.journal = journal;
  }

  /** Says that the object is about to change. */
  touch(): void {
    if (this.#before !== undefined || !this.journal.isOpen) return;
    this.#before = this.remember();
    this.journal.add(this);
  }

  /** Whose rows tell of the object; undefined if none do. */
  abstract get rows(): Rows | undefined;

  /** What puts all fields back as they are now. */
  protected abstract remember(): () => void;

  settle(): void {
    this.#before = undefined;
  }

  revert(): void {
    this.#before?.();
    this.#before = undefined;
  }
}

/** What changes in a collection whose members have a number each: for each number what was there before. */
export class Changes<Value> implements Changed {
  readonly #journal: Journal;
  readonly #put: (key: number, value: Value | undefined) => void;
  readonly #before = new Map<number, Value | undefined>();
  readonly rows: Rows | undefined;

  /**
   * @param put puts a member back, or takes it away
   * @param write writes the row of a member that was added, replaced or taken away; nothing if there are no rows
   */
  constructor(
    journal: Journal,
    put: (key: number, value: Value | undefined) => void,
    write?: (put: PutRow, key: number) => void,
  ) {
    this.#journal = journal;
    this.#put = put;
    this.rows = write === undefined ? undefined : {
      writeRows: (row) => {
        for (const key of this.#before.keys()) write(row, key);
      },
    };
  }

  /** Says that the member with a number is about to change; `before` is what is there. */
  note(key: number, before: Value | undefined): void {
    if (!this.#journal.isOpen) return;
    if (this.#before.size === 0) this.#journal.add(this);
    if (!this.#before.has(key)) this.#before.set(key, before);
  }

  /** The numbers that changed, and what was there before. */
  get before(): ReadonlyMap<number, Value | undefined> {
    return this.#before;
  }

  settle(): void {
    this.#before.clear();
  }

  revert(): void {
    for (const [key, value] of this.#before) this.#put(key, value);
    this.#before.clear();
  }
}

/** A map by number that notes what changes in it. */
export class KeptMap<Value> extends Map<number, Value> {
  readonly #changes: Changes<Value>;

  /** `write` writes the row of a member; undefined for one that is gone. */
  constructor(journal: Journal, write?: (put: PutRow, key: number, value: Value | undefined) => void) {
    super();
    this.#changes = new Changes<Value>(
      journal,
      (key, value) => value === undefined ? super.delete(key) : super.set(key, value),
      write === undefined ? undefined : (put, key) => write(put, key, this.get(key)),
    );
  }

  override set(key: number, value: Value): this {
    this.#changes.note(key, this.get(key));
    return super.set(key, value);
  }

  override delete(key: number): boolean {
    if (!this.has(key)) return false;
    this.#changes.note(key, this.get(key));
    return super.delete(key);
  }

  override clear(): void {
    for (const key of [...this.keys()]) this.delete(key);
  }
}

/** Puts the members of a set back as they were. */
export function refill<Of>(set: Set<Of>, members: readonly Of[]): void {
  set.clear();
  for (const each of members) set.add(each);
}
