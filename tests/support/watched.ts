/** Processes of the program whose standard output is looked at on its way to the test. */
import { checkDocuments } from "./schemas.ts";

/** The same process; what a test reads of its standard output, as a stream or as a whole, is checked. */
export function watched(child: Deno.ChildProcess): Deno.ChildProcess {
  const output = child.output.bind(child);
  let stream: ReadableStream<Uint8Array<ArrayBuffer>> | undefined;
  return Object.defineProperties(child, {
    output: {
      value: async () => {
        const all = await output();
        await checkDocuments(new TextDecoder().decode(all.stdout));
        return all;
      },
    },
    stdout: {
      // The stream that stands behind is the getter's of the class.
      get: () => stream ??= checked(Reflect.get(Object.getPrototypeOf(child), "stdout", child)),
    },
  });
}

/** Hands bytes on once the lines that end in them are seen to be right. */
function checked(source: ReadableStream<Uint8Array<ArrayBuffer>>): ReadableStream<Uint8Array<ArrayBuffer>> {
  const decoder = new TextDecoder();
  let line = "";
  return source.pipeThrough(
    new TransformStream({
      async transform(bytes, controller) {
        line += decoder.decode(bytes, { stream: true });
        const end = line.lastIndexOf("\n") + 1;
        await checkDocuments(line.slice(0, end));
        line = line.slice(end);
        controller.enqueue(bytes);
      },
    }),
  );
}
