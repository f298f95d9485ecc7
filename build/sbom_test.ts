import { assertEquals, assertMatch, assertThrows } from "@std/assert";
import { projectConfig } from "./permissions.ts";
import { type Lock, sbom } from "./sbom.ts";

interface SpdxPackage {
  readonly SPDXID: string;
  readonly name: string;
  readonly versionInfo: string;
  readonly checksums?: readonly { readonly algorithm: string; readonly checksumValue: string }[];
  readonly externalRefs?: readonly { readonly referenceLocator: string }[];
}

interface Spdx {
  readonly spdxVersion: string;
  readonly documentNamespace: string;
  readonly creationInfo: { readonly created: string; readonly creators: readonly string[] };
  readonly packages: readonly SpdxPackage[];
  readonly relationships: readonly {
    readonly spdxElementId: string;
    readonly relationshipType: string;
    readonly relatedSpdxElement: string;
  }[];
}

const MAKING = { seconds: 1_700_000_000, commit: "abc", deno: "2.9.6", bundled: ["deno-std", "valibot"] };
const LOCK: Lock = JSON.parse(Deno.readTextFileSync(new URL("../deno.lock", import.meta.url)));
const made = (lock = LOCK, making = MAKING) => sbom(lock, making) as unknown as Spdx;

Deno.test("the SBOM names every locked package with its checksum, and what it is for", () => {
  const { packages, relationships, spdxVersion, creationInfo } = made();
  assertEquals([spdxVersion, creationInfo.created], ["SPDX-2.3", "2023-11-14T22:13:20Z"]);
  assertEquals(
    packages.map(({ name, versionInfo }) => `${name}@${versionInfo}`).toSorted(),
    [`ism@${projectConfig().version}`, "deno@2.9.6", ...Object.keys(LOCK.npm!)].toSorted(),
  );
  for (const { name, checksums } of packages.filter(({ name }) => !["ism", "deno"].includes(name))) {
    const [checksum] = checksums!;
    assertEquals([name, checksum!.algorithm, checksum!.checksumValue.length], [name, "SHA512", 128]);
  }
  const valibot = packages.find(({ name }) => name === "valibot")!;
  const [, base64 = ""] = LOCK.npm!["valibot@1.5.0"]!.integrity.split("sha512-");
  assertEquals(valibot.checksums![0]!.checksumValue, Uint8Array.fromBase64(base64).toHex());
  assertEquals(valibot.externalRefs![0]!.referenceLocator, "pkg:npm/valibot@1.5.0");
  const own = relationships.filter(({ spdxElementId }) => spdxElementId === "SPDXRef-ism")
    .map(({ relatedSpdxElement }) => relatedSpdxElement).toSorted();
  assertEquals(own, ["SPDXRef-deno", "SPDXRef-npm-deno-std-1.4.0", "SPDXRef-npm-valibot-1.5.0"]);
});

Deno.test("every identifier of the SBOM is one of SPDX, there once, and every relation leads to one", () => {
  const { packages, relationships } = made();
  const ids = ["SPDXRef-DOCUMENT", ...packages.map(({ SPDXID }) => SPDXID)];
  assertEquals(new Set(ids).size, ids.length);
  for (const id of ids) assertMatch(id, /^SPDXRef-[A-Za-z0-9.-]+$/);
  for (const { spdxElementId, relatedSpdxElement } of relationships) {
    assertEquals([ids.includes(spdxElementId), ids.includes(relatedSpdxElement)], [true, true]);
  }
});

Deno.test("the same lock file and commit give the same SBOM, others another namespace", () => {
  assertEquals(made(), made());
  const others = [made(LOCK, { ...MAKING, commit: "abd" }), made({ ...LOCK, npm: {} })];
  for (const { documentNamespace } of others) {
    assertEquals(documentNamespace === made().documentNamespace, false);
    assertMatch(documentNamespace, /^https:\/\/spdx\.org\/spdxdocs\/ism-[\d.]+-[0-9a-f]{32}$/);
  }
});

Deno.test("the SBOM takes scoped names and several versions, and refuses what it does not know", () => {
  const integrity = `sha512-${"AAAA".repeat(21)}AA==`;
  const lock = {
    version: "5",
    npm: {
      "@scope/one@1.0.0": { integrity, dependencies: ["two@2.0.0"] },
      "two@1.0.0": { integrity },
      "two@2.0.0": { integrity },
    },
  };
  const { packages, relationships } = made(lock);
  assertEquals(packages[2]!.externalRefs![0]!.referenceLocator, "pkg:npm/%40scope/one@1.0.0");
  const [depends] = relationships.filter(({ spdxElementId, relationshipType }) =>
    spdxElementId === "SPDXRef-npm-scope-one-1.0.0" && relationshipType === "DEPENDS_ON"
  );
  assertEquals(depends!.relatedSpdxElement, "SPDXRef-npm-two-2.0.0");
  const wrong: [Lock, string][] = [
    [{ version: "6" }, "deno.lock is of version 6"],
    [{ version: "5", npm: { "a@1.0.0": { integrity: "sha1-AAAA" } } }, "a checksum by sha1"],
    [{ version: "5", npm: { "a@1.0.0": { integrity, dependencies: ["b"] } } }, "deno.lock names b"],
    [{ version: "5", npm: { a: { integrity } } }, 'deno.lock has a package "a"'],
  ];
  for (const [lock, message] of wrong) assertThrows(() => sbom(lock, MAKING), Error, message);
});
