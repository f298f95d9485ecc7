/** What addr2line writes, and texts of /proc that say where a call was made. */
import { assertEquals } from "@std/assert";
import { parseCode } from "../maps.ts";
import { parsePointers } from "../proc_text.ts";
import { parseLines } from "./addr2line.ts";

Deno.test("the innermost function of the program's own source is taken, inlined ones too", () => {
  const text = `0x0000000000001234
std::os::unix::fs::FileExt::write_at
/rustc/59807616e/library/std/src/os/unix/fs.rs:230
driver::store
/home/me/driver.rs:42 (discriminator 3)
driver::main
/home/me/driver.rs:99
0x0000000000002000
??
??:0
0x0000000000003000
main
??:?
0x0000000000004000
syscall.Syscall6
/usr/lib/go-1.19/src/syscall/asm_linux_amd64.s:90
`;
  const line = { function: "driver::store", file: "/home/me/driver.rs", line: 42 };
  assertEquals([...parseLines(text)], [[0x1234, line]]);
});

Deno.test("code of files in /proc/PID/maps", () => {
  const text = `55d0c0000000-55d0c0001000 r--p 00000000 08:01 123                        /tmp/a b
55d0c0001000-55d0c0002000 r-xp 00001000 08:01 123                        /tmp/a b
7ffd0-7ffe0 rw-p 00000000 00:00 0                          [stack]
7fff0-80000 r-xp 00000000 00:00 0                          [vdso]
`;
  assertEquals(parseCode(text), [{
    start: 0x55d0c0001000,
    end: 0x55d0c0002000,
    offset: 0x1000,
    path: "/tmp/a b",
  }]);
});

Deno.test("stack and instruction pointer of a thread that waits for its call", () => {
  assertEquals(parsePointers("17 0x320 0x7f 0x8 0x0 0x0 0x0 0x7ffe0010 0x7f001234\n"), {
    stack: 0x7ffe0010,
    code: 0x7f001234,
  });
  assertEquals(parsePointers("running\n"), undefined);
  assertEquals(parsePointers(""), undefined);
});
