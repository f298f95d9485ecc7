/** `ism`: a mainframe in a terminal for people who write user-space drivers. */
import { main } from "./cmd/main.ts";

Deno.exit(await main(Deno.args));
