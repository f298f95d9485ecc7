/** `ism`: a mainframe in a terminal for people who write user-space drivers. */
import { end, main } from "./cmd/main.ts";

end(await main(Deno.args));
