/** The floor of a dialogue: answers each line of standard input with that line. */
const decoder = new TextDecoder();
const encoder = new TextEncoder();
let rest = "";
for await (const chunk of Deno.stdin.readable) {
  rest += decoder.decode(chunk, { stream: true });
  const end = rest.lastIndexOf("\n") + 1;
  if (end === 0) continue;
  const bytes = encoder.encode(rest.slice(0, end));
  rest = rest.slice(end);
  for (let done = 0; done < bytes.length;) done += Deno.stdout.writeSync(bytes.subarray(done));
}
