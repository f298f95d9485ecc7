/**
 * The offline form: one executable file for Linux that needs nothing from the network to be made or started. A script of
 * the shell (`offline.sh`) comes first, behind it the bundled program and Deno, both packed by gzip.
 */
import { createHash } from "node:crypto";
import { gzipSync } from "node:zlib";
import { writeAtomically } from "./bundle.ts";

/** What goes into the file. */
export interface OfflineParts {
  /** Version of the program; begins the name of the folder that it is unpacked into. */
  readonly version: string;
  /** The bundled program. */
  readonly program: Uint8Array<ArrayBuffer>;
  /** What the program loads when it is needed: files beside it, by name. */
  readonly parts?: ReadonlyMap<string, Uint8Array<ArrayBuffer>>;
  /** The binary of Deno. */
  readonly deno: Uint8Array<ArrayBuffer>;
  /** What the program may do, as flags of `deno run`. */
  readonly permissions: readonly string[];
}

/** Flags besides the permissions: nothing outside the file has a say in what runs, and what is loaded later is read then. */
export const ISOLATION = [
  "--quiet",
  "--no-config",
  "--no-lock",
  "--no-remote",
  "--no-npm",
  "--no-check",
  "--unstable-lazy-dynamic-imports",
] as const;
/** The script takes so many bytes, so that its length does not depend on the numbers in it. */
const SCRIPT_BYTES = 10_240;
/** What has to be free in the cache folder besides the files. */
const SPARE_BYTES = 8 * 1024 * 1024;

/** Writes the file. @param level of gzip, 1 to 9 */
export function writeOffline(output: string, parts: OfflineParts, level: number): void {
  const { version, program, deno, permissions } = parts;
  const others = [...parts.parts ?? []];
  const packedOthers = others.map(([, bytes]) => gzipSync(bytes, { level }));
  const [packedProgram, packedDeno] = [gzipSync(program, { level }), gzipSync(deno, { level })];
  const length = [program, deno, ...others.map(([, bytes]) => bytes)].reduce(
    (sum, each) => sum + each.length,
    0,
  );
  let end = SCRIPT_BYTES + packedProgram.length;
  const places = others.map(([name], i) => {
    const { length } = packedOthers[i]!;
    end += length;
    return `${name}:${end - length + 1}:${length}`;
  });
  const script = scriptOf({
    PART_NAMES: others.map(([name]) => name).join(" "),
    PARTS: places.join(" "),
    PART_SUMS: others.map(([name, bytes]) => ` ${sha256(bytes)} ${name}`).join(""),
    VERSION: version,
    NAME: offlineName(parts),
    FLAGS: [...ISOLATION, ...permissions].map(quoted).join(" "),
    PROGRAM_AT: `${SCRIPT_BYTES + 1}`,
    PROGRAM_BYTES: `${packedProgram.length}`,
    PROGRAM_SHA256: sha256(program),
    DENO_AT: `${end + 1}`,
    DENO_SHA256: sha256(deno),
    ROOM: `${Math.ceil((length + SPARE_BYTES) / 1_000_000)} MB`,
  });
  const file = [script, packedProgram, ...packedOthers, packedDeno];
  writeAtomically(output, concat(file), 0o755);
}

/** The name of the folder that it is unpacked into: `VERSION-CHECKSUM`. */
export function offlineName({ version, program, deno, parts = new Map() }: OfflineParts): string {
  const sums = [program, deno, ...parts.values()].map(sha256).join("");
  return `${version}-${sha256(new TextEncoder().encode(sums)).slice(0, 16)}`;
}

function scriptOf(values: Readonly<Record<string, string>>): Uint8Array {
  const template = Deno.readTextFileSync(new URL("offline.sh", import.meta.url));
  const text = template.replaceAll(/@([A-Z][A-Z0-9_]*)@/g, (_, name) => {
    const value = values[name];
    if (value === undefined) throw new Error(`offline.sh names @${name}@, which nobody knows`);
    return value;
  });
  const bytes = new TextEncoder().encode(text);
  if (bytes.length > SCRIPT_BYTES) {
    throw new Error(`offline.sh is ${bytes.length} bytes, over ${SCRIPT_BYTES}`);
  }
  return new Uint8Array(SCRIPT_BYTES).fill(0x0a).subarray(0, SCRIPT_BYTES).map((fill, i) => bytes[i] ?? fill);
}

function concat(pieces: readonly Uint8Array[]): Uint8Array {
  const whole = new Uint8Array(pieces.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const piece of pieces) {
    whole.set(piece, at);
    at += piece.length;
  }
  return whole;
}

function quoted(word: string): string {
  return `'${word.replaceAll("'", `'\\''`)}'`;
}

function sha256(bytes: Uint8Array): string {
  return createHash("sha256").update(bytes).digest("hex");
}
