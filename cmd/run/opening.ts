/** Opening a function for a command that acts on an open one. */
import { TRACE_LAYERS, type Tracer } from "../../lib/base/trace.ts";
import type { HostFunction } from "../../lib/host/host.ts";
import type { AnyCommand } from "../language/command.ts";
import { TraceCollector } from "../output/trace/view.ts";

/** The command acts on an open function, which is opened for it. */
export function opensFunction({ access, group }: AnyCommand): boolean {
  return access === "write" && (group === "access" || group === "ism");
}

/**
 * Opens the function before a command whose trace people read: what opening it takes is one line then, and not a
 * hundred. `open --trace` shows it all.
 */
export function openFirst({ driver }: HostFunction, tracer: Tracer, trace: TraceCollector): void {
  if (driver.isOpen) return;
  const opening = new TraceCollector(TRACE_LAYERS);
  tracer.sink = opening;
  try {
    void driver.descriptor;
    trace.note(
      `opens the function: ${opening.count("syscall")} system calls, ${opening.count("insn")} instructions`,
    );
  } finally {
    tracer.sink = undefined;
  }
}
