/** `exec --audit`: begins an audit, and tells what it found. Loaded where it is asked for alone. */
import { Auditor } from "../../lib/exec/audit/auditor.ts";
import { type Finding, findingsOf } from "../../lib/exec/audit/findings_of.ts";
import { AuditTap } from "../../lib/exec/audit/tap.ts";
import { VERSION } from "../help/help.ts";
import { plural } from "../output/units.ts";
import { sarif } from "./sarif.ts";
import type { Terminal } from "../output/terminal.ts";
import { checkOutput, writeText } from "../run/files.ts";

/** The word for standard error, as text. */
const MESSAGES = "-";

/** An audit of one run. */
export class Audit {
  readonly #auditor = new Auditor();
  readonly #file: string;
  readonly observer = new AuditTap(this.#auditor);

  /** `file` is where the findings go: `-` for standard error. @throws {FileError} */
  constructor(file: string, hostPath: string) {
    if (file !== MESSAGES) checkOutput(file, hostPath);
    this.#file = file;
  }

  /** Tells what was found, when the program has ended. @throws {FileError} */
  finish(terminal: Terminal): Finding[] {
    const findings = findingsOf(this.#auditor);
    if (this.#file === MESSAGES) terminal.err(textOf(findings));
    else {
      const document = this.#file.endsWith(".json") ? findings : sarif(findings, VERSION);
      writeText(this.#file, JSON.stringify(document, null, 2) + "\n");
    }
    return findings;
  }
}

function textOf(findings: readonly Finding[]): string {
  const lines = findings.map((found) => {
    const { finding, level, rule, message, advice, call, number, process, file, line, times } = found;
    const at = file === null ? "" : `${file}:${line}: `;
    const often = times === 1 ? "" : `, ${times} times`;
    const where = `${call}, call ${number} of process ${process}${often}`;
    return `ism: exec: audit: ${at}${level}: ${message} [${finding}]\n  ${where}\n  rule: ${rule}\n  to do: ${advice}\n`;
  });
  return lines.join("") + `ism: exec: audit: ${plural(findings.length, "finding")}\n`;
}
