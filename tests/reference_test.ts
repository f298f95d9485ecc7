/** The reference of docs/reference: its shape, its names, and how `help` shows it. */
import { assert, assertEquals, assertMatch, assertThrows } from "@std/assert";
import { PAGES } from "../cmd/reference/pages.ts";
import { parsePage, ReferenceError } from "../cmd/reference/parse.ts";
import { RULE_NAMES_FILE, ruleNamesModule } from "../cmd/reference/names.ts";
import { RULES } from "../cmd/reference/reference.ts";
import { renderRule } from "../cmd/reference/render.ts";
import { ProcessTerminal } from "../cmd/output/terminal.ts";
import { type Terminal } from "../cmd/language/terminal.ts";
import { defaultTopology } from "../lib/host/topology.ts";
import { citations, textFiles } from "./support/citations.ts";
import { Program } from "./support/program.ts";

/** An import as `deno info` tells it. */
interface Import {
  readonly code?: { readonly specifier?: string };
  readonly isDynamic?: boolean;
}

const NAMES = RULES.map(({ rule }) => rule);
const ROOT = new URL("../", import.meta.url);

Deno.test("every page of docs/reference is part of the program and listed in its index", () => {
  const there = [...textFiles(["docs/reference/"])].map((path) => path.slice("docs/reference/".length));
  assertEquals(PAGES.map(([path]) => path).toSorted(), there.toSorted());
  const index = PAGES[0]![1];
  for (const [path] of PAGES.slice(1)) assert(index.includes(`| [${path}](${path}) |`), path);
});

Deno.test("no two rules of the reference have one name", () => {
  assertEquals(NAMES.filter((name, i) => NAMES.indexOf(name) !== i), []);
});

Deno.test("lib/base/rule_names.ts has the names of the reference", () => {
  assertEquals(Deno.readTextFileSync(RULE_NAMES_FILE), ruleNamesModule(RULES), 'run "deno task rules"');
});

Deno.test("every name of a rule that is cited anywhere leads to a rule", () => {
  const leads = (name: string) =>
    name.endsWith(".*") ? NAMES.some((each) => each.startsWith(name.slice(0, -1))) : NAMES.includes(name);
  const lost = citations().filter(({ name }) => !leads(name));
  assertEquals(lost.map(({ file, line, name }) => `${file}:${line}: ${name}`), []);
});

/** Rules of what no simulated host has: other programs than a driver, firmware of another kind, a second kernel. */
const OUTSIDE: readonly string[] = [
  "ism.dibs.names",
  "ism.eid.format",
  "ism.smcd.events",
  "ism.smcd.sizes",
  "ism.smcd.vlan",
  "vfio.ioctl.power",
  "zpci.mio.classic",
  "zpci.mio.cookie",
  "zpci.setfn.busy",
  "zpci.setfn.same",
];

Deno.test("every rule is named by a test, but for those that are outside of the simulation", () => {
  const inTests = citations().filter(({ file }) =>
    (file.startsWith("tests/") || file.endsWith("_test.ts")) && !file.startsWith("tests/reference_test")
  );
  const named = new Set(inTests.map(({ name }) => name));
  assertEquals(NAMES.filter((name) => !named.has(name)).toSorted(), [...OUTSIDE].toSorted());
});

Deno.test("each row of docs/fidelity.md says what settles it, and names a rule or nothing to settle", () => {
  const text = Deno.readTextFileSync(new URL("docs/fidelity.md", ROOT));
  const rows = [...text.matchAll(/^\| (?!question)([^|-][^|]*) \|(.*)\|$/gm)];
  assert(rows.length > 50);
  for (const [, question, rest = ""] of rows) {
    const [, settled = "", option, ...more] = rest.split(" | ");
    assert(option !== undefined && more.length === 0, `${question}: four columns`);
    assert(
      /`(zpci|ism|vfio|recovery)\.\w+\.\w+`$/.test(settled) || settled === "nothing to settle",
      question,
    );
  }
});

Deno.test("options that the reference names are options of the topology", () => {
  const topology = defaultTopology() as Readonly<Record<string, unknown>>;
  const isOption = (path: string) => {
    const [group = "", name] = path.split(".");
    return name === undefined ? group in topology : name in (topology[group] as object);
  };
  for (const { rule, assumed } of RULES) {
    for (const [, text = ""] of assumed?.matchAll(/`([^`]+)`/g) ?? []) {
      if (!/^(machine|ism|kernel)\.\w+$/.test(text)) continue;
      assert(isOption(text), `${rule}: ${text}`);
    }
  }
});

Deno.test("every choice of the topology is named by the rule that it is about", () => {
  const topology = defaultTopology();
  const all = (["machine", "ism", "kernel"] as const).flatMap((group) =>
    Object.keys(topology[group]).map((name) => `${group}.${name}`)
  );
  const named = PAGES[0]![1] + RULES.map(({ release, assumed }) => `${release} ${assumed}`).join("\n");
  assertEquals(all.filter((option) => !named.includes(`\`${option}\``)), []);
});

Deno.test("a page with a rule that lacks text, source or a proper name is refused", () => {
  const page = (text: string) => () => parsePage("x.md", text);
  assertThrows(page("### a.b\n\ntext\n\n- Source: x\n"), ReferenceError, "a.b: a name");
  assertThrows(page("### a.b.c\n\n- Source: x\n"), ReferenceError, "no text");
  assertThrows(page("### a.b.c\n\n| a |\n\n- Source: x\n"), ReferenceError, "begins with no sentence");
  assertThrows(page("### a.b.c\n\ntext\n"), ReferenceError, "no source");
  assertThrows(page("### a.b.c\n\ntext\n\n- Source: x\n\nmore\n"), ReferenceError, "stands behind");
  assertEquals(parsePage("x.md", "## S\n\n### a.b.c\n\ntext\n\n- Source: x\n- Assumed: y\n"), [
    { rule: "a.b.c", page: "x.md", section: "S", text: "text", source: "x", release: null, assumed: "y" },
  ]);
});

for (const columns of [40, 80, 200]) {
  Deno.test(`a rule fits a terminal of ${columns} columns, but for words and columns that cannot be cut`, () => {
    const terminal: Terminal = new class extends ProcessTerminal {
      override get columns() {
        return columns;
      }
    }();
    for (const rule of RULES) {
      const wide = renderRule(rule, terminal).split("\n").filter((line) => line.length > columns);
      const prose = wide.filter((line) => !/^\s*\S+$/.test(line) && !rule.text.includes("|"));
      assertEquals(prose, [], rule.rule);
    }
  });
}

Deno.test("ism help RULE prints the rule, and --json its fields", async () => {
  using program = new Program();
  const text = await program.run(["help", "vfio.write.boundary"]);
  assertEquals([text.code, text.stderr], [0, ""]);
  assertMatch(text.stdout, /^vfio\.write\.boundary\n\n {2}A write must not cross a 4096-byte boundary/);
  assertMatch(text.stdout, /\n {2}source: +Linux drivers\/vfio\/pci\/ism\/main\.c: ism_vfio_pci_do_io_w\n/);
  const json = JSON.parse((await program.run(["help", "vfio.setirqs.err", "--json"])).stdout);
  const { text: body, source, release, assumed, ...names } = json.result;
  assertEquals(names, { rule: "vfio.setirqs.err", page: "vfio/interrupts.md", section: "SET_IRQS" });
  assertMatch(body, /^ERR \(index 3\)/);
  assertMatch(source, /^Linux `drivers/);
  assertMatch(release, /^7\.3; in 7\.1/);
  assertEquals(assumed, null);
});

Deno.test("ism help with the beginning of a name lists the rules below it", async () => {
  using program = new Program();
  const { code, stdout } = await program.run(["help", "vfio.setirqs"]);
  assertEquals(code, 0);
  const listed = [...stdout.matchAll(/^ {2}(\S+)/gm)].map(([, name]) => name!);
  assertEquals(listed, NAMES.filter((name) => name.startsWith("vfio.setirqs.")));
  const all = JSON.parse((await program.run(["help", "reference", "--json"])).stdout);
  assertEquals(all.result.rules.map(({ rule }: { rule: string }) => rule), NAMES);
});

Deno.test("ism help with a name that is none says which one is near", async () => {
  using program = new Program();
  // In two parts, so that it is no citation.
  const slip = "vfio.write" + ".boundery";
  const { code, stdout, stderr } = await program.run(["help", slip]);
  assertEquals([code, stdout], [2, ""]);
  assertEquals(
    stderr,
    `ism: help: "${slip}" is not a rule of the reference\n` +
      '  hint: did you mean "help vfio.write.boundary"?\n',
  );
});

Deno.test("the texts of the reference are loaded by help alone", async () => {
  // A program without them starts; what it cannot do is to print a rule.
  const command = new Deno.Command(Deno.execPath(), { args: ["info", "--json", "main.ts"], cwd: ROOT });
  const { modules } = JSON.parse(new TextDecoder().decode((await command.output()).stdout));
  const imports: readonly Import[] = modules.flatMap((
    { dependencies }: { dependencies?: readonly Import[] },
  ) => dependencies ?? []);
  const ofTexts = imports.filter(({ code }) =>
    code?.specifier?.endsWith("/cmd/reference/reference.ts") === true
  );
  assert(ofTexts.length > 0 && ofTexts.every(({ isDynamic }) => isDynamic === true));
});
