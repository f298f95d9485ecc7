/** Runs the program and says what is left of the permissions for FFI and for starting programs. */
import { main } from "../../cmd/main.ts";

const code = await main(Deno.args);
const [ffi, run] = (["ffi", "run"] as const).map((name) => Deno.permissions.querySync({ name }).state);
console.log(`ffi: ${ffi}, run: ${run}`);
Deno.exit(code);
