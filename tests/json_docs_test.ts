/** docs/json.md and docs/schema: every command has its place, every example is what the program prints. */
import { assert, assertEquals, assertRejects } from "@std/assert";
import { Ajv2020 } from "ajv/2020";
import { COMMANDS } from "../cmd/table.ts";
import { ISM_CHOICES } from "../lib/ism/device/options.ts";
import { MACHINE_CHOICES } from "../lib/zpci/options.ts";
import { assertGolden } from "./support/golden.ts";
import { Program } from "./support/program.ts";
import { checkDocument, readSchema, schemaErrors, schemaName, schemaNames } from "./support/schemas.ts";
import { watched } from "./support/watched.ts";

const PAGE = new URL("../docs/json.md", import.meta.url);
/** Schemas of what no command alone prints. */
const COMMON = [
  "defs.json",
  "document.json",
  "failure.json",
  "host-document.json",
  "not-understood.json",
  "topology.json",
  "trace.json",
];

/** The table of commands: those that stand alone in one row, a row for each family. */
function commandTable(): string {
  const rows = new Map<string, string[]>([["", []]]);
  const names = [...COMMANDS.keys()];
  for (const name of names) {
    const [first = ""] = name.split(" ");
    const isFamily = names.some((other) => other.startsWith(`${first} `));
    const row = isFamily ? first : "";
    rows.set(row, [...rows.get(row) ?? [], `[${name}](schema/${schemaName(name)})`]);
  }
  return `| schemas |\n|---|\n${[...rows.values()].map((links) => `| ${links.join(", ")} |\n`).join("")}`;
}

/** The page as it should be: the table, and behind each line of a console block what it prints. */
async function renewedPage(page: string): Promise<string> {
  using program = new Program();
  let text = page.replace(
    /(?<=<!-- commands: .*-->\n).*?(?=<!-- end of commands -->)/s,
    `\n${commandTable()}\n`,
  );
  for (const [block, body = ""] of page.matchAll(/^```console\n(.*?)^```$/gms)) {
    let renewed = "";
    for (const part of body.split(/^\$ /m).slice(1)) {
      const line = part.slice(0, part.indexOf("\n"));
      const { stdout, stderr } = await program.shell(line);
      assertEquals(stderr, "", line);
      renewed += `$ ${line}\n${stdout}`;
    }
    text = text.replace(block, () => `\`\`\`console\n${renewed}\`\`\``);
  }
  return text;
}

Deno.test("docs/json.md lists every command with its schema and shows what the program prints", async () => {
  assertGolden(PAGE, await renewedPage(Deno.readTextFileSync(PAGE)));
});

Deno.test("docs/schema has a file for each command, and none besides that docs/json.md does not name", () => {
  const ofCommands = [...COMMANDS.keys()].map(schemaName);
  const missing = ofCommands.filter((name) => !schemaNames().includes(name));
  assertEquals(missing, [], "docs/schema lacks files: write them after those of the commands beside");
  assertEquals(schemaNames(), [...ofCommands, ...COMMON].toSorted());
  const page = Deno.readTextFileSync(PAGE);
  for (const name of COMMON) assert(page.includes(`(schema/${name})`), name);
});

Deno.test("each schema is one of draft 2020-12, says whose it is, and refers to what there is", () => {
  const ajv = new Ajv2020({ strict: true, allowUnionTypes: true, strictTypes: false, strictRequired: false });
  for (const name of schemaNames()) ajv.addSchema(readSchema(name), name);
  for (const name of schemaNames()) {
    const schema = readSchema(name);
    assertEquals(schema["$schema"], "https://json-schema.org/draft/2020-12/schema", name);
    assert(typeof schema["title"] === "string", name);
    assert(ajv.getSchema(name) !== undefined, name);
  }
  for (const command of COMMANDS.keys()) {
    const { properties } = readSchema(schemaName(command)) as { properties: Record<string, unknown> };
    assertEquals(properties["command"], { const: command });
  }
});

/** Every object of a schema that has properties, with the path to it. */
function* objects(schema: unknown, path: string): Generator<[path: string, schema: Record<string, unknown>]> {
  if (typeof schema !== "object" || schema === null) return;
  const keys = schema as Record<string, unknown>;
  if ("type" in keys && "properties" in keys) yield [path, keys];
  for (const [key, value] of Object.entries(keys)) yield* objects(value, `${path}/${key}`);
}

Deno.test("each object of the schemas is closed, and requires only fields that it has", () => {
  for (const name of schemaNames()) {
    for (const [path, schema] of objects(readSchema(name), name)) {
      assertEquals(schema["additionalProperties"], false, path);
      const fields = Object.keys(schema["properties"] as object);
      for (const field of (schema["required"] ?? []) as string[]) {
        assert(fields.includes(field), `${path}: ${field}`);
      }
    }
  }
});

Deno.test("the schema of a topology has the choices that there are", () => {
  const { properties } = readSchema("topology.json") as {
    properties: Record<string, { properties: Record<string, { enum?: unknown }> }>;
  };
  for (const [part, choices] of [["machine", MACHINE_CHOICES], ["ism", ISM_CHOICES]] as const) {
    for (const [name, values] of Object.entries(choices)) {
      assertEquals(properties[part]!.properties[name]?.enum, values, name);
    }
  }
});

/** Documents that are wrong in one place. */
const WRONG: readonly [why: string, document: Record<string, unknown>][] = [
  ["a new field", { ok: true, result: { gid: "0x1", more: 1 } }],
  ["a new field of all documents", { ok: true, result: { gid: "0x1" }, id: 1 }],
  ["a number for text", { ok: true, result: { gid: 1 } }],
  ["upper case", { ok: true, result: { gid: "0xA" } }],
  ["a field too few", { ok: true, result: {} }],
  ["no result", { ok: true }],
  ["a result beside an error", {
    ok: false,
    result: { gid: "0x1" },
    error: { code: "DRIVER", message: "no" },
  }],
  ["an error without errno", { ok: false, error: { code: "EINVAL", message: "no" } }],
  ["a code that there is not", { ok: false, error: { code: "OTHER", message: "no" } }],
  ["a file without a line", { ok: true, result: { gid: "0x1" }, file: "-c" }],
  ["an event of no layer", {
    ok: true,
    result: { gid: "0x1" },
    trace: [{ seq: 1, layer: "x", op: "x" }],
  }],
];

Deno.test("a document that is wrong in one place is not let through", async () => {
  const right = { schema: 1, command: "gid" };
  await checkDocument({ ...right, ok: true, result: { gid: "0x1" } });
  for (const [why, document] of WRONG) {
    assert((await schemaErrors("gid.json", { ...right, ...document })).length > 0, why);
    await assertRejects(() => checkDocument({ ...right, ...document }), Error, "docs/schema/gid.json", why);
  }
  await assertRejects(
    () => checkDocument({ ...right, command: "no such" }),
    Error,
    "docs/schema/no-such.json is missing: write it",
  );
});

Deno.test("a wrong document is seen wherever a test runs a program: by the shell, as a whole, in a stream", async () => {
  using program = new Program();
  const wrong = '{"schema":1,"command":"gid","ok":true,"result":{}}';
  const print = (...lines: string[]) =>
    watched(
      new Deno.Command("/bin/echo", {
        args: [lines.join("\n")],
        stdin: "null",
        stdout: "piped",
        stderr: "null",
      })
        .spawn(),
    );
  await assertRejects(() => program.shell(`echo '${wrong}'`), Error, "docs/schema/gid.json");
  await assertRejects(() => print("something else", wrong).output(), Error, "docs/schema/gid.json");
  const child = print("something else", wrong, "and more");
  await assertRejects(() => new Response(child.stdout).text(), Error, "docs/schema/gid.json");
  await child.status;
  const good = print("something else", wrong.replace("{}", '{"gid":"0x1"}'));
  assert((await new Response(good.stdout).text()).endsWith("\n"));
  await good.status;
});

Deno.test("what host show and host export print as text is as its schema says", async () => {
  using program = new Program();
  const token = "0x22f890000000";
  const lines = ["dmb register --size 4k --rgid 0x62441adacc2f9ccf -d 1", `move ${token} 0 text:hello`];
  assertEquals((await program.script(lines)).code, 0);
  const exported = JSON.parse((await program.run(["host", "export"])).stdout);
  assert(exported.pages.length > 0);
  assertEquals(await schemaErrors("host-document.json", exported), []);
  const topology = JSON.parse((await program.run(["host", "show"])).stdout);
  assertEquals(await schemaErrors("topology.json", topology), []);
  assertEquals((await schemaErrors("topology.json", { ...topology, more: 1 })).length, 1);
  assertEquals(
    await schemaErrors("topology.json", { guests: [{ name: "a", functions: [{ fid: "0x1", uid: 1 }] }] }),
    [],
  );
});
