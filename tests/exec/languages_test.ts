/**
 * Programs in other languages and with other C libraries under exec, and surroundings that lack something: another user, few
 * descriptors, an older kernel's listener, no pidfd_getfd, no listener at all.
 */
import { assertEquals, assertMatch } from "@std/assert";
import { CProgram } from "../support/c_program.ts";
import { BuiltProgram } from "../support/built_program.ts";
import { Program } from "../support/program.ts";

const LONG = Deno.env.get("ISM_SOAK") !== undefined;
const DRIVER = "examples/drivers/c/ism.c";
const OUTPUT = /^GID 0x[0-9a-f]{1,16}, store blocks up to 4096 bytes\nelements 0x1000, data arrived\n$/;
/** musl's compiler does not look where Debian has the kernel's headers. */
const KERNEL_HEADERS = [
  "-idirafter",
  "/usr/include",
  "-idirafter",
  `/usr/include/${Deno.build.arch}-linux-gnu`,
];

Deno.test("C: linked to a shared glibc, to a static one, to musl", async () => {
  using program = new Program();
  const ways = [{}, { flags: ["-static"] }, { compiler: "musl-gcc", flags: ["-static", ...KERNEL_HEADERS] }];
  for (const way of ways) {
    using driver = new BuiltProgram(DRIVER, way);
    for (const args of [[], ["--cdev"]]) {
      const { code, stdout, stderr } = await program.run(["exec", "--", driver.path, ...args]);
      assertEquals([way, code, stderr], [way, 0, ""]);
      assertMatch(stdout, OUTPUT);
    }
  }
});

/** Runs `PROGRAM ADDRESS COUNT`, which tells the GID and how many reads went wrong. */
async function runMany(program: Program, words: readonly string[], count: number): Promise<void> {
  const gid = (await program.run(["gid"])).stdout.trim();
  await program.run(["close"]);
  const { code, stdout, stderr } = await program.run(["exec", "--", ...words, "0001:00:00.0", String(count)]);
  assertEquals([code, stdout, stderr], [0, `GID ${gid}, wrong 0\n`, ""]);
}

Deno.test("Go: threads of the runtime, which it preempts by signals", async () => {
  using program = new Program();
  using go = new BuiltProgram("tests/exec/many.go");
  await runMany(program, [go.path], LONG ? 20_000 : 200);
});

Deno.test("Rust: the standard library, 16 threads", async () => {
  using program = new Program();
  using rust = new BuiltProgram("tests/exec/many.rs");
  await runMany(program, [rust.path], LONG ? 20_000 : 200);
});

Deno.test("Python: os.preadv, os.pwritev, fcntl.ioctl, threads", async () => {
  using program = new Program();
  const file = new URL("many.py", import.meta.url).pathname;
  await runMany(program, ["/usr/bin/python3", file], LONG ? 20_000 : 200);
});

/** Runs a line of the shell that knows `ism`, through a program that refuses something. */
async function refused(program: Program, what: string, line: string) {
  using refuse = new CProgram("tests/exec/refuse.c");
  return await program.shell(line, [refuse.path, what]);
}

Deno.test("a kernel without SYNC_WAKE_UP: slower, and the same", async () => {
  using program = new Program();
  using driver = new CProgram(DRIVER);
  const { code, stdout, stderr } = await refused(program, "sync", `ism exec -- ${driver.path}`);
  assertEquals([code, stderr], [0, ""]);
  assertMatch(stdout, OUTPUT);
});

Deno.test("pidfd_getfd refused: eventfds that exec has seen work; a second exec says what is wrong", async () => {
  using program = new Program();
  using driver = new CProgram(DRIVER);
  const alone = await refused(program, "pidfd_getfd", `ism exec -- ${driver.path}`);
  assertEquals([alone.code, alone.stderr], [0, ""]);
  assertMatch(alone.stdout, OUTPUT);
  const beside = `(sleep 3 | ism exec -- cat) & sleep 1; ism exec -d 1 -- /bin/true; echo "second $?"; wait`;
  const { stdout } = await refused(program, "pidfd_getfd", `${beside} 2>&1`);
  assertEquals(stdout, "second 126\n");
});

Deno.test("seccomp refused: exec says so", async () => {
  using program = new Program();
  const { code, stdout, stderr } = await refused(program, "listener", "ism exec -- /bin/true");
  assertEquals([code, stdout], [126, ""]);
  assertMatch(
    stderr,
    /^ism: exec: exec cannot watch a program: seccomp\(.*\(a container or a security module/,
  );
});

Deno.test("what every call needs refused: exec says so and starts nothing", async () => {
  using program = new Program();
  for (const call of ["process_vm_readv", "process_vm_writev", "pidfd_open"]) {
    const { code, stdout, stderr } = await refused(program, call, "ism exec -- /bin/echo started");
    assertEquals([code, stdout, stderr], [
      126,
      "",
      `ism: exec: exec cannot answer a program: ${call} failed with error number 1 (a container or a security module does not allow it)\n`,
    ]);
  }
});

Deno.test("without any capability, two programs", async () => {
  using program = new Program();
  using c = new CProgram("tests/exec/pair.c");
  // Who is not root has none.
  const through = Deno.uid() === 0 ? ["setpriv", "--inh-caps=-all", "--bounding-set=-all"] : [];
  const talk = (side: number) => `${c.path} 000${side + 1}:00:00.0 ${side} ${program.dir} messages 100`;
  const { code, stdout, stderr } = await program.shell(
    `grep CapEff /proc/self/status; ism host create && { ism exec -- ${
      talk(0)
    } 2>/dev/null & ism exec -d 1 -- ${talk(1)}; echo $?; wait; }`,
    through,
  );
  assertEquals([code, stdout.split("\n").toSorted()], [
    0,
    ["", "0", "CapEff:\t0000000000000000", "side 0: 100 messages", "side 1: 100 messages"],
  ], stderr);
});
