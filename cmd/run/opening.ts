/** Opening a function for a command that acts on an open one. */
import type { Host, HostFunction } from "../../lib/host/host.ts";
import type { AnyCommand } from "../language/command.ts";
import { TraceCollector } from "../output/trace/collector.ts";

/** The command acts on an open function, which is opened for it. */
export function opensFunction({ access, group }: AnyCommand): boolean {
  return access === "write" && (group === "access" || group === "ism");
}

/**
 * Opens the function before a command whose trace people read: what opening it takes is one line then, and not a
 * hundred. `open --trace` shows it all.
 */
export function openFirst({ driver }: HostFunction, host: Host, trace: TraceCollector): void {
  if (driver.isOpen) return;
  const opening = new TraceCollector();
  host.tracer.sink = opening.on(host);
  try {
    void driver.descriptor;
    trace.note(
      `opens the function: ${opening.count("syscall")} system calls, ${opening.count("insn")} instructions`,
    );
  } finally {
    host.tracer.sink = undefined;
  }
}
