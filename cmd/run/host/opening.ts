/** Opening a function for a command that acts on an open one. */
import type { TraceEvent, TraceSink } from "../../../lib/base/trace.ts";
import type { Host, HostFunction } from "../../../lib/host/host.ts";
import type { AnyCommand } from "../../language/command.ts";
import type { TraceCollector } from "../../output/trace/collector.ts";

/** The command acts on an open function, which is opened for it. */
export function opensFunction({ access, group }: AnyCommand): boolean {
  return access === "write" && (group === "access" || group === "ism");
}

/** How much happens, and not what. */
class Count implements TraceSink {
  syscall = 0;
  insn = 0;
  device = 0;
  irq = 0;

  enter({ layer }: TraceEvent): void {
    this[layer]++;
  }

  leave(): void {}
}

/**
 * Opens the function before a command whose trace people read: what opening it takes is one line then, and not a
 * hundred. `open --trace` shows it all.
 */
export function openFirst({ driver }: HostFunction, host: Host, trace: TraceCollector): void {
  if (driver.isOpen) return;
  const count = new Count();
  host.tracer.sink = count;
  try {
    void driver.descriptor;
    trace.note(`opens the function: ${count.syscall} system calls, ${count.insn} instructions`);
  } finally {
    host.tracer.sink = undefined;
  }
}
