/** The list of what a release is made of, as SPDX 2.3 in JSON, from deno.lock. */
import { createHash } from "node:crypto";
import { projectConfig } from "./permissions.ts";

/** What deno.lock says of a package of npm. */
interface LockedPackage {
  readonly integrity: string;
  readonly dependencies?: readonly string[];
}

/** The parts of deno.lock that count here. */
export interface Lock {
  readonly version: string;
  readonly npm?: Readonly<Record<string, LockedPackage>>;
}

/** Who makes the document, and when; the same values give the same bytes. */
export interface Making {
  /** When the commit was made, in seconds since 1970. */
  readonly seconds: number;
  readonly commit: string | null;
  /** Version of the Deno that the binaries hold. */
  readonly deno: string;
  /** Names of the packages that are in the program; all others are for its development. */
  readonly bundled: readonly string[];
}

/** The document. @throws {Error} if the lock file is of another version than is known here */
export function sbom(lock: Lock, { seconds, commit, deno, bundled }: Making): Record<string, unknown> {
  if (lock.version !== "5") throw new Error(`deno.lock is of version ${lock.version}; this knows 5`);
  const { version, license } = projectConfig();
  const locked = Object.entries(lock.npm ?? {}).map(([key, value]) => ({ ...splitKey(key), ...value }));
  const own = {
    ...described("ism", version, "SPDXRef-ism"),
    licenseDeclared: license,
    primaryPackagePurpose: "APPLICATION",
  };
  const runtime = {
    ...described("deno", deno, "SPDXRef-deno"),
    licenseDeclared: "MIT",
    externalRefs: [purl("npm", "deno", deno)],
  };
  const packages = locked.map(({ name, version, integrity }) => ({
    ...described(name, version, idOf(name, version)),
    checksums: [checksumOf(integrity)],
    externalRefs: [purl("npm", name, version)],
  }));
  const relations = locked.flatMap(({ name, version, dependencies = [] }) => [
    bundled.includes(name)
      ? relation("SPDXRef-ism", "DEPENDS_ON", idOf(name, version))
      : relation(idOf(name, version), "DEV_DEPENDENCY_OF", "SPDXRef-ism"),
    ...dependencies.map((other) => relation(idOf(name, version), "DEPENDS_ON", lockedId(other, locked))),
  ]);
  const content = JSON.stringify([version, commit, deno, lock]);
  const digest = createHash("sha256").update(content).digest("hex").slice(0, 32);
  return {
    spdxVersion: "SPDX-2.3",
    dataLicense: "CC0-1.0",
    SPDXID: "SPDXRef-DOCUMENT",
    name: `ism-${version}`,
    documentNamespace: `https://spdx.org/spdxdocs/ism-${version}-${digest}`,
    creationInfo: {
      created: new Date(seconds * 1000).toISOString().replace(/\.\d+Z$/, "Z"),
      creators: ["Tool: ism-build-sbom"],
      ...(commit === null ? {} : { comment: `commit ${commit}` }),
    },
    packages: [own, runtime, ...packages],
    relationships: [
      relation("SPDXRef-DOCUMENT", "DESCRIBES", "SPDXRef-ism"),
      relation("SPDXRef-ism", "DEPENDS_ON", "SPDXRef-deno"),
      ...relations,
    ],
  };
}

/** A key of the lock file: `name@version`, with `_peer@version` behind it where there are peers. */
function splitKey(key: string): { readonly name: string; readonly version: string } {
  const [, name, version] = /^((?:@[^/]+\/)?[^@]+)@([^_]+)/.exec(key) ?? [];
  if (name === undefined || version === undefined) throw new Error(`deno.lock has a package "${key}"`);
  return { name, version };
}

/** The package that a dependency means: a name, with its version where there are several. */
function lockedId(
  dependency: string,
  locked: readonly { readonly name: string; readonly version: string }[],
): string {
  const found = locked.find(({ name, version }) =>
    dependency === name || dependency.startsWith(`${name}@${version}`)
  );
  if (found === undefined) throw new Error(`deno.lock names ${dependency}, which it does not hold`);
  return idOf(found.name, found.version);
}

function described(name: string, version: string, id: string) {
  return {
    name,
    SPDXID: id,
    versionInfo: version,
    downloadLocation: "NOASSERTION",
    filesAnalyzed: false,
    licenseConcluded: "NOASSERTION",
    licenseDeclared: "NOASSERTION",
    copyrightText: "NOASSERTION",
  };
}

function purl(type: string, name: string, version: string) {
  const locator = `pkg:${type}/${name.replace(/^@/, "%40")}@${version}`;
  return { referenceCategory: "PACKAGE-MANAGER", referenceType: "purl", referenceLocator: locator };
}

/** An identifier of SPDX: letters, digits, dots and hyphens. */
function idOf(name: string, version: string): string {
  return `SPDXRef-npm-${name.replaceAll(/[^A-Za-z0-9.]+/g, "-").replace(/^-/, "")}-${version}`;
}

/** Subresource integrity as SPDX has it. */
function checksumOf(integrity: string) {
  const [algorithm = "", value = ""] = integrity.split(/-(.*)/s);
  if (algorithm !== "sha512") {
    throw new Error(`deno.lock has a checksum by ${algorithm}, and sha512 is known here`);
  }
  return { algorithm: "SHA512", checksumValue: Uint8Array.fromBase64(value).toHex() };
}

function relation(from: string, relationshipType: string, to: string) {
  return { spdxElementId: from, relationshipType, relatedSpdxElement: to };
}
