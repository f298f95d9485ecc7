/** What a release holds, and the README's lines that install it. */
import { assertEquals, assertMatch } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { bundle, ROOT } from "../build/bundle.ts";
import { projectConfig } from "../build/permissions.ts";
import { archiveName, checksums, pack, writeSbom } from "../build/release.ts";
import { run } from "../build/run.ts";
import { SHARED_FILES } from "../build/share.ts";
import { TARGETS } from "../build/targets.ts";

const README = Deno.readTextFileSync(`${ROOT}README.md`);
const { version } = projectConfig();

/** The lines of the table of ways to install. */
const lines = [...README.matchAll(/^\| (?:npm|a release|source) \| (.*?) \|/gm)].flatMap(([, cell]) =>
  [...cell!.matchAll(/`([^`]+)`/g)].map(([, line]) => line!)
);

describe("a release", () => {
  it("is an archive with the binary, its manual page and completions, and the same bytes each time", async () => {
    const folder = Deno.makeTempDirSync({ prefix: "ism release " });
    try {
      const program = await bundle("source");
      Deno.writeTextFileSync(`${folder}/binary`, "#!/bin/sh\necho started\n");
      const target = TARGETS[0];
      const archive = await pack(`${folder}/binary`, program, target, folder);
      const before = Deno.readFileSync(archive);
      const line = lines.find((each) => each.startsWith("tar "))!;
      assertEquals(line, `tar -xzf ${archiveName(target)}.tar.gz`);
      await run("tar", line.split(" ").slice(1), { cwd: folder });
      const unpacked = `${folder}/${archiveName(target)}`;
      assertEquals(await run(`${unpacked}/ism`, ["list"]), "started\n");
      for (const [path] of SHARED_FILES) {
        assertEquals(Deno.statSync(`${unpacked}/${path}`).isFile, true, path);
      }
      assertMatch(Deno.readTextFileSync(`${unpacked}/share/man/man1/ism.1`), RegExp(`"ism ${version}"`));
      assertMatch(Deno.readTextFileSync(`${unpacked}/share/zsh/site-functions/_ism`), /^#compdef ism\n/);
      Deno.removeSync(unpacked, { recursive: true });
      if (Deno.build.os === "linux") {
        assertEquals(Deno.readFileSync(await pack(`${folder}/binary`, program, target, folder)), before);
      }
    } finally {
      Deno.removeSync(folder, { recursive: true });
    }
  });

  it("has checksums that sha256sum takes, and a list of what the program holds", async () => {
    const folder = Deno.makeTempDirSync();
    try {
      const path = await writeSbom(folder, await bundle("source"));
      const { packages, relationships } = JSON.parse(Deno.readTextFileSync(path));
      assertEquals(packages[0].versionInfo, version);
      const needs = (relationships as { spdxElementId: string; relationshipType: string }[])
        .filter((each) => each.spdxElementId === "SPDXRef-ism" && each.relationshipType === "DEPENDS_ON");
      assertEquals(needs.length, 3, "Deno, std and valibot");
      Deno.writeTextFileSync(`${folder}/a file`, "abc");
      const text = checksums(folder);
      assertMatch(text, /^ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad {2}a file$/m);
      assertEquals(text.trimEnd().split("\n").length, 2);
    } finally {
      Deno.removeSync(folder, { recursive: true });
    }
  });
});

describe("the README's ways to install", () => {
  it("are the ones that are tested, and name this version", () => {
    // npm's lines: tests/npm_package_test.ts, from the packed file; source: `.ci/run`, and tests/offline_program_test.ts.
    assertEquals(lines.filter((line) => !["ism", "PATH", "dist/ism", "dist/npm/"].includes(line)), [
      `npm install --global ./ism-${version}.tgz`,
      `npx -y deno@${Deno.version.deno} task npm`,
      `tar -xzf ${archiveName(TARGETS[0])}.tar.gz`,
      `npx -y deno@${Deno.version.deno} task compile`,
    ]);
    assertEquals([...README.matchAll(/deno@([\d.]+)/g)].filter(([, used]) => used !== Deno.version.deno), []);
  });

  it("stand beside a change log that begins with this version, below what is not released yet", () => {
    const titles = [...Deno.readTextFileSync(`${ROOT}CHANGELOG.md`).matchAll(/^## (\S+)/gm)].map((
      [, title],
    ) => title);
    assertEquals(titles.slice(0, 2), ["Unreleased", version]);
  });
});
