/** What a {@linkcode UsageError} may add to its sentence. */
export interface UsageDetail {
  /** The offending word as it was typed, for the caret of a diagnostic. */
  readonly token?: string | undefined;
  /** What to do instead, shown below the sentence where there is room. */
  readonly hint?: string | undefined;
}

/** The user asked for something that cannot be understood: exit code 2. */
export class UsageError extends Error {
  override readonly name: string = "UsageError";
  /** The offending word as it was typed, if one word is to blame. */
  readonly token: string | undefined;
  /** What to do instead, where that is known. */
  readonly hint: string | undefined;
  /** The command whose line it was, once that is known. */
  command: string | undefined = undefined;

  constructor(message: string, { token, hint }: UsageDetail = {}) {
    super(message);
    this.token = token;
    this.hint = hint;
  }
}

/** A file could not be used: exit code 4. */
export class FileError extends Error {
  override readonly name: string = "FileError";
  /** The file as the user named it. */
  readonly path: string;

  constructor(path: string, message: string, options?: ErrorOptions) {
    super(message, options);
    this.path = path;
  }
}

/** A position in a text file; lines and columns count from 1, columns in UTF-16 units as editors do. */
export interface Place {
  readonly file: string;
  readonly line: number;
  readonly column: number;
}

/** A usage error in a script: what is wrong, and where. */
export class PlacedError extends UsageError {
  override readonly name: string = "PlacedError";
  /** Where the mistake is. */
  readonly place: Place;
  /** The physical line that `place` points into. */
  readonly source: string;
  /** The same error without a place. */
  override readonly cause: UsageError;
  /** Mistakes further down in the same text. */
  readonly others: readonly PlacedError[];

  constructor(place: Place, source: string, cause: UsageError, others: readonly PlacedError[] = []) {
    super(cause.message, { token: cause.token, hint: cause.hint });
    this.place = place;
    this.source = source;
    this.cause = cause;
    this.others = others;
  }

  /** The same, with the mistakes behind it. */
  and(others: readonly PlacedError[]): PlacedError {
    return new PlacedError(this.place, this.source, this.cause, others);
  }
}
