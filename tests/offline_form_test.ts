/** The file that unpacks itself: what its script does with a cache folder, and without one. */
import { assert, assertEquals, assertMatch } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { writeOffline } from "../build/offline.ts";
import {
  assertRefused,
  assertStarted,
  found,
  itWhere,
  OfflineFiles,
  onLinux,
  ready,
} from "./support/offline.ts";

/** Shells that `/bin/sh` may be, as far as they are here. */
const SHELLS = [["dash"], ["bash"], ["bash", "--posix"], ["busybox", "sh"], ["zsh", "--emulate", "sh"]];

onLinux("the offline file", () => {
  it("unpacks itself once, into VERSION-CHECKSUM, and leaves nothing else", async () => {
    using files = new OfflineFiles();
    const file = files.file();
    assertStarted(await files.run([file]));
    const name = files.name();
    assertMatch(name, /^1\.0\.0-[0-9a-f]{16}$/);
    assertEquals(files.list(), ["ism", ...ready(name).map((path) => `ism/${path}`)]);
    const before = Deno.statSync(`${files.cache}/ism/${name}/deno`);
    assertStarted(await files.run([file]));
    assertEquals(Deno.statSync(`${files.cache}/ism/${name}/deno`).ino, before.ino);
    assertEquals(before.mode! & 0o777, 0o700, "for this user alone");
  });

  it("hands on arguments, streams, the exit code and the directory", async () => {
    using files = new OfflineFiles();
    const file = files.file();
    for (const first of [true, false]) {
      const { code, stdout, stderr } = await files.run([file, "input", "", "a b", "*", "$HOME", "-x"], {
        env: { XDG_CACHE_HOME: files.cache, STATUS: "3" },
        stdin: "line\n",
      });
      const words = ["input", "", "a b", "*", "$HOME", "-x"].map((word) => `argument ${word}\n`).join("");
      assertEquals([code, stdout, stderr], [
        3,
        `program ism.js of 1.0.0\n${words}input line\n`,
        "error line\n",
      ], first ? "first start" : "second start");
    }
  });

  it("passes the permissions that it was made with, and shuts out configuration and downloads", async () => {
    using files = new OfflineFiles();
    const { stdout } = await files.run([files.file(), "flags"]);
    const flags = stdout.split("\n").filter((line) => line.startsWith("--"));
    assertEquals(flags, [
      ...["--quiet", "--no-config", "--no-lock", "--no-remote", "--no-npm", "--no-check"],
      ...["--unstable-lazy-dynamic-imports", "--no-prompt", "--allow-env=A,B", "--allow-read=it's"],
    ]);
  });

  it("changes no variable of the environment but Deno's own two", async () => {
    using files = new OfflineFiles();
    const file = files.file();
    const env = { XDG_CACHE_HOME: files.cache, PATH: "/bin:/usr/bin", A: "b" };
    for (let start = 0; start < 2; start++) {
      const { stdout } = await files.run([file, "env"], { env });
      const seen = Object.fromEntries(
        [...stdout.matchAll(/^(\w+)=(.*)$/gm)].map(([, name, value]) => [name!, value!]),
      );
      for (const name of ["_", "PWD", "OLDPWD", "SHLVL"]) delete seen[name];
      const { DENO_DIR, DENO_NO_UPDATE_CHECK, _ISM_ENVIRONMENT, ...others } = seen;
      assertEquals([DENO_DIR, DENO_NO_UPDATE_CHECK], [`${files.cache}/ism/${files.name()}/cache`, "1"]);
      assertEquals(_ISM_ENVIRONMENT, "1");
      assertEquals<Record<string, string>>(others, env);
    }
  });

  it("becomes the program: its process is the one that was started", async () => {
    using files = new OfflineFiles();
    const child = files.spawn([files.file(), "wait"]);
    const reader = child.stdout.getReader();
    let text = "";
    while (!text.includes("waiting")) text += new TextDecoder().decode((await reader.read()).value);
    const exe = await files.run(["readlink", `/proc/${child.pid}/exe`], { env: { PATH: "/usr/bin:/bin" } });
    assertEquals(exe.stdout, `${files.cache}/ism/${files.name()}/deno\n`);
    child.kill("SIGTERM");
    assertEquals((await child.status).signal, "SIGTERM");
    await Promise.all([reader.cancel(), child.stderr.cancel(), child.stdin.close().catch(() => {})]);
  });

  for (const shell of SHELLS) {
    itWhere(found([...shell, "-c", "true"]))(`starts twice where /bin/sh is ${shell.join(" ")}`, async () => {
      using files = new OfflineFiles();
      const file = files.file();
      for (let start = 0; start < 2; start++) {
        const env = { XDG_CACHE_HOME: files.cache, PATH: "/usr/bin:/bin" };
        assertStarted(await files.run([...shell, file], { env }));
      }
      assertEquals(files.list(), ["ism", ...ready(files.name()).map((path) => `ism/${path}`)]);
    });
  }

  it("starts eight times at once, and once is enough", async () => {
    using files = new OfflineFiles();
    const file = files.file();
    const endings = await Promise.all(Array.from({ length: 8 }, () => files.run([file])));
    for (const ending of endings) assertStarted(ending);
    assertEquals(files.list(`${files.cache}/ism`), ready(files.name()));
  });

  it("starts after first starts that were killed at any moment, and removes what they left", async () => {
    using files = new OfflineFiles();
    const file = files.file();
    let left = 0;
    for (let delay = 0; delay < 120; delay += 6) {
      // A group of its own, so that all of it can be killed.
      const child = files.spawn(["/usr/bin/setsid", file]);
      await new Promise((resolve) => setTimeout(resolve, delay));
      try {
        Deno.kill(-child.pid, "SIGKILL");
      } catch (error) {
        if (!(error instanceof Error)) throw error;
      }
      await child.output();
      await child.stdin.close().catch(() => {});
      try {
        left += files.list(`${files.cache}/ism`).filter((name) => /^\.new-\d+$/.test(name)).length;
      } catch (error) {
        if (!(error instanceof Deno.errors.NotFound)) throw error;
      }
      assertStarted(await files.run([file]));
      const rest = files.list(`${files.cache}/ism`);
      assertEquals(
        rest.filter((name) => !name.startsWith(".new-")),
        ready(files.name()),
        `after ${delay} ms`,
      );
      Deno.removeSync(`${files.cache}/ism/${files.name()}`, { recursive: true });
      assertStarted(await files.run([file]));
      assertEquals(files.list(`${files.cache}/ism`), ready(files.name()), `after ${delay} ms, the next time`);
      Deno.removeSync(`${files.cache}/ism`, { recursive: true });
    }
    assert(left > 0, "no start was killed while it unpacked");
  });

  it("unpacks anew what somebody has removed or emptied a part of", async () => {
    using files = new OfflineFiles();
    const file = files.file();
    const at = () => `${files.cache}/ism/${files.name()}`;
    const damages: (() => void)[] = [
      () => Deno.removeSync(`${at()}/deno`),
      () => Deno.removeSync(`${at()}/ism.js`),
      () => Deno.truncateSync(`${at()}/ism.js`),
      () => Deno.removeSync(`${at()}/later.js`),
      () => Deno.truncateSync(`${at()}/later.js`),
      () => Deno.chmodSync(`${at()}/deno`, 0o600),
      () => Deno.removeSync(at(), { recursive: true }),
    ];
    assertStarted(await files.run([file]));
    for (const damage of damages) {
      damage();
      assertStarted(await files.run([file]));
    }
  });

  it("says in one line that it is damaged, and leaves nothing", async () => {
    using files = new OfflineFiles();
    const file = files.file();
    const whole = Deno.readFileSync(file);
    const env = { XDG_CACHE_HOME: files.cache, TMPDIR: `${files.dir}/tmp` };
    for (const at of [10_240 + 11, 100_000, whole.length - 4]) {
      const bytes = whole.slice();
      bytes[at]! ^= 0x40;
      Deno.writeFileSync(file, bytes);
      assertRefused(await files.run([file], { env }), /: (gzip: |what came out has the wrong checksum)/);
    }
    Deno.writeFileSync(file, whole.subarray(0, whole.length - 1000));
    assertRefused(await files.run([file], { env }), /unexpected end of file/);
    assertEquals(files.list(files.cache), []);
  });

  it("does not say yes to a whole file in the wrong place", async () => {
    using files = new OfflineFiles();
    const file = files.file();
    const script = Deno.readTextFileSync(file).slice(0, 10_240);
    const other = `${files.dir}/other`;
    const deno = Deno.readFileSync("/bin/bash");
    writeOffline(other, {
      version: "1.0.0",
      program: new TextEncoder().encode("other"),
      deno,
      permissions: [],
    }, 1);
    const bytes = Deno.readFileSync(other);
    const sums = /[0-9a-f]{64}(?= ism\.js)/;
    const own = new TextDecoder().decode(bytes.subarray(0, 10_240));
    const swapped = own.replace(sums, sums.exec(script)![0]);
    Deno.writeFileSync(
      other,
      new Uint8Array([...new TextEncoder().encode(swapped), ...bytes.subarray(10_240)]),
    );
    assertRefused(await files.run([other]), /what came out has the wrong checksum/);
  });
});

describe("the script of the offline file", () => {
  itWhere(found(["shellcheck", "--version"]))(
    "is what shellcheck takes for any POSIX shell",
    () => {
      const { success, stdout } = new Deno.Command("shellcheck", {
        args: ["--shell=sh", new URL("../build/offline.sh", import.meta.url).pathname],
      }).outputSync();
      assert(success, new TextDecoder().decode(stdout));
    },
  );
});

onLinux("other versions in the cache folder", () => {
  it("are removed by the first start of a new one, and other files are not", async () => {
    using files = new OfflineFiles();
    assertStarted(await files.run([files.file("1.0.0")]));
    Deno.writeTextFileSync(`${files.cache}/ism/notes`, "mine");
    Deno.mkdirSync(`${files.cache}/ism/2-folder`);
    await new Promise((resolve) => setTimeout(resolve, 20));
    assertStarted(await files.run([files.file("1.1.0")]), "1.1.0");
    assertEquals(
      files.list(`${files.cache}/ism`),
      [...ready(files.name("1.1.0")), "2-folder", "notes"].toSorted(),
    );
  });

  it("stay while a process runs them", async () => {
    using files = new OfflineFiles();
    const child = files.spawn([files.file("1.0.0"), "wait"]);
    const reader = child.stdout.getReader();
    let text = "";
    while (!text.includes("waiting")) text += new TextDecoder().decode((await reader.read()).value);
    await new Promise((resolve) => setTimeout(resolve, 20));
    assertStarted(await files.run([files.file("1.1.0")]), "1.1.0");
    assertEquals(
      files.list(`${files.cache}/ism`),
      [...ready(files.name("1.0.0")), ...ready(files.name("1.1.0"))].toSorted(),
    );
    child.kill("SIGKILL");
    await Promise.all([
      child.status,
      reader.cancel(),
      child.stderr.cancel(),
      child.stdin.close().catch(() => {}),
    ]);
    await new Promise((resolve) => setTimeout(resolve, 20));
    assertStarted(await files.run([files.file("1.2.0")]), "1.2.0");
    assertEquals(files.list(`${files.cache}/ism`), ready(files.name("1.2.0")));
  });

  it("stay if they were started while the new one unpacked itself", async () => {
    using files = new OfflineFiles();
    const old = files.file("1.0.0");
    assertStarted(await files.run([old]));
    const used = `${files.cache}/ism/${files.name("1.0.0")}/used`;
    const later = new Date(Date.now() + 60_000);
    Deno.utimeSync(used, later, later);
    assertStarted(await files.run([files.file("1.1.0")]), "1.1.0");
    const both = [...ready(files.name("1.0.0")), ...ready(files.name("1.1.0"))];
    assertEquals(files.list(`${files.cache}/ism`), both.toSorted());
    assertStarted(await files.run([old]));
  });
});
