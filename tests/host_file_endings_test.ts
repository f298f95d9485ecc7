/**
 * Host files that cannot be used, and disks that do not want them: one clear sentence, exit code 4, nothing changed and
 * nothing lost.
 */
import { DatabaseSync } from "node:sqlite";
import { assert, assertEquals, assertMatch } from "@std/assert";
import { splitMix64 } from "../lib/base/random.ts";
import {
  BOUND_BY_MODES,
  NO_MODES,
  NO_MOUNTS,
  OWN_MOUNTS,
  title,
  TMPFS,
  transcript,
} from "./support/disks.ts";
import { assertNoStack, inParallel, type Outcome, Program } from "./support/program.ts";

/** Every file of the program's directory with its contents, links with what they lead to. */
function files(program: Program): Record<string, string> {
  const found: Record<string, string> = {};
  for (const { name, isSymlink, isFile } of Deno.readDirSync(program.dir)) {
    if (isSymlink) found[name] = `-> ${Deno.readLinkSync(program.path(name))}`;
    else found[name] = isFile ? program.read(name).toHex() : "";
  }
  return found;
}

function assertEnding(outcome: Outcome, message: RegExp, line: string): void {
  assertEquals([outcome.code, outcome.stdout], [4, ""], `${line}: ${outcome.stderr}`);
  assertNoStack(outcome);
  assertMatch(outcome.stderr, message, line);
  assertMatch(outcome.stderr, /^ism: [^\n]{1,600}\n$/, line);
}

/** A look, a change, and everything that handles the file by itself. */
const LINES = ["list", "vlan add 9", "host check", "host reset", "host delete", "host create --force"];

/** Runs each line with a host file that cannot be used; nothing of the directory may change. */
async function assertRefused(program: Program, host: string, message: RegExp, lines = LINES): Promise<void> {
  const before = files(program);
  await inParallel(lines, async (line) => {
    assertEnding(await program.run(["--host", host, ...line.split(" ")]), message, `${host}: ${line}`);
  });
  if (lines === LINES) {
    assertEnding(
      await program.run(["list"], { env: { ISM_HOST: program.path(host) } }),
      message,
      `ISM_HOST=${host}`,
    );
  }
  assertEquals(files(program), before);
}

Deno.test("a symbolic link to a host file is as good as the file", async () => {
  using program = new Program();
  await program.result("host", "create");
  Deno.mkdirSync(program.path("elsewhere"));
  Deno.symlinkSync("../host.db", program.path("elsewhere/link.db"));
  const link = ["--host", "elsewhere/link.db"];
  await program.result(...link, "vlan", "add", "7");
  assertEquals((await program.result("vlan", "list")).ids, [7]);
  assertEquals([...Deno.readDirSync(program.path("elsewhere"))].map(({ name }) => name), ["link.db"]);
  await program.result(...link, "host", "create", "--force", "--seed", "5");
  assert(Deno.lstatSync(program.path("elsewhere/link.db")).isSymlink);
  assertEquals((await program.result("host", "show")).topology.seed, 5);
  await program.result(...link, "host", "delete");
  assertEquals([...Deno.readDirSync(program.dir)].map(({ name }) => name), ["elsewhere"]);
  assertEquals([...Deno.readDirSync(program.path("elsewhere"))], [], "the link is gone with the file");
});

Deno.test("names that lead nowhere, in circles, or to something else than a file are no host files", async () => {
  using program = new Program();
  Deno.mkdirSync(program.path("directory"));
  Deno.symlinkSync("nowhere", program.path("dangling"));
  Deno.symlinkSync("circle", program.path("circle"));
  Deno.symlinkSync("directory", program.path("to-directory"));
  Deno.symlinkSync("/dev/null", program.path("to-null"));
  await new Deno.Command("mkfifo", { args: [program.path("pipe")] }).output();
  const rows: readonly (readonly [host: string, message: RegExp])[] = [
    ["directory", /directory is a directory and cannot be a host file; name a file$/m],
    ["to-directory", /is a directory and cannot be/],
    ["dangling", /dangling is a symbolic link that leads nowhere; remove it or name another file$/m],
    ["circle", /circle cannot be used: its symbolic links lead in a circle$/m],
    ["to-null", /is a device, pipe or socket and cannot be a host file/],
    ["pipe", /is a device, pipe or socket and cannot be a host file/],
  ];
  for (const [host, message] of rows) await assertRefused(program, host, message);
  const create = ["host create", "host create --force"];
  await assertRefused(program, "/dev/null", /a device, pipe or socket/, create);
  await assertRefused(
    program,
    "missing/host.db",
    /cannot be created: its directory does not exist$/m,
    create,
  );
  await assertRefused(
    program,
    "a".repeat(300),
    /cannot be used: its name is too long|cannot be created: its name/,
    create,
  );
});

Deno.test("a host file that is missing is not made by looking for it", async () => {
  using program = new Program();
  const lines = ["list", "vlan add 9", "host check", "host reset", "host delete", "host show"];
  await assertRefused(program, "missing.db", /There is no host file missing\.db/, lines);
});

Deno.test("nothing is written through the names that SQLite uses beside a host file", async () => {
  using program = new Program();
  await program.result("vlan", "add", "5");
  program.write("precious", "not yours");
  for (const suffix of ["-wal", "-shm", "-journal"]) {
    const name = program.path(`host.db${suffix}`);
    const rows: readonly (readonly [make: () => void, message: RegExp])[] = [
      [
        () => Deno.symlinkSync("precious", name),
        /in the way: it is a symbolic link, and SQLite would write there; remove it$/m,
      ],
      [() => Deno.symlinkSync("nowhere", name), /in the way: it is a symbolic link/],
      [() => Deno.linkSync(program.path("precious"), name), /in the way: it is a hard link/],
      [() => Deno.mkdirSync(name), /in the way: it is no regular file/],
    ];
    for (const [make, message] of rows) {
      make();
      await assertRefused(program, "host.db", message, ["vlan add 9", "host create --force"]);
      Deno.removeSync(name);
    }
    // Files that somebody else keeps under such a name are not overwritten by a new host file.
    Deno.writeTextFileSync(program.path(`new.db${suffix}`), "notes of mine");
    await assertRefused(program, "new.db", /in the way: SQLite would overwrite it; move it/, [
      "host create",
      "host create --force",
    ]);
    Deno.removeSync(program.path(`new.db${suffix}`));
  }
  assertEquals((await program.result("vlan", "list")).ids, [5]);
});

Deno.test("a name with control characters is shown and never sent to the terminal", async () => {
  using program = new Program();
  const host = "a\x1b[2Jb\nc\x07d\u009be\u202ef";
  const shown = "a\\x1b[2Jb\\nc\\x07d\\x9be\\u{202e}f";
  const lines = [
    "list",
    "-n host create",
    "host create",
    "host create",
    "host check",
    "-n host reset",
    "-n host delete",
    "host delete",
  ];
  for (const line of lines) {
    const { stdout, stderr } = await program.run(["--host", host, ...line.split(" ")]);
    // deno-lint-ignore no-control-regex -- what must not be there
    assertMatch(stdout + stderr, /^[^\x00-\x09\x0b-\x1f\x7f-\x9f\u202e]*$/, line);
    if (stdout + stderr !== "") assert((stdout + stderr).includes(shown), `${line}: ${stdout}${stderr}`);
  }
});

Deno.test("a host file that is cut off or has other bytes than it should is an error or all right, never a bug", async () => {
  using program = new Program();
  await program.script(["dmb register --size 64k --rgid 1", "vlan add 3", "fault add busy:2 --at 500"]);
  const good = program.read("host.db");
  const shown = (await program.run(["host", "export"])).stdout;
  let state = 7n;
  const below = (limit: number) => Number(splitMix64(state++) % BigInt(limit));
  const damaged = [
    ...[1, 15, 16, 99, 100, 512, 4095, 4096, 4097, good.length - 4096, good.length - 1].map((n) =>
      good.subarray(0, n)
    ),
    ...Array.from({ length: 12 }, () => {
      const bytes = good.slice();
      for (let i = 0; i < 20; i++) bytes[below(bytes.length)]! ^= 1 + below(255);
      return bytes;
    }),
  ];
  const codes = await inParallel(damaged.map((bytes, i) => ({ bytes, i })), async ({ bytes, i }) => {
    const name = `damaged-${i}.db`;
    program.write(name, bytes);
    const exported = await program.run(["--host", name, "host", "export"]);
    if (exported.code === 0) assertEquals(exported.stdout, shown, name);
    else assertEnding(exported, /is damaged: |is not a host file|has format|cannot be used|is empty/, name);
    assertEquals([...program.read(name)], [...bytes], "left as it was");
    return exported.code;
  });
  assertEquals(new Set(codes).difference(new Set([0, 4])), new Set());
  assert(codes.filter((code) => code === 4).length > 10, `${codes}`);
});

function assertAllRefused(
  lines: readonly string[],
  outcomes: readonly { code: number; out: string; err: string }[],
  message: RegExp,
): void {
  for (const [i, { code, out, err }] of outcomes.entries()) {
    assertEnding({ code, stdout: out, stderr: err, bytes: new Uint8Array() }, message, lines[i]!);
  }
}

Deno.test(title("a read-only file system is told from a damaged file", NO_MOUNTS), async () => {
  using program = new Program();
  await program.result("vlan", "add", "5");
  const setup = `${TMPFS("1m")}; cp host.db disk/; mount -o remount,ro disk`;
  const lines = LINES.map((line) => `--host disk/host.db ${line}`);
  assertAllRefused(
    lines,
    await transcript(program, OWN_MOUNTS, setup, lines),
    /cannot be opened: SQLite writes .*-wal and .*-shm beside it, so the directory must be writable and have room; copy/,
  );
  const others = [
    "--host disk/new.db host create",
    "host export disk/x.json",
    "list --trace-file disk/trace",
    "-c gid --host disk/x.db",
  ];
  using second = new Program();
  await second.result("vlan", "add", "5");
  assertAllRefused(
    others,
    await transcript(second, OWN_MOUNTS, setup, others),
    /the file system is read-only$|There is no host file disk\/x\.db/m,
  );
});

Deno.test(title("a read-only host file can be looked at and not changed", NO_MOUNTS), async () => {
  using program = new Program();
  await program.result("vlan", "add", "5");
  const setup = "touch bound.db; mount --bind host.db bound.db; mount -o remount,ro,bind bound.db";
  const looks = ["--host bound.db vlan list", "--host bound.db host check"];
  const changes = [
    "--host bound.db vlan add 6",
    "--host bound.db host reset",
    "--host bound.db host create --force",
  ];
  const outcomes = await transcript(program, OWN_MOUNTS, setup, [...looks, ...changes]);
  assertEquals(outcomes.slice(0, 2).map(({ code, out }) => [code, out]), [[0, "5\n"], [
    0,
    "bound.db is all right\n",
  ]]);
  assertAllRefused(
    changes,
    outcomes.slice(2),
    /may not be written: .*read-only; copy it|cannot be deleted: /,
  );
  assertEquals((await program.result("vlan", "list")).ids, [5]);
});

Deno.test(title("a full disk ends a change and loses nothing", NO_MOUNTS), async () => {
  using program = new Program();
  await program.script(["vlan add 5", "dma map --size 1M"]);
  const before = program.state();
  await program.result("--host", "large.db", "host", "create", "--functions", "64");
  await program.result("--host", "large.db", "host", "export", "large.json");
  // Room for the file and the index of its log, not for the log.
  const size = `${Math.ceil(program.read("host.db").length / 4096) * 4 + 40}k`;
  const setup = `${TMPFS(size)}; cp host.db disk/; echo old >disk/old.json`;
  const lines = [
    ...["vlan add 6", "dma write 0x100000000 fill:1*1M", "host reset", "host create --force"],
    ...["host create --force --functions 64", "host import large.json --force"],
  ].map((line) => `--host disk/host.db ${line}`);
  const others = ["--host large.db host export disk/old.json", "--host large.db host export disk/new.json"];
  const after = "--host disk/host.db host check";
  const keep = "version; cp disk/host.db kept.db; cp disk/old.json kept.json; ls disk >listed; true";
  const outcomes = await transcript(program, OWN_MOUNTS, setup, [...lines, ...others, after, keep]);
  const full = /cannot be (written|used|opened): the disk is full/;
  assertAllRefused([...lines, ...others], outcomes.slice(0, lines.length + others.length), full);
  assertEquals(outcomes.at(-2), { code: 0, out: "disk/host.db is all right\n", err: "" });
  assertEquals(program.state(program.path("kept.db")), before);
  const text = (name: string) => new TextDecoder().decode(program.read(name));
  assertEquals([text("kept.json"), text("listed")], ["old\n", "host.db\nold.json\n"]);
});

Deno.test(title("a disk without room for a host file is left without one", NO_MOUNTS), async () => {
  using program = new Program();
  for (const size of ["4k", "16k", "40k"]) {
    using other = new Program();
    const lines = ["--host disk/host.db host create", "--host disk/host.db gid"];
    const [created, used] = await transcript(other, OWN_MOUNTS, TMPFS(size), [
      ...lines,
      "version; ls -A disk >listed; true",
    ]);
    assertAllRefused([`${lines[0]} in ${size}`], [created!], /cannot be|the disk is full/);
    assertAllRefused([`${lines[1]} in ${size}`], [used!], /There is no host file/);
    assertEquals(other.read("listed").length, 0, size);
  }
  // What a first use leaves on a full disk becomes a host once there is room.
  const [first, second] = await transcript(
    program,
    OWN_MOUNTS,
    `${TMPFS("16k")}; export ISM_HOST=disk/host.db`,
    [
      "gid",
      "version; mount -o remount,size=1m disk; ism gid",
    ],
  );
  assertAllRefused(["gid"], [first!], /the disk is full/);
  assertMatch(second!.out, /^0x[0-9a-f]{16}\n$/);
});

Deno.test(title("permissions of file and directory are told as such", NO_MODES), async () => {
  using program = new Program();
  await program.result("vlan", "add", "5");
  const setup = [
    "mkdir closed; cp host.db closed/; chmod 000 closed",
    "mkdir fixed; cp host.db fixed/; chmod 555 fixed",
    "cp host.db secret.db; chmod 000 secret.db",
    "cp host.db frozen.db; chmod 444 frozen.db",
  ].join("\n");
  const refused = [
    ["--host closed/host.db list", /closed\/host\.db cannot be used: permission denied$/m],
    ["--host closed/host.db host create", /permission denied$/m],
    ["--host fixed/host.db vlan add 6", /may not be written|cannot be opened: SQLite writes/],
    ["--host fixed/new.db host create", /cannot be created: permission denied$/m],
    ["--host fixed/host.db host delete", /may not be written|cannot be/],
    ["--host secret.db list", /secret\.db cannot be opened: permission denied$/m],
    ["--host secret.db host create --force", /permission denied$/m],
    ["--host frozen.db vlan add 6", /frozen\.db may not be written: /],
    ["run closed/script.ism", /may not be opened: permission denied$/m],
    ["send secret.db", /may not be opened: permission denied$/m],
    ["host export fixed/x.json", /may not be opened: permission denied$/m],
  ] as const;
  const lines = [...refused.map(([line]) => line), "--host frozen.db vlan list"];
  try {
    const outcomes = await transcript(program, BOUND_BY_MODES, setup, lines);
    for (const [i, [line, message]] of refused.entries()) assertAllRefused([line], [outcomes[i]!], message);
    assertEquals(outcomes.at(-1), { code: 0, out: "5\n", err: "" });
  } finally {
    for (const name of ["closed", "fixed"]) Deno.chmodSync(program.path(name), 0o700);
  }
  for (const name of ["closed/host.db", "fixed/host.db", "secret.db", "frozen.db"]) {
    Deno.chmodSync(program.path(name), 0o600);
    assertEquals((await program.result("--host", name, "vlan", "list")).ids, [5]);
  }
});

const GUESTS = [{ name: "a", functions: [{ fid: 1, uid: 1 }] }];
/** Documents that are no topology: what they hold, and what is wrong with them. */
const TOPOLOGIES: readonly (readonly [text: string, message: RegExp])[] = [
  ["", /is not JSON: /],
  ["\x1b]0;title\x07", /is not JSON: /],
  ["null", /no topology: the document: /],
  ["[]", /no topology: guests: it is missing$/m],
  ["[".repeat(200_000) + "]".repeat(200_000), /no topology: guests: it is missing$/m],
  ['{"guests":'.repeat(100_000) + "1" + "}".repeat(100_000), /no topology: guests: /],
  [
    `{"__proto__":{"seed":5},"guests":${JSON.stringify(GUESTS)}}`,
    /no topology: __proto__: this key is not known$/m,
  ],
  ...([
    [{ seed: 1e308 }, /seed: /],
    [{ seed: "0xffffffffffffff" }, /seed: /],
    [{ seed: -1 }, /seed: /],
    [{ memory: 1e18 }, /memory: /],
    [{ memory: 2 ** 32 + 0.5 }, /memory: /],
    [{ machine: { endDma: 1e300 } }, /machine\.endDma: /],
    [{ machine: { startDma: 2 ** 40, endDma: 4095 } }, /machine\.startDma must be below machine\.endDma/],
    [{ ism: { bar2Size: 2 ** 40 } }, /ism\.bar2Size: /],
    [{ kernel: { busyRetryLimit: 2 ** 53 } }, /kernel\.busyRetryLimit: /],
    [{ clock: "9999-12-31T23:59:59Z" }, /clock: is no time between 1900 and 2184$/m],
    [{ "clo\x1b[31mck\u009b": 1 }, /clo\\x1b\[31mck\\x9b: this key is not known$/m],
    [{ guests: [{ name: "\u202e", functions: [] }] }, /guests\.0\.name: .*\\u\{202e\}/],
    [{ guests: [...GUESTS, ...GUESTS] }, /function id 0x1$/m],
    [{ guests: Array.from({ length: 70_000 }, () => GUESTS[0]) }, /guests: /],
    [{ clock: "x".repeat(3_000_000) }, /clock: /],
  ] as const).map(([more, message]) => [JSON.stringify({ guests: GUESTS, ...more }), message] as const),
];

Deno.test("a document that is no topology is refused, however strange it is, and the host stays", async () => {
  using program = new Program();
  await program.result("vlan", "add", "5");
  const before = program.read("host.db");
  await inParallel(
    TOPOLOGIES.map(([text, message], i) => ({ text, message, i })),
    async ({ text, message, i }) => {
      program.write(`${i}.json`, text);
      for (const line of [`host create --force --from ${i}.json`, `host import ${i}.json --force`]) {
        const outcome = await program.run(line.split(" "));
        assertEnding(
          outcome,
          line.startsWith("host create") ? message : /is no exported host: |is not JSON: /,
          text.slice(0, 80),
        );
        // deno-lint-ignore no-control-regex -- what must not be there
        assertMatch(outcome.stderr, /^[^\x00-\x09\x0b-\x1f\x7f-\x9f\u202e]*$/);
      }
    },
  );
  assertEquals(program.read("host.db"), before);
});

Deno.test("a file that a killed creation left empty becomes a host file with the next one", async () => {
  using program = new Program();
  const leave = (name: string) => {
    program.write(name, "");
    using db = new DatabaseSync(program.path(name));
    db.exec("PRAGMA journal_mode = WAL");
  };
  program.write("nothing.db", "");
  leave("created.db");
  leave("used.db");
  for (const name of ["nothing.db", "created.db"]) await program.result("--host", name, "host", "create");
  assertEquals((await program.run(["gid"], { env: { ISM_HOST: program.path("used.db") } })).code, 0);
  for (const name of ["nothing.db", "created.db", "used.db"]) {
    assertEquals((await program.result("--host", name, "host", "check")).ok, true);
  }
});
