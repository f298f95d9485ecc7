/** Lets time pass where a start is short of it. */

/**
 * Lets time pass; nothing waits for the end of it but the caller, the end of the process neither. Not setTimeout(), which
 * loads a module of Node: a quarter of a start of Deno.
 */
export async function pause(milliseconds: number): Promise<void> {
  const never = new Int32Array(new SharedArrayBuffer(Int32Array.BYTES_PER_ELEMENT));
  await Atomics.waitAsync(never, 0, 0, milliseconds).value;
}
