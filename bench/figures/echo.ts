/** The floor of a dialogue: answers each line of standard input with that line, read and written as the shell does. */
const bytes = new Uint8Array(64 * 1024);
for (;;) {
  const length = Deno.stdin.readSync(bytes) ?? 0;
  if (length === 0) break;
  for (let done = 0; done < length;) done += Deno.stdout.writeSync(bytes.subarray(done, length));
}
