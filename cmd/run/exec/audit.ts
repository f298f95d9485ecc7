/** `exec --audit`: begins an audit, and tells what it found. Loaded where it is asked for alone. */
import { Auditor } from "../../../lib/exec/audit/auditor.ts";
import { type Finding, findingsOf } from "../../../lib/exec/audit/findings_of.ts";
import { AuditTap } from "../../../lib/exec/audit/tap.ts";
import { plural } from "../../output/units.ts";
import { sarif } from "./sarif.ts";
import type { Terminal } from "../../language/terminal.ts";
import { checkOutput } from "../../output/file_names.ts";
import { writeText } from "../files.ts";

/** The word for standard error, as text. */
const MESSAGES = "-";

/** An audit of one program. */
export class Audit {
  readonly #auditor = new Auditor();
  readonly observer = new AuditTap(this.#auditor);

  /** What was found, when the program has ended. */
  get findings(): Finding[] {
    return findingsOf(this.#auditor);
  }
}

/** Where findings are told. */
export class AuditReport {
  readonly #file: string;
  readonly #version: string;

  /** `file` is where the findings go: `-` for standard error; `version` is that of the program. @throws {FileError} */
  constructor(file: string, hostPath: string, version: string) {
    if (file !== MESSAGES) checkOutput(file, hostPath);
    this.#file = file;
    this.#version = version;
  }

  /** Tells what was found. @throws {FileError} */
  write(findings: readonly Finding[], terminal: Terminal): void {
    if (this.#file === MESSAGES) terminal.err(textOf(findings));
    else {
      const document = this.#file.endsWith(".json") ? findings : sarif(findings, this.#version);
      writeText(this.#file, JSON.stringify(document, null, 2) + "\n");
    }
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
