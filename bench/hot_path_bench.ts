/** `deno task bench`: the hot paths. Timings vary from machine to machine; compare within one run. */
import { scenarios } from "./scenarios.ts";

for (const { name, run } of scenarios()) Deno.bench(name, run);
