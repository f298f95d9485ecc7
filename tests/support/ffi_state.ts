/** Runs the program and says what is left of the permission for FFI. */
import { main } from "../../cmd/main.ts";

const code = await main(Deno.args);
console.log(`ffi: ${Deno.permissions.querySync({ name: "ffi" }).state}`);
Deno.exit(code);
