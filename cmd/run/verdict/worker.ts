/** Workers that run scripts. */

/** Their name: the program that finds itself in one of that name runs scripts for another. */
export const WORKER = "ism scripts";

/** True in a worker that was made to run scripts. */
export function isWorker(): boolean {
  return (globalThis as { readonly name?: unknown }).name === WORKER;
}
