/** The package for npm, installed from the packed file into an empty folder with an empty cache. */
import { assert, assertEquals, assertMatch } from "@std/assert";
import { after, before, describe, it } from "@std/testing/bdd";
import { makePackage } from "../build/npm.ts";
import { permissionFlags, projectConfig } from "../build/permissions.ts";
import { SHARED_FILES } from "../build/share.ts";
import { checkDocuments } from "./support/schemas.ts";

let dir = "";
let packed = "";

interface Ending {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Starts a command as on a machine where nothing was ever installed. */
async function start(words: readonly string[], env: Readonly<Record<string, string>> = {}): Promise<Ending> {
  const [command, ...args] = words;
  const { code, stdout, stderr } = await new Deno.Command(command!, {
    args,
    cwd: dir,
    clearEnv: true,
    env: { ...surroundings(), ...env },
    stdin: "null",
  }).output();
  const text = new TextDecoder();
  return { code, stdout: text.decode(stdout), stderr: text.decode(stderr) };
}

/** Variables without which some networks cannot be reached. */
const NETWORK =
  /^(?:https?_proxy|no_proxy|node_extra_ca_certs|ssl_cert_file|npm_config_(?:registry|cafile))$/i;

function surroundings(): Record<string, string> {
  const env = Object.entries(Deno.env.toObject());
  return {
    ...Object.fromEntries(env.filter(([name]) => NETWORK.test(name))),
    PATH: Deno.env.get("PATH") ?? "/usr/bin:/bin",
    HOME: `${dir}/home`,
    npm_config_cache: `${dir}/cache`,
    npm_config_update_notifier: "false",
    ISM_HOST: `${dir}/host.db`,
    NO_COLOR: "1",
  };
}

async function install(): Promise<void> {
  dir = Deno.makeTempDirSync({ prefix: "ism npm " });
  Deno.mkdirSync(`${dir}/home`);
  packed = await makePackage(dir);
  const options = ["--no-audit", "--no-fund", "--silent"];
  const { code, stdout, stderr } = await start([
    "npm",
    "install",
    ...options,
    "--prefix",
    `${dir}/local`,
    packed,
  ]);
  assertEquals(code, 0, stdout + stderr);
}

const local = (...args: string[]) => [`${dir}/local/node_modules/.bin/ism`, ...args];

describe("npm's package", () => {
  before(install);
  after(() => Deno.removeSync(dir, { recursive: true }));

  it("is a command that says what it is", async () => {
    const { code, stdout } = await start(local("version", "--json"));
    await checkDocuments(stdout);
    const { result } = JSON.parse(stdout);
    assertEquals([code, result.form, result.version, result.deno], [
      0,
      "npm",
      projectConfig().version,
      Deno.version.deno,
    ]);
    assertEquals((await start(local("--version"))).stdout, `ism ${projectConfig().version}\n`);
  });

  it("hands on arguments, output and exit codes", async () => {
    assertEquals((await start(local("host", "create"))).code, 0);
    const rows: readonly (readonly [number, RegExp, ...string[]])[] = [
      [0, /^0x[0-9a-f]{16}\n$/, "gid"],
      [1, /^ism: stb: .* \(EINVAL\)/, "stb", "bar0", "0xff8", "seq:0*9"],
      [2, /^ism: "no thing" is not a command/, "no thing"],
      [3, /^ism: expect: /, "expect", "EINVAL", "gid"],
      [4, /^ism: run: /, "run", "missing file"],
    ];
    for (const [expected, output, ...words] of rows) {
      const { code, stdout, stderr } = await start(local(...words));
      assertEquals([words, code], [words, expected], stderr);
      assertMatch(stdout + stderr, output);
    }
  });

  it("ends as the program does when it is interrupted or terminated", async () => {
    for (const [signal, code] of [["SIGINT", 130], ["SIGTERM", 143]] as const) {
      const [command, ...args] = local("irq", "wait");
      const child = new Deno.Command(command!, {
        args,
        cwd: dir,
        env: surroundings(),
        stdin: "null",
        stdout: "null",
        stderr: "null",
      }).spawn();
      await new Promise((resolve) => setTimeout(resolve, 3000));
      child.kill(signal);
      const { code: ended } = await child.status;
      assertEquals([signal, ended], [signal, code]);
    }
  });

  it("passes the permissions of the task ism, and depends on this Deno", () => {
    const folder = `${dir}/local/node_modules/ism`;
    const launcher = Deno.readTextFileSync(`${folder}/bin/ism.mjs`);
    const flags: string[] = JSON.parse(/^const FLAGS = (\[.*\]);$/m.exec(launcher)![1]!);
    assertEquals(flags.filter((flag) => /^--(allow|no-prompt)/.test(flag)), permissionFlags());
    const description = JSON.parse(Deno.readTextFileSync(`${folder}/package.json`));
    assertEquals(description.dependencies, { deno: Deno.version.deno });
  });

  it("puts its command and its manual page where a global install has them", async () => {
    const options = ["--no-audit", "--no-fund", "--silent", "--global", "--ignore-scripts"];
    const { code, stderr } = await start(["npm", "install", ...options, "--prefix", `${dir}/global`, packed]);
    assertEquals(code, 0, stderr);
    assertMatch(Deno.readTextFileSync(`${dir}/global/share/man/man1/ism.1`), /^\.TH ISM 1 /);
    // Its install script did not run, as where a policy forbids that.
    assertEquals((await start([`${dir}/global/bin/ism`, "gid"])).code, 0);
  });

  it("starts by npx from the packed file", async () => {
    const { code, stdout, stderr } = await start(["npx", "--yes", "--package", packed, "ism", "list"]);
    assertEquals(
      [code, stdout.split("\n")[0]?.split(/ +/).slice(0, 3)],
      [0, ["#", "ADDRESS", "GUEST"]],
      stderr,
    );
  });

  it("has types that TypeScript takes, and everything that belongs beside a program", async () => {
    const folder = `${dir}/local/node_modules/ism`;
    for (const path of ["README.md", "LICENSE", "CHANGELOG.md", ...SHARED_FILES.map(([path]) => path)]) {
      assert(Deno.statSync(`${folder}/${path}`).size > 100, path);
    }
    const code = `import type { Document, Version } from "ism";
const document: Document<Version> = JSON.parse("{}");
export const form: "source" | "compiled" | "offline" | "npm" | undefined = document.result?.form;
// @ts-expect-error -- the form of a version is no number
export const wrong: number | undefined = document.result?.form;
`;
    Deno.writeTextFileSync(`${dir}/local/use.ts`, code);
    const { success, stderr } = await new Deno.Command(Deno.execPath(), {
      args: ["check", "--quiet", "--node-modules-dir=manual", "use.ts"],
      cwd: `${dir}/local`,
    }).output();
    assert(success, new TextDecoder().decode(stderr));
  });
});
