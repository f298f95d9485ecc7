/**
 * The schemas of docs/schema, and a look at everything that the program prints: each document of `--json` has to be as
 * the schema of its command says. Wherever a test runs the program this is called, so that no document goes unseen.
 */
import { AssertionError } from "@std/assert";
import type { Ajv2020, ErrorObject, ValidateFunction } from "ajv/2020";

const FOLDER = new URL("../../docs/schema/", import.meta.url);
/** How each document begins, and nothing else that a program prints. */
const BEGINNING = '{"schema":';
/** What is said of one document, at most. */
const MAX_ERRORS = 5;

/** Made at the first document: most tests of `lib/` see none. */
let loaded: Promise<Ajv2020> | undefined;
const validators = new Map<string, ValidateFunction>();

/** Names of all schemas: `dmb-list.json`. */
export function schemaNames(): string[] {
  return [...Deno.readDirSync(FOLDER)].map(({ name }) => name).sort();
}

/** The file that has a command's schema; null stands for a line that was not understood. */
export function schemaName(command: string | null): string {
  return command === null ? "not-understood.json" : `${command.replaceAll(" ", "-")}.json`;
}

/** A schema as it stands in its file. */
export function readSchema(name: string): Record<string, unknown> {
  return JSON.parse(Deno.readTextFileSync(new URL(name, FOLDER)));
}

/** The validator without any schema; that the schemas are well-formed is a test of its own. */
async function load(): Promise<Ajv2020> {
  const { Ajv2020 } = await import("ajv/2020");
  return new Ajv2020({
    validateSchema: false,
    allowUnionTypes: true,
    strictTypes: false,
    strictRequired: false,
  });
}

/** Adds a schema and all that it refers to, under the names of their files. @throws {AssertionError} without file */
function add(ajv: Ajv2020, name: string): void {
  if (name in ajv.schemas) return;
  let schema: Record<string, unknown>;
  try {
    schema = readSchema(name);
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
    throw new AssertionError(`docs/schema/${name} is missing: write it, and name it in docs/json.md`);
  }
  ajv.addSchema(schema, name);
  for (const [, other] of JSON.stringify(schema).matchAll(/"\$ref":"([\w-]+\.json)/g)) add(ajv, other!);
}

/** What a schema says against a value; nothing if it is as the schema says. @throws {AssertionError} without schema */
export async function schemaErrors(name: string, value: unknown): Promise<string[]> {
  loaded ??= load();
  const ajv = await loaded;
  let validate = validators.get(name);
  if (validate === undefined) {
    add(ajv, name);
    validate = ajv.getSchema(name)!;
    validators.set(name, validate);
  }
  return validate(value) ? [] : validate.errors!.filter(({ keyword }) => keyword !== "if").map(errorText);
}

function errorText({ instancePath, message, params }: ErrorObject): string {
  const which = params["additionalProperty"] ?? params["allowedValue"] ?? params["allowedValues"];
  return `${instancePath || "the document"} ${message}${which === undefined ? "" : `: ${which}`}`;
}

/** A document has to be as the schema of its command says. @throws {AssertionError} */
export async function checkDocument(document: unknown): Promise<void> {
  const { command = null } = document as { readonly command?: string | null };
  const name = schemaName(command);
  const errors = await schemaErrors(name, document);
  if (errors.length === 0) return;
  const text = JSON.stringify(document);
  throw new AssertionError(
    `A document is not as docs/schema/${name} says: ${errors.slice(0, MAX_ERRORS).join("; ")}\n${
      text.length > 2000 ? `${text.slice(0, 2000)}…` : text
    }`,
  );
}

/** Looks at all documents in what was printed; a line that was cut off is none. @throws {AssertionError} */
export async function checkDocuments(text: string): Promise<void> {
  for (let at = 0; at < text.length;) {
    const end = text.indexOf("\n", at);
    if (end < 0) return;
    if (text.startsWith(BEGINNING, at)) await checkDocument(JSON.parse(text.slice(at, end)));
    at = end + 1;
  }
}
