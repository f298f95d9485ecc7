/** The floor of a script: reads a file and cuts its lines into words. */
let words = 0;
for (const line of Deno.readTextFileSync(Deno.args[0]!).split("\n")) words += line.split(" ").length;
if (words === 0) Deno.exit(1);
