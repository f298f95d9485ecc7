/**
 * Small C programs under exec that look at one thing each: what files say, descriptors in the life of processes, waiting,
 * signals in the middle of calls, threads. What they print is what the kernel answers on the real machine.
 */
import { assertEquals, assertMatch } from "@std/assert";
import { CProgram } from "../support/c_program.ts";
import { EXECUTABLE, Program } from "../support/program.ts";
import { SLOW } from "../support/slow.ts";

const LONG = Deno.env.get("ISM_SOAK") !== undefined;

/** Runs a C program on a fresh host. @returns the lines that it printed */
async function lines(
  program: Program,
  c: CProgram,
  args: readonly string[] = [],
  options: readonly string[] = [],
): Promise<string[]> {
  const { code, stdout, stderr } = await program.run(["exec", ...options, "--", c.path, ...args]);
  assertEquals([stdout.split("\n").at(-2), code, stderr], [stdout.split("\n").at(-2), 0, ""]);
  return stdout.split("\n").slice(0, -1);
}

const FILES = `F_GETFL: 0
F_SETFL: works
F_GETFL: 4000
fstat: 20000 10:196
O_DIRECTORY: Not a directory
O_CREAT|O_EXCL: File exists
missing: No such file or directory
new file: Permission denied
below a file: Not a directory
link with O_NOFOLLOW: Too many levels of symbolic links
directory for writing: Is a directory
read-only attribute: Permission denied
write-only attribute: Permission denied
dots: works
stat: works
stat of nothing: No such file or directory
access: works
access X_OK: Permission denied
lstat: 120000
stat: 40000
statx: 100000 256
/sys/bus/pci/devices/0001:00:00.0/iommu_group -> ../../../kernel/iommu_groups/0 = /sys/kernel/iommu_groups/0
/sys/bus/pci/devices/0001:00:00.0/driver -> ../../../bus/pci/drivers/ism_vfio_pci = /sys/bus/pci/drivers/ism_vfio_pci
/sys/kernel/iommu_groups/0/devices/0001:00:00.0 -> ../../../../devices/pci0001:00/0001:00:00.0 = /sys/devices/pci0001:00/0001:00:00.0
/sys/class/vfio-dev/vfio0 -> ../../devices/pci0001:00/0001:00:00.0/vfio-dev/vfio0 = /sys/devices/pci0001:00/0001:00:00.0/vfio-dev/vfio0
/dev/vfio/0 -> Invalid argument = /dev/vfio/0
entry: . 4
entry: .. 4
entry: 0001:00:00.0 10
openat: works
read: 4 3 0
lseek: 0, again: 7
vendor: 0x1014
device: 0x04ed
class: 0x000000
subsystem_vendor: 0x0000
subsystem_device: 0x0000
revision: 0x00
numa_node: -1
driver_override: ism_vfio_pci
vfio-dev/vfio0/dev: 510:0
bus master: 0
config: 256 of 300
config: 2 written
bus master: 1
echo 0001:00:00.0 > unbind: works
group without a driver: No such file or directory
/sys/bus/pci/devices/0001:00:00.0/driver -> No such file or directory = 
echo 0001:00:00.0 > bind: No such device
echo vfio-pci
 > driver_override: works
echo 0001:00:00.0
 > bind: works
echo 0009:00:00.0
 > bind: No such device
/sys/bus/pci/devices/0001:00:00.0/driver -> ../../../bus/pci/drivers/vfio-pci = /sys/bus/pci/drivers/vfio-pci
echo 0001:00:00.0 > unbind: No such device
group of the generic driver: works
echo 0001:00:00.0 > unbind: works
echo ism_vfio_pci > driver_override: works
echo 0001:00:00.0 > bind: works
mmap: Invalid argument
ftruncate: Invalid argument
fchdir: Not a directory
copy_file_range: Invalid argument
splice: Invalid argument
preadv2 with RWF_NOWAIT: Operation not supported
preadv2: works
too many segments: Invalid argument
bad vector: Bad address
lseek with whence 9: Invalid argument
FIONREAD: Inappropriate ioctl for device
FIOCLEX: works
FD_CLOEXEC: 1
no pointer: Bad address
read-only struct: Bad address
read into read-only memory: Bad address
read-only memory for the device to write: Bad address
and to read: works
memory that is not there: Bad address
store into memory that is unmapped meanwhile: works`;

Deno.test("files: flags, stat, links, directories, attributes, drivers bound through sysfs, refusals", async () => {
  using program = new Program();
  using c = new CProgram("tests/exec/files.c");
  assertEquals((await lines(program, c)).join("\n"), FILES);
});

const LIFE = `copy: works
closed number: Bad file descriptor
copy after close: works
F_DUPFD_CLOEXEC: works
FD_CLOEXEC: 1
child: 0
parent after child: works
killed child: 1009
parent after kill: works
after execve: works
after execve: Bad file descriptor
parent after execve: works
closed in a shared table: Bad file descriptor
group while open: Device or resource busy
group after its close: Device or resource busy
after close_range: Bad file descriptor
group after the last close: works
crash: 6
group after a crash: works`;

Deno.test("processes: dup, fork, vfork, execve, CLONE_FILES, close_range, kill and crash", async () => {
  using program = new Program();
  using c = new CProgram("tests/exec/life.c");
  assertEquals((await lines(program, c)).join("\n"), LIFE);
  assertEquals((await lines(program, c, [], ["--any-descriptor"])).join("\n"), LIFE);
  assertEquals((await program.run(["host", "check"])).code, 0);
});

const MEMORY = (locked: string) =>
  `31 more: works
and one: ${locked}
in a child: works
after unmap: works
a hole behind the limit: ${locked === "works" ? "Bad address" : "Cannot allocate memory"}
a hole before the limit: Bad address
store into unmapped memory: 8
what is there now: 0
store into what is mapped anew: 8
what is there now: 1122334455667788
all there: 8, bits 80 81 11, interrupts 1, data 1
data unmapped: 8, bits 80 81 11, interrupts 1
signals unmapped: 8, data 1`;

Deno.test("memory: RLIMIT_MEMLOCK counts, and can be left out; what is unmapped takes nothing", async () => {
  using program = new Program();
  using c = new CProgram("tests/exec/memory.c");
  const order = (text: string[]) => text.join("\n");
  assertEquals(order(await lines(program, c)), MEMORY("Cannot allocate memory"));
  assertEquals(order(await lines(program, c, [], ["--no-memlock"])), MEMORY("works"));
});

Deno.test("waiting: poll, select and epoll on devices and eventfds; an interrupt wakes a sleeper", async () => {
  using program = new Program();
  using c = new CProgram("tests/exec/waiting.c");
  assertEquals(await lines(program, c), [
    "poll: 2 5 5 0",
    "poll: 3 1",
    "count: 1",
    "select: 1 1 0",
    "epoll device: -1 Operation not permitted",
    "epoll eventfd: 0",
    "sleeper read 8: 1",
    "epoll: 1",
  ]);
});

// Where a call does not arrive within 100 us signals of that pace let none arrive.
const PERIOD = SLOW ? 20_000 : 100;

Deno.test(`signals every ${PERIOD} us: each store and each ioctl is carried out once`, async () => {
  using program = new Program();
  using c = new CProgram("tests/exec/signals.c");
  for (const how of ["-", "restart"]) {
    const [text = ""] = await lines(program, c, [LONG ? "1000000" : "3000", how, String(PERIOD)]);
    assertMatch(text, /^wrong 0, stores once, triggers once, alarms came$/);
  }
});

Deno.test("the environment is the program's; what a form of ism sets for Deno alone is taken back", async () => {
  using program = new Program();
  const args = ["exec", "--", "/usr/bin/env"];
  const seen = async (env: Record<string, string>) => {
    const { stdout } = await program.run(args, { env });
    return stdout.split("\n").filter((line) => /DENO_(?!DIR=.*deno$)|_ISM|^A=/.test(line)).toSorted();
  };
  assertEquals(await seen({ A: "b", DENO_NO_UPDATE_CHECK: "1" }), ["A=b", "DENO_NO_UPDATE_CHECK=1"]);
  const own = { A: "b", DENO_DIR: "/mine", DENO_NO_UPDATE_CHECK: "" };
  // A form that is built says itself what it has set; for the source the test stands in for it.
  const setForDeno = { DENO_NO_UPDATE_CHECK: "1", _ISM_ENVIRONMENT: "1" };
  const [without, withOwn] = EXECUTABLE !== undefined ? [{ A: "b" }, own] : [
    { A: "b", ...setForDeno },
    {
      A: "b",
      ...setForDeno,
      _ISM_DENO_DIR: own.DENO_DIR,
      _ISM_DENO_NO_UPDATE_CHECK: own.DENO_NO_UPDATE_CHECK,
    },
  ];
  assertEquals(await seen(without), ["A=b"]);
  assertEquals(await seen(withOwn), ["A=b", "DENO_DIR=/mine", "DENO_NO_UPDATE_CHECK="]);
});

Deno.test("16 threads store, read and duplicate at the same time", async () => {
  using program = new Program();
  using c = new CProgram("tests/exec/threads.c", ["-O1", "-pthread"]);
  assertEquals(await lines(program, c, ["16", LONG ? "10000" : "100"]), ["wrong 0"]);
});

Deno.test("bits of the SBA that are set and cleared at the same time: no interrupt is lost", async () => {
  using program = new Program();
  using c = new CProgram("tests/exec/walk.c", ["-O1", "-pthread"]);
  assertEquals(await lines(program, c, [LONG ? "1000000" : "10000"]), ["seen all, woken up by interrupts"]);
});

Deno.test("with --any-descriptor: numbers of the program's choice, and descriptors received in a message", async () => {
  using program = new Program();
  using c = new CProgram("tests/exec/passing.c");
  assertEquals(await lines(program, c, [], ["--any-descriptor"]), [
    "received: works",
    "dup2: 0",
    "moved: works",
    "after close: Bad file descriptor, works",
    "after the sender: works",
    "group: free",
  ]);
});

Deno.test("without --any-descriptor dup2 to such a number is refused, and people are told", async () => {
  using program = new Program();
  const { stdout, stderr } = await program.shell(
    'ism exec -- /bin/bash -c "exec 800<>/dev/vfio/vfio && exec 5>&800; echo \\$?"',
  );
  assertEquals(stdout, "1\n");
  assertMatch(stderr, /^ism: exec: descriptor 5 cannot mean a simulated file: .*--any-descriptor/m);
});

Deno.test("exit codes and signals are the program's; 126 and 127 as a shell", async () => {
  using program = new Program();
  program.write("text", "no program");
  const rows: readonly (readonly [args: readonly string[], code: number, stderr: RegExp])[] = [
    [["/bin/true"], 0, /^$/],
    [["/bin/sh", "-c", "exit 42"], 42, /^$/],
    [["/bin/sh", "-c", "kill -TERM $$"], 143, /^$/],
    [["/bin/sh", "-c", "kill -KILL $$"], 137, /^$/],
    [["/bin/sh", "-c", "echo to stderr >&2"], 0, /^to stderr\n$/],
    [["/nonexistent/program"], 127, /^ism: exec: \/nonexistent\/program: No such file or directory\n$/],
    [[program.path("text")], 126, /^ism: exec: .*text: Permission denied\n$/],
    [["/"], 126, /^ism: exec: \/: Permission denied\n$/],
  ];
  for (const [args, code, stderr] of rows) {
    const outcome = await program.run(["exec", "--", ...args]);
    assertEquals([args, outcome.code, outcome.stdout], [args, code, ""]);
    assertMatch(outcome.stderr, stderr);
  }
});

/** Starts a program under exec, and does something to ism when the program says that it runs. */
async function whileRunning(
  program: Program,
  args: readonly string[],
  act: (child: Deno.ChildProcess, text: string) => void,
): Promise<{ status: Deno.CommandStatus; stdout: string }> {
  const child = program.spawn(["exec", "--", ...args]);
  const decoder = new TextDecoder();
  let stdout = "";
  let acted = false;
  for await (const part of child.stdout) {
    stdout += decoder.decode(part);
    if (!acted && stdout.includes("\n")) act(child, stdout);
    acted ||= stdout.includes("\n");
  }
  await child.stderr.cancel();
  await child.stdin.close();
  return { status: await child.status, stdout };
}

Deno.test("a signal that ends the program ends ism in the same way; those for ism reach the program", async () => {
  using program = new Program();
  const rows:
    readonly (readonly [script: string, signal: Deno.Signal | undefined, code: number, by: string | null])[] =
      [
        ["echo; kill -TERM $$", undefined, 143, "SIGTERM"],
        ["echo; kill -SEGV $$", undefined, 139, "SIGSEGV"],
        ["echo; kill -PIPE $$", undefined, 141, "SIGPIPE"],
        ["echo; exec /bin/sleep 30", "SIGTERM", 143, "SIGTERM"],
        ["trap 'exit 3' TERM; echo; while :; do /bin/sleep 0.05; done", "SIGTERM", 3, null],
        ["trap 'exit 4' HUP; echo; while :; do /bin/sleep 0.05; done", "SIGHUP", 4, null],
        // Ctrl-C comes to both from the terminal: ism leaves it to the program.
        ["echo; /bin/sleep 0.5; exit 5", "SIGINT", 5, null],
      ];
  for (const [script, signal, code, by] of rows) {
    const { status } = await whileRunning(program, ["/bin/sh", "-c", script], (child) => {
      if (signal !== undefined) child.kill(signal);
    });
    assertEquals([script, status.code, status.signal], [script, code, by]);
  }
});

Deno.test("ism killed: the program's calls are answered, the host file is as it was", async () => {
  using program = new Program();
  using c = new CProgram("tests/exec/orphan.c");
  await program.run(["host", "create"]);
  const before = (await program.run(["host", "export"])).stdout;
  const { stdout } = await whileRunning(program, [c.path], (child) => child.kill("SIGKILL"));
  assertEquals(stdout, "open\nFunction not implemented\n");
  assertEquals((await program.run(["host", "check"])).code, 0);
  assertEquals((await program.run(["host", "export"])).stdout, before);
});

Deno.test("what stands behind the program is the program's, and input reaches it", async () => {
  using program = new Program();
  const echo = await program.run(["exec", "/bin/echo", "-n", "--json", "-d", "$x", ""]);
  assertEquals([echo.code, echo.stdout, echo.stderr], [0, "--json -d $x ", ""]);
  const cat = await program.run(["exec", "--", "/bin/cat"], { stdin: "through\n" });
  assertEquals([cat.code, cat.stdout], [0, "through\n"]);
  const dry = await program.run(["exec", "--dry-run", "--", "/bin/true"]);
  assertEquals([dry.code, dry.stderr], [
    2,
    "ism: exec: A program cannot be run dry: what it does outside of the host stays\n",
  ]);
});

Deno.test("exec inside exec says what is wrong", async () => {
  using program = new Program();
  const { code, stderr } = await program.shell(
    `ism exec -- ${program.commandLine(["--host", ":memory:", "exec", "/bin/true"])}`,
  );
  assertEquals(code, 126);
  assertMatch(stderr, /exec cannot run inside another exec/);
});

Deno.test("a low limit of descriptors: the range moves below it", async () => {
  using program = new Program();
  using c = new CProgram("examples/drivers/c/ism.c");
  const { code, stdout, stderr } = await program.shell(`ulimit -n 256; ism exec -- ${c.path}`);
  assertEquals([code, stdout.split("\n").at(-2), stderr], [0, "elements 0x1000, data arrived", ""]);
});
