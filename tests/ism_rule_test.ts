/** Refusals name the rule of the reference that they follow: in JSON, with -v, in `expect` and in `explain`. */
import { assert, assertEquals } from "@std/assert";
import { findRule } from "../cmd/reference/reference.ts";
import { documentsOf, Program } from "./support/program.ts";

/** Lines, one after the other on a fresh host, and the rule that each is refused by. */
const REFUSALS: readonly (readonly [line: string, code: string, ref: string | undefined])[] = [
  ["unbind", "", undefined],
  ["unbind", "ENODEV", "vfio.bind.errno"],
  ["bind", "", undefined],
  ["open", "", undefined],
  ["stb bar0 0xff8 seq:0*9", "EINVAL", "vfio.write.boundary"],
  ["peek bar1 0", "EINVAL", "vfio.rw.empty"],
  ["pread 0x9000000000000 1", "EINVAL", "vfio.rw.index"],
  ["peek config 0xff 2", "EFAULT", "vfio.config.range"],
  ["peek bar0 0", "EIO", "ism.data.load"],
  ["stb bar0 0x10000000 hex:00", "EIO", "ism.data.refused"],
  ["fd write 5 hex:00 --count 2 --at 0x2000000000008", "EFAULT", "vfio.write.fault"],
  ["fd read 5 8 --at 0x2000000000000 --accessible 4", "EFAULT", "vfio.read.fault"],
  ["fd lseek 5 0", "ESPIPE", "vfio.rw.lseek"],
  ["fd mmap 5 4k", "EINVAL", "vfio.mmap.never"],
  ["ioctl device 0x3b7f", "ENOTTY", "vfio.ioctl.unknown"],
  ["ioctl device VFIO_DEVICE_GET_INFO argsz=15", "EINVAL", "vfio.ioctl.argsz"],
  ["ioctl device VFIO_DEVICE_SET_IRQS argsz=20 flags=0x21 index=2", "EINVAL", "vfio.setirqs.range"],
  ["feature 11", "EOPNOTSUPP", "vfio.feature.dmabuf"],
  ["feature 1", "ENOTTY", "vfio.feature.table"],
  // The adapter's return codes and the machine's answers have rules, too.
  ["rgid 0xdead", "RET", "ism.cmd.codes"],
  ["zpci pcilg 2 0 8 --fh 0x1", "MACHINE", "zpci.handle.stale"],
  ["zpci mpcifc 9", "MACHINE", "zpci.insn.status"],
  ["zpci enable", "MACHINE", "zpci.setfn.rules"],
  ["zpci event 0x3a", "", undefined],
  ["peek bar2 0", "EIO", "recovery.event.state"],
  ["peek config 0 4", "", undefined],
  ["peek config 8 4", "ENODEV", "vfio.config.gone"],
];

Deno.test("ism --json names the rule of each refusal, and help knows it", async () => {
  using program = new Program();
  program.write(
    "refusals.ism",
    REFUSALS.filter(([, code]) => code !== "USAGE").map(([line]) => line).join("\n"),
  );
  const documents = documentsOf(await program.run(["run", "refusals.ism", "--keep-going", "--json"]));
  for (const [i, [line, code, ref]] of REFUSALS.entries()) {
    const { error } = documents[i]!;
    assertEquals([error?.code ?? "", error?.["ref"]], [code, ref], line);
    if (ref !== undefined) assert(findRule(ref).text !== "", line);
  }
});

Deno.test("a refusal shows its rule and how to print it, also in a pipe; -v says who refused", async () => {
  using program = new Program();
  for (const verbose of [[], ["-v"]]) {
    const { stderr } = await program.run([...verbose, "stb", "bar0", "0xff8", "seq:0*9"]);
    assert(stderr.includes("\n  rule: vfio.write.boundary  (ism help vfio.write.boundary)\n"), stderr);
    assertEquals(stderr.includes("\n  refused by: "), verbose.length > 0);
  }
});

Deno.test("ism explain ends with the rule that decides", async () => {
  using program = new Program();
  const { stdout } = await program.run(["explain", "stb", "bar0", "0xff8", "seq:0*9"]);
  const [, end = ""] = stdout.split("\nvfio.write.boundary\n\n");
  const words = (text: string) => text.split(/\s+/).filter((word) => word !== "").join(" ");
  assertEquals(words(end), words(findRule("vfio.write.boundary").text));
  const [refused, done] = documentsOf(
    await program.run(["-c", "explain stb bar0 0xff8 seq:0*9", "-c", "explain gid", "--json"]),
  );
  assertEquals(refused!.result.reference, findRule("vfio.write.boundary"));
  assertEquals([done!.result.outcome, done!.result.reference], ["done", null]);
});

Deno.test("expect EINVAL:RULE takes the name of the rule as well", async () => {
  using program = new Program();
  const lines = (rule: string) => ["-c", `expect EINVAL:${rule} stb bar0 0xff8 seq:0*9`];
  assertEquals((await program.run(lines("vfio.write.boundary"))).code, 0);
  assertEquals((await program.run(lines("'4 KiB boundary'"))).code, 0);
  assertEquals((await program.run(lines("vfio.write.limit"))).code, 3);
});
