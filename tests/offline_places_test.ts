/** The file that unpacks itself, where the user has no cache folder that will do. */
import { assertEquals, assertMatch } from "@std/assert";
import { it } from "@std/testing/bdd";
import {
  assertRefused,
  assertStarted,
  found,
  itWhere,
  LINUX,
  OfflineFiles,
  onLinux,
  ready,
  said,
  USER,
} from "./support/offline.ts";

const ROOT_USER = USER === 0;
/** True if this user may mount in namespaces of its own. */
const MOUNTS = LINUX && found(["unshare", "-Urm", "true"]);

onLinux("without a usable cache folder the offline file", () => {
  const id = USER;
  /** Brings the file where its own folder cannot be mounted over. */
  const copied = `mount -t tmpfs tmpfs /mnt && cp "$FILE" /mnt/ism && cp run /mnt/run && cd /mnt || exit 99`;

  it("takes ~/.cache, then TMPDIR", async () => {
    using files = new OfflineFiles();
    const file = files.file();
    const [home, tmp] = [`${files.dir}/home`, `${files.dir}/tmp`];
    Deno.mkdirSync(home);
    assertStarted(await files.run([file], { env: { HOME: home, TMPDIR: tmp, XDG_CACHE_HOME: "relative" } }));
    assertEquals(files.list(`${home}/.cache/ism`), ready(files.name()));
    assertStarted(await files.run([file], { env: { TMPDIR: tmp } }));
    assertEquals(files.list(`${tmp}/ism-${id}`), ready(files.name()));
    assertEquals(Deno.readDirSync(files.dir).some(({ name }) => name === "relative"), false);
  });

  it("takes TMPDIR where the home is no folder, or XDG_CACHE_HOME is a file", async () => {
    using files = new OfflineFiles();
    const file = files.file();
    const tmp = `${files.dir}/tmp`;
    for (const env of [{ HOME: `${file}/none` }, { XDG_CACHE_HOME: file }, { HOME: "" }]) {
      assertStarted(await files.run([file], { env: { ...env, TMPDIR: tmp } }));
      assertEquals(files.list(`${tmp}/ism-${id}`), ready(files.name()));
      Deno.removeSync(tmp, { recursive: true });
    }
  });

  itWhere(MOUNTS)("does not start what lies ready behind a link in a folder of everybody's", async () => {
    using files = new OfflineFiles();
    const file = files.file();
    assertStarted(await files.run([file]));
    Deno.writeTextFileSync(`${files.cache}/ism/${files.name()}/ism.js`, "planted\n");
    const line = `${copied}; cp -a "$CACHE/ism" ready && mkdir tmp && ln -s ../ready tmp/ism-0 &&
      mount -t tmpfs tmpfs /tmp || exit 99; TMPDIR=/mnt/tmp ./ism; ls -d /tmp/ism-0`;
    const { stdout } = await files.inOwnMounts(line, { FILE: file, CACHE: files.cache });
    assertEquals(stdout, `${said("1.0.0")}/tmp/ism-0\n`);
  });

  itWhere(ROOT_USER)("leaves the home of somebody else alone", async () => {
    using files = new OfflineFiles();
    const file = files.file();
    const [home, tmp] = [`${files.dir}/home`, `${files.dir}/tmp`];
    Deno.mkdirSync(home);
    Deno.chownSync(home, 4242, 4242);
    assertStarted(await files.run([file], { env: { HOME: home, TMPDIR: tmp } }));
    assertEquals([files.list(home), files.list(`${tmp}/ism-0`)], [[], ready(files.name())]);
  });

  itWhere(ROOT_USER)("does not start what somebody else has laid ready", async () => {
    using files = new OfflineFiles();
    const file = files.file();
    assertStarted(await files.run([file]));
    const base = `${files.cache}/ism`;
    const planted = `${base}/${files.name()}/ism.js`;
    Deno.writeTextFileSync(planted, "planted\n");
    const env = { XDG_CACHE_HOME: files.cache, TMPDIR: `${files.dir}/tmp` };
    for (const path of [planted, `${base}/${files.name()}/deno`, base]) {
      Deno.writeTextFileSync(planted, "planted\n");
      Deno.chownSync(path, 4242, 4242);
      const { stdout } = await files.run([file], { env });
      assertEquals(stdout, said("1.0.0"), path);
    }
    assertEquals(files.list(`${files.dir}/tmp/ism-0`), ready(files.name()));
  });

  const everywhere = (options: string) =>
    `for dir in "$XDG_CACHE_HOME" /tmp /var/tmp /dev/shm; do mount -t tmpfs -o ${options} tmpfs "$dir" || exit 99; done`;

  const rows: readonly (readonly [options: string, reason: RegExp])[] = [
    ["ro", /: it cannot be written; /],
    ["noexec", /: programs may not run there \(noexec\); /],
    ["size=300k", /: (gzip: [^;]*[Nn]o space left on device|no room[^;]*); /],
  ];
  for (const [options, reason] of rows) {
    itWhere(MOUNTS)(`says in one line that no place will do (${options})`, async () => {
      using files = new OfflineFiles();
      const file = files.file();
      Deno.mkdirSync(files.cache);
      const env = { FILE: file, XDG_CACHE_HOME: files.cache };
      const line = `${copied}; ${everywhere(options)}; ./ism; code=$?
        for dir in "$XDG_CACHE_HOME/ism" /tmp/ism-0 /var/tmp/ism-0 /dev/shm/ism-0; do ls -A "$dir" 2>/dev/null; done
        exit $code`;
      assertRefused(await files.inOwnMounts(line, env), reason);
    });

    itWhere(MOUNTS)(`finds another place, and finds it again (${options})`, async () => {
      using files = new OfflineFiles();
      const file = files.file();
      Deno.mkdirSync(files.cache);
      const env = { FILE: file, XDG_CACHE_HOME: files.cache };
      const line = `${copied}; ${
        everywhere(options)
      }; mount -t tmpfs tmpfs /var/tmp; ./ism && ls /var/tmp/ism-0/*/deno &&
        mount -o remount,ro /var/tmp && ./ism`;
      const { code, stdout, stderr } = await files.inOwnMounts(line, env);
      const twice = `${said("1.0.0")}/var/tmp/ism-0/${files.name()}/deno\n${said("1.0.0")}`;
      assertEquals([code, stdout, stderr], [0, twice, ""]);
    });
  }

  itWhere(MOUNTS)("says so where there is nothing to unpack with", async () => {
    using files = new OfflineFiles();
    const file = files.file();
    const line =
      `: >empty && mount --bind empty "$(readlink -f "$(command -v gzip)")" || exit 99; exec "$FILE"`;
    const { code, stderr } = await files.inOwnMounts(line, { FILE: file, XDG_CACHE_HOME: files.cache });
    assertEquals(code, 4, stderr);
    assertMatch(stderr, /: there is no gzip to unpack with/);
  });
});
