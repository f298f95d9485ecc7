/** What an audit found, with everything that people and programs want to know of it. */
import type { Auditor } from "./auditor.ts";
import { type FindingName, FINDINGS } from "./findings.ts";
import { SourceLines } from "./lines.ts";

/** A finding as it is told. */
export interface Finding {
  readonly finding: FindingName;
  readonly level: "error" | "warning";
  readonly rule: string;
  /** What was seen, the first time. */
  readonly message: string;
  readonly advice: string;
  readonly call: string;
  /** Which of the program's calls that was. */
  readonly number: number;
  readonly process: number;
  /** Null where symbols do not tell. */
  readonly function: string | null;
  readonly file: string | null;
  readonly line: number | null;
  readonly times: number;
}

/** The findings of a run, with their source lines; those of one line are one. */
export function findingsOf({ found }: Auditor): Finding[] {
  const lines = new SourceLines(found.map(({ site }) => site));
  const byLine = new Map<string, Finding>();
  for (const { finding, message, call, number, process, site, times } of found) {
    const { level, rule, advice } = FINDINGS[finding];
    const at = lines.of(site);
    const place = { function: at?.function ?? null, file: at?.file ?? null, line: at?.line ?? null };
    const what = finding === "left-registered" ? message : "";
    const key = [finding, what, call, process, place.file, place.line].join(" ");
    const before = byLine.get(key);
    const told = before ?? { finding, level, rule, message, advice, call, number, process, ...place };
    byLine.set(key, { ...told, times: (before?.times ?? 0) + times });
  }
  return [...byLine.values()];
}
