/** The driver in C of examples/drivers, unmodified, under exec. */
import { assertEquals, assertMatch } from "@std/assert";
import { CProgram } from "../support/c_program.ts";
import { Program } from "../support/program.ts";

/** What the driver prints: the GID of the first function differs from host to host, the rest does not. */
const OUTPUT =
  /^GID 0x[0-9a-f]{1,16}, store blocks up to 4096 bytes\nsignal: DMB index 32, mask 0x1000\nevent: code 42, info 0x1234\ndata: arrived\n$/;

const SOURCE = "examples/drivers/c/ism.c";

Deno.test("the C driver does its work through the group and through the character device", async () => {
  using program = new Program();
  using driver = new CProgram(SOURCE, ["-O2"]);
  for (const args of [[], ["--cdev"]]) {
    const { code, stdout, stderr } = await program.run(["exec", "--", driver.path, ...args]);
    assertEquals([code, stderr], [0, ""]);
    assertMatch(stdout, OUTPUT);
  }
  assertEquals((await program.run(["host", "check"])).code, 0);
  const { result } = JSON.parse((await program.run(["status", "--json"])).stdout);
  assertEquals(result.descriptors, []);
});

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

Deno.test("every region layout: a driver that takes positions from the kernel works", async () => {
  using program = new Program();
  using driver = new CProgram(SOURCE);
  // With 2^40 bytes a region (legacy40) no DMB can be reached: its token has more bits.
  for (const layout of ["ism48", "dynamic"]) {
    const topology = {
      guests: [{ name: "a", functions: [{ fid: 16, uid: 1, vfn: 1 }] }],
      kernel: { regionLayout: layout },
    };
    const file = program.write("topology.json", JSON.stringify(topology));
    const created = await program.run(["host", "create", "--force", "--from", file]);
    assertEquals([created.code, created.stderr], [0, ""]);
    const { code, stderr } = await program.run(["exec", "--", driver.path]);
    assertEquals([layout, code, stderr], [layout, 0, ""]);
  }
});

Deno.test("a trace shows the program's calls as it shows those of ism", async () => {
  using program = new Program();
  using driver = new CProgram(SOURCE);
  const { code, stderr } = await program.run(["exec", "--trace=syscall", "--", driver.path]);
  assertEquals(code, 0);
  assertMatch(stderr, /ioctl\(\d+, VFIO_GROUP_SET_CONTAINER/);
  assertMatch(stderr, /pwrite64\(\d+, .*, 8, 0x2000000000000\) = 8/);
});
