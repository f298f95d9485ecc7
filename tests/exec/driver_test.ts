/** The drivers of examples/drivers, in C, Rust and Go, unmodified, under exec. */
import { assertEquals, assertMatch } from "@std/assert";
import { CProgram } from "../support/c_program.ts";
import { DriverProgram, driverTest, LANGUAGE_NAMES } from "../support/driver_program.ts";
import { Program } from "../support/program.ts";

/** What a driver prints: the GID of the first function differs from host to host, the rest does not. */
const SESSION = String.raw`GID 0x[0-9a-f]{1,16}, store blocks up to 4096 bytes\n`;
const DONE = String.raw`elements 0x1000, data arrived\n`;
const OUTPUT = new RegExp(`^${SESSION}${DONE}$`);

const SOURCE = "examples/drivers/c/ism.c";

/** A host with one guest, which has two functions, and options of the topology. */
async function createHost(program: Program, options: Readonly<Record<string, unknown>>): Promise<void> {
  const functions = [{ fid: 16, uid: 1, vfn: 1 }, { fid: 17, uid: 2, vfn: 2 }];
  const topology = { guests: [{ name: "a", functions }], ...options };
  const file = program.write("topology.json", JSON.stringify(topology));
  const created = await program.run(["host", "create", "--force", "--from", file]);
  assertEquals([created.code, created.stderr], [0, ""]);
}

for (const language of LANGUAGE_NAMES) {
  driverTest(
    `${language}: the driver does its work through group and character device`,
    [language],
    async () => {
      using program = new Program();
      using driver = new DriverProgram(language);
      for (const args of [[], ["--cdev"]]) {
        const { code, stdout, stderr } = await program.run(["exec", "--", driver.path, ...args]);
        assertEquals([code, stderr], [0, ""]);
        assertMatch(stdout, OUTPUT);
      }
      assertEquals((await program.run(["host", "check"])).code, 0);
      const { result } = JSON.parse((await program.run(["status", "--json"])).stdout);
      assertEquals(result.descriptors, []);
    },
  );

  // recovery.driver.procedure: the driver drains the blocks, resets while the kernel holds its locks, registers anew.
  driverTest(`${language}: the driver recovers from an error of the function`, [language], async () => {
    using program = new Program();
    using driver = new DriverProgram(language);
    const again = new RegExp(`^(${SESSION}(${DONE})?)?${SESSION}${DONE}$`);
    for (const kernel of [{ recoveryWindow: 3 }, { release: "7.1" }]) {
      for (const at of [1, 9, 17]) {
        await createHost(program, { kernel });
        await program.run(["fault", "add", "event:0x2", "--op", "PCISTB", "--at", `${at}`]);
        const { code, stdout, stderr } = await program.run(["exec", "--", driver.path]);
        assertEquals([kernel, at, code], [kernel, at, 0], stderr);
        assertMatch(stdout, again);
        // In 7.1 the kernel recovers by itself, and tells nobody.
        assertEquals(stderr, "release" in kernel ? "" : "error event 0x0002\n");
      }
    }
    await createHost(program, {});
    await program.run(["fault", "add", "event:0x3b", "--op", "PCISTB", "--at", "9"]);
    const { code, stderr } = await program.run(["exec", "--", driver.path]);
    assertEquals(code === 0, false, "a function that is lost does not come back");
    assertMatch(stderr, /^error event 0x003b\n/);
  });

  driverTest(`${language}: the driver takes positions and limits from the kernel`, [language], async () => {
    using program = new Program();
    using driver = new DriverProgram(language);
    const options = [
      { kernel: { regionLayout: "ism48" } },
      { kernel: { regionLayout: "dynamic" } },
      { kernel: { regionLayout: "reordered" } },
      { kernel: { regionLayout: "packed" } },
      { kernel: { driverRevision: "posted-v4" } },
      { machine: { maxstbl: 128 } },
      { machine: { startDma: 0x12_3000, endDma: 0xff_ffff } },
    ];
    for (const option of options) {
      await createHost(program, option);
      const { code, stderr } = await program.run(["exec", "--", driver.path, "--cdev", "0002:00:00.0"]);
      assertEquals([option, code, stderr], [option, 0, ""]);
    }
    // With 2^40 bytes a region no DMB can be reached, and strict rules refuse every command: the driver says so.
    for (const option of [{ kernel: { regionLayout: "legacy40" } }, { machine: { storeBlock: "strict8" } }]) {
      await createHost(program, option);
      const { code } = await program.run(["exec", "--", driver.path]);
      assertEquals([option, code], [option, 77]);
    }
  });
}

for (const [left, right] of [["c", "rust"], ["rust", "go"], ["go", "c"]] as const) {
  driverTest(`a driver in ${left} and one in ${right} talk to each other`, [left, right], async () => {
    using program = new Program();
    using one = new DriverProgram(left);
    using other = new DriverProgram(right);
    await createHost(program, {});
    const gids = JSON.parse((await program.run(["list", "--json"])).stdout).result.functions
      .map(({ gid }: { readonly gid: string }) => gid);
    const script = `"$1" 0001:00:00.0 ${gids[1]} & "$2" --cdev 0002:00:00.0 ${
      gids[0]
    }; r=$?; wait $! && exit $r`;
    const { code, stdout, stderr } = await program.run(
      ["exec", "--", "/bin/sh", "-c", script, "sh", one.path, other.path],
    );
    assertEquals([code, stderr], [0, ""]);
    assertEquals(stdout.match(/data arrived/g)?.length, 2);
  });
}

Deno.test("it acts in the guest of the function that -d names", async () => {
  using program = new Program();
  using driver = new CProgram(SOURCE);
  const gid = JSON.parse((await program.run(["gid", "-d", "1", "--json"])).stdout).result.gid;
  await program.run(["close", "-d", "1"]);
  const { code, stdout } = await program.run(["exec", "-d", "1", "--", driver.path, "0002:00:00.0"]);
  assertEquals([code, stdout.split(",")[0]], [0, `GID ${gid}`]);
  const other = await program.run(["exec", "--", driver.path, "0002:00:00.0"]);
  assertEquals([other.code, other.stdout], [1, ""], "the function of another guest is not there");
  assertMatch(other.stderr, /readlink.*No such file or directory/);
});

Deno.test("a function that ism's own process has open is busy, as for any second process", async () => {
  using program = new Program();
  using driver = new CProgram(SOURCE);
  await program.run(["open"]);
  const { code, stderr } = await program.run(["exec", "--", driver.path]);
  assertEquals(code, 1);
  assertMatch(stderr, /Device or resource busy/);
  await program.run(["close"]);
  assertEquals((await program.run(["exec", "--", driver.path])).code, 0);
});

Deno.test("a trace shows the program's calls as it shows those of ism", async () => {
  using program = new Program();
  using driver = new CProgram(SOURCE);
  const { code, stderr } = await program.run(["exec", "--trace=syscall", "--", driver.path]);
  assertEquals(code, 0);
  assertMatch(stderr, /ioctl\(\d+, VFIO_GROUP_SET_CONTAINER/);
  assertMatch(stderr, /pwrite64\(\d+, .*, 8, 0x2000000000000\) = 8/);
});
