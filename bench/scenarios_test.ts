/** Each benchmark runs once, so that none of them rots. */
import { scenarios } from "./scenarios.ts";

for (const { name, run } of scenarios()) Deno.test(`bench "${name}" runs`, run);
