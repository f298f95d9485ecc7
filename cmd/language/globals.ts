/** The options that go with any command. */
import { type Flag, flag, optional, type Parameter } from "./command.ts";
import { choice, DEVICE, FILE, OUTPUT, text } from "./kinds.ts";
import { TRACE_LAYERS } from "../../lib/base/trace.ts";
import { TRACE_FILTER } from "./trace_filter.ts";

/** Every global option by its key. */
export const GLOBAL_OPTIONS = {
  host: optional(FILE, "the host file; :memory: for one that lives as long as the process"),
  device: optional(DEVICE, "which function acts: 0, 0001:00:00.0, fid:0x10 or uid:1", "d"),
  json: flag("one JSON document per command on stdout, also on failure"),
  raw: flag("bytes only, where a command yields bytes"),
  trace: optional(
    TRACE_FILTER,
    "show system calls, instructions, device events and interrupts: syscall,insn:PCISTB,guest:0,!irq",
  ),
  traceFile: optional(
    OUTPUT,
    "write the trace, by the ending: .html, .svg, .jsonl, .txt; any other is .json for Perfetto",
  ),
  dryRun: flag("show what would be issued, down to the instructions; change nothing", "n"),
  c: optional(text("LINE"), "run LINE as a script line; repeatable", "c"),
  keepGoing: flag("in scripts: go on after a failure"),
  commitEach: flag("in scripts: commit after each line"),
  quiet: flag("print no results", "q"),
  verbose: flag("say who refused, and why", "v"),
  color: optional(choice("WHEN", ["auto", "always", "never"]), "colours: auto, always or never"),
  help: flag("help on the command", "h"),
  version: flag("the version", "V"),
} as const satisfies Record<string, Parameter<unknown> | Flag>;

export type GlobalName = keyof typeof GLOBAL_OPTIONS;

/** Global options that a script line may have; the others belong before the script. */
export const LINE_OPTIONS: readonly GlobalName[] = ["device", "trace", "raw", "verbose", "quiet", "help"];

/** Options whose value may be left out, with what stands for it: globals, and `--audit` of exec. */
export const VALUE_OPTIONAL: Readonly<Partial<Record<GlobalName | "audit", string>>> = {
  trace: TRACE_LAYERS.join(","),
  audit: "-",
};
