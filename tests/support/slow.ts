/** The tests run on a machine that is emulated, as tests/machines/run.sh says: 10 to 100 times as slow as a processor. */
export const SLOW = Deno.env.get("ISM_SLOW") !== undefined;
