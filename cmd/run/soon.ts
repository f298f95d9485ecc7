/** Values that are there at once, as nearly all are, or later: to wait for a value that is there would cost a turn. */

/** A value, or the promise of one. */
export type Soon<Of> = Of | Promise<Of>;

/** Goes on with a value as soon as it is there. */
export function then<From, To>(value: Soon<From>, next: (value: From) => Soon<To>): Soon<To> {
  return value instanceof Promise ? value.then(next) : next(value);
}

/** Does something last, whatever comes of the work. */
export function lastly<Of>(work: () => Soon<Of>, last: () => void): Soon<Of> {
  let value: Soon<Of>;
  try {
    value = work();
  } catch (error) {
    last();
    throw error;
  }
  if (value instanceof Promise) return value.finally(last);
  last();
  return value;
}
