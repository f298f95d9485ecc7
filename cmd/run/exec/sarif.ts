/** Findings as SARIF 2.1.0 (OASIS), which code hosts show beside the source. */
import { type FindingName, FINDINGS } from "../../../lib/exec/audit/findings.ts";
import type { Finding } from "../../../lib/exec/audit/findings_of.ts";

const SCHEMA = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json";

/** A SARIF log with one run. `version` is that of the program. */
export function sarif(findings: readonly Finding[], version: string) {
  const names = Object.keys(FINDINGS) as FindingName[];
  const rules = names.map((id) => {
    const { level, rule, title, advice } = FINDINGS[id];
    return {
      id,
      shortDescription: { text: `${title}.` },
      help: { text: `To do: ${advice}. "ism help ${rule}" tells the rule.` },
      defaultConfiguration: { level },
      properties: { rule },
    };
  });
  return {
    $schema: SCHEMA,
    version: "2.1.0" as const,
    runs: [{
      tool: { driver: { name: "ism", version, rules } },
      results: findings.map((finding) => resultOf(finding, names)),
    }],
  };
}

function resultOf(finding: Finding, names: readonly FindingName[]) {
  const { level, message, advice, call, number, process, file, line, times } = finding;
  return {
    ruleId: finding.finding,
    ruleIndex: names.indexOf(finding.finding),
    level,
    message: { text: `${message}. To do: ${advice}.` },
    occurrenceCount: times,
    locations: [{
      ...(file === null || line === null ? {} : {
        physicalLocation: { artifactLocation: { uri: uriOf(file) }, region: { startLine: line } },
      }),
      ...(finding.function === null ? {} : {
        logicalLocations: [{ name: finding.function, kind: "function" }],
      }),
      message: { text: `call ${number}, ${call}, of process ${process}` },
    }],
    properties: { call, number, process, rule: finding.rule },
  };
}

/** A file as a URI; a path that is not absolute is relative to whatever the reader takes for the root. */
function uriOf(path: string): string {
  const escaped = path.split("/").map(encodeURIComponent).join("/");
  return path.startsWith("/") ? `file://${escaped}` : escaped;
}
