/** A program whose simulated kernel has gone, with the process that had the host: its devices are no more. */
import { ARCHITECTURES, type CallName } from "./calls.ts";
import type { DescriptorRange } from "./filter.ts";
import { Listener } from "./listener.ts";
import type { Answering } from "./loop.ts";

const ENODEV = -19;
/** What goes on with a descriptor of a device that is no more. */
const GOES_ON: ReadonlySet<CallName> = new Set<CallName>([
  "close",
  "fcntl",
  "dup",
  "dup2",
  "dup3",
  "fstat",
  "epoll_ctl",
]);

/**
 * Answers its calls: ENODEV on descriptors of simulated files, everything else is the real machine's.
 *
 * @param held the call that whoever answered before has taken last; it is answered at once if that was not
 */
export function abandoned(fd: number, range: DescriptorRange, held: Uint8Array<ArrayBuffer>): Answering {
  const listener = new Listener(fd, held);
  const refused = new Set<number>();
  for (const { name, number, trigger } of ARCHITECTURES[Deno.build.arch].calls) {
    if (trigger !== "always" && !GOES_ON.has(name)) refused.add(number);
  }
  const answer = () => {
    // Where every number may be a simulated file nobody knows any more which are; theirs are at their end.
    if (range.first > 0 && refused.has(listener.call)) listener.answer(ENODEV);
    else listener.proceed();
  };
  if (listener.holdsCall) answer();
  return {
    listener,
    answer,
    look() {},
    end() {
      listener.close();
    },
  };
}
