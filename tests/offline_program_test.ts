/** The file that is handed over, with Deno and the program in it, on machines that have nothing else. */
import { assert, assertEquals, assertLess } from "@std/assert";
import { after, before, it } from "@std/testing/bdd";
import { ROOT } from "../build/bundle.ts";
import { run } from "../build/run.ts";
import { found, itWhere, onLinux, USER } from "./support/offline.ts";
import { checkDocuments } from "./support/schemas.ts";
import { ISOLATION } from "../build/offline.ts";
import { permissionFlags } from "../build/permissions.ts";

/** What a second start may take longer than `deno run` of the bundled program. Milliseconds. */
const OVERHEAD_MS = 15;
const PAIRS = 20;
/** On a machine that has much else to do. */
const MOST_PAIRS = 200;
const UNSHARE = ["unshare", "-Urmn", "/bin/sh"];
/** What the shell script uses, and what shows what came of it. */
const TOOLS = [
  "id",
  "mkdir",
  "tail",
  "head",
  "gzip",
  "sha256sum",
  "chmod",
  "sync",
  "mv",
  "rm",
  "rmdir",
  "ls",
];

/** A folder that everybody can read, with the file in it. */
let dir = "";
let file = "";

async function build(): Promise<void> {
  dir = Deno.makeTempDirSync({ prefix: "ism handed over " });
  Deno.chmodSync(dir, 0o755);
  file = `${dir}/ism`;
  await run(Deno.execPath(), [
    "run",
    "-q",
    "-RWE",
    "--allow-run",
    "build/compile.ts",
    "--offline",
    "--output",
    file,
  ], {
    cwd: ROOT,
  });
}

async function start(
  words: readonly string[],
  env: Readonly<Record<string, string>>,
  cwd: string,
): Promise<{ code: number; stdout: string; stderr: string; milliseconds: number }> {
  const [command, ...args] = words;
  const started = performance.now();
  const { code, stdout, stderr } = await new Deno.Command(command!, {
    args,
    cwd,
    clearEnv: true,
    env: { ...env },
  })
    .output();
  const milliseconds = performance.now() - started;
  const text = new TextDecoder();
  return { code, stdout: text.decode(stdout), stderr: text.decode(stderr), milliseconds };
}

/** Libraries that a program is linked with, by path. */
async function librariesOf(program: string): Promise<string[]> {
  const text = await run("ldd", [program]);
  return [...text.matchAll(/(\/\S+) \(0x/g)].map(([, path]) => path!);
}

onLinux("the offline file with Deno in it", () => {
  before(build);
  after(() => Deno.removeSync(dir, { recursive: true }));

  it("is the program, in little more time than deno run takes", async () => {
    const env = { XDG_CACHE_HOME: `${dir}/cache`, ISM_HOST: ":memory:" };
    const { code, stdout } = await start([file, "version", "--json"], env, dir);
    await checkDocuments(stdout);
    const { result } = JSON.parse(stdout);
    assertEquals([code, result.form, result.target, result.deno], [
      0,
      "offline",
      Deno.build.target,
      Deno.version.deno,
    ]);
    const [name] = [...Deno.readDirSync(`${dir}/cache/ism`)].map(({ name }) => name);
    const unpacked = `${dir}/cache/ism/${name}`;
    assertEquals(Deno.readFileSync(`${unpacked}/deno`).length, Deno.statSync(Deno.execPath()).size);

    const flags = [...ISOLATION, ...permissionFlags()];
    const plain = [`${unpacked}/deno`, "run", ...flags, `${unpacked}/ism.js`, "--version"];
    const plainEnv = { ...env, DENO_DIR: `${unpacked}/cache`, DENO_NO_UPDATE_CHECK: "1" };
    // The fastest of each: what else the machine does at the same time counts for neither, if there are enough of them.
    const fastest = { file: Infinity, plain: Infinity };
    const more = () => fastest.file - fastest.plain;
    for (let pair = 0; pair < PAIRS || (pair < MOST_PAIRS && more() >= OVERHEAD_MS); pair++) {
      fastest.file = Math.min(fastest.file, (await start([file, "--version"], env, dir)).milliseconds);
      fastest.plain = Math.min(fastest.plain, (await start(plain, plainEnv, dir)).milliseconds);
    }
    const overhead = more();
    assertLess(overhead, OVERHEAD_MS, `${overhead.toFixed(1)} ms more`);
  });

  itWhere(found([...UNSHARE, "-c", "true"]) && found(["busybox", "true"]))(
    "works in a root of its own without network, home, Deno, Node or source",
    async () => {
      const busybox = (await run("/bin/sh", ["-c", "command -v busybox"])).trim();
      const libraries = new Set([
        ...await librariesOf(Deno.execPath()),
        ...await librariesOf(busybox).catch(() => []),
      ]);
      const line = `
      cd '${dir}' && mkdir root && mount -t tmpfs tmpfs root && cd root && mkdir -p bin dev proc tmp home || exit 90
      mount --rbind /dev dev && mount --rbind /proc proc || exit 91
      for library in ${[...libraries].join(" ")}; do
        mkdir -p ".\${library%/*}" && cp -L "$library" ".$library" || exit 92
      done
      cp -L ${busybox} bin/busybox && cp '${file}' 'home/the one file' || exit 93
      for tool in sh ${TOOLS.join(" ")}; do ln -s busybox "bin/$tool"; done
      exec chroot . /bin/sh -c '
        cd /home
        "./the one file" version || exit
        "./the one file" host create --host host.db && "./the one file" send "the one file" -o copy --host host.db &&
        "./the one file" expect EINVAL stb bar0 0xff8 seq:0*9 --host host.db &&
        printf "let gid gid\\nrgid \\$gid\\n" | "./the one file" run - --host host.db && ls / /home /tmp/ism-0'`;
      const { code, stdout, stderr } = await start([...UNSHARE, "-c", line], {
        PATH: "/usr/sbin:/usr/bin:/sbin:/bin",
      }, dir);
      assertEquals(code, 0, stderr);
      assert(
        /^ism .* \(offline, /.test(stdout) && / bytes in .*\nsha256 [0-9a-f]{64}\n/.test(stdout),
        stdout,
      );
    },
  );

  itWhere(USER === 0)("works for a user who owns nothing and has no home", async () => {
    const words = ["/usr/bin/setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", file, "list"];
    Deno.mkdirSync(`${dir}/tmp`);
    Deno.chmodSync(`${dir}/tmp`, 0o1777);
    for (const HOME of ["/nonexistent", "/root", dir]) {
      const env = { HOME, TMPDIR: `${dir}/tmp`, ISM_HOST: ":memory:" };
      const { code, stdout, stderr } = await start(words, env, dir);
      assertEquals([code, stderr, stdout.split("\n").length], [0, "", 4], HOME);
      assertEquals([...Deno.readDirSync(`${dir}/tmp`)].map(({ name }) => name), ["ism-65534"]);
    }
  });
});
