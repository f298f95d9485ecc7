/** Two processes on one function: waits on its descriptors, and memory that both change. */
import { assert, assertEquals, assertMatch } from "@std/assert";
import { inParallel, Program } from "./support/program.ts";

Deno.test("poll and fd read --wait end when another process signals, and leave the SBA alone", async () => {
  using program = new Program();
  await program.result("events", "-d", "1");
  const { gid } = await program.result("gid", "-d", "1");
  const waiting = [
    program.result("poll", "eventfd", "-d", "1", "--timeout", "30"),
    program.result("poll", "eventfd", "99", "-d", "1", "--events", "out"),
    program.result("fd", "read", "eventfd", "8", "--wait", "-d", "1", "--timeout", "30"),
  ];
  // A descriptor that is not open, or that can be written, is nothing to wait for.
  assertEquals((await waiting[1]).ret, 2);
  await new Promise((resolve) => setTimeout(resolve, 1000));
  await program.result("signal", gid, "--code", "5");
  // Whichever process looks first may take the count before the other sees it.
  const read = await waiting[2];
  assertEquals([read.ret, read.data], [8, "0100000000000000"]);
  await program.result("fd", "write", "eventfd", "hex:0100000000000000", "-d", "1");
  assertEquals((await waiting[0]).fds.map(({ revents }: { revents: string }) => revents), ["POLLIN"]);
  const { interrupts } = await program.result("status", "-d", "1");
  assertEquals([interrupts.summary, interrupts.event, interrupts.pending], [true, true, 1]);
});

Deno.test("a wait for a descriptor ends at its time: poll answers 0, fd read fails", async () => {
  using program = new Program();
  await program.result("events");
  const began = performance.now();
  const polled = await program.run(["poll", "eventfd", "--timeout", "300ms"]);
  assertEquals([polled.code, polled.stdout], [0, "0 descriptors are ready\n"]);
  assert(performance.now() - began >= 300);
  const read = await program.run(["fd", "read", "eventfd", "8", "--wait", "--timeout", "300ms"]);
  assertEquals([read.code, read.stdout], [1, ""]);
  assertMatch(read.stderr, /^ism: fd read: Something to read did not come within 0\.3 seconds\n$/);
  const surplus = await program.run(["fd", "read", "eventfd", "8", "--timeout", "1"]);
  assertEquals([surplus.code, surplus.stderr], [2, "ism: fd read: --timeout goes with --wait\n"]);
});

Deno.test("atomic operations of several processes lose nothing", async () => {
  using program = new Program();
  const { iova } = await program.result("dma", "map", "--size", "4k");
  const bits = Array.from({ length: 32 }, (_, bit) => bit);
  const halves = [bits.filter((bit) => bit % 2 === 0), bits.filter((bit) => bit % 2 === 1)];
  const scripts = halves.map((half) => half.map((bit) => `dma or ${iova} ${2 ** bit} --width 4`));
  await inParallel(scripts, async (lines) => {
    const { code, stderr } = await program.script(lines, "--commit-each");
    assertEquals([code, stderr], [0, ""]);
  });
  assertEquals((await program.result("dma", "read", iova, "4")).data, "ffffffff");
  // Each bit that is cleared was there for exactly one of two that clear it.
  const clear = bits.map((bit) => `dma and ${iova} ${0xffff_ffff - 2 ** bit} --width 4`);
  const olds = await inParallel([clear, clear], async (lines) => {
    const { stdout, code } = await program.script(lines, "--commit-each");
    assertEquals(code, 0);
    return stdout.trim().split("\n").map(BigInt);
  });
  for (const bit of bits) {
    const seen = olds.filter((each) => (each[bit]! >> BigInt(bit)) % 2n === 1n).length;
    assertEquals(seen, 1, `bit ${bit}`);
  }
});
