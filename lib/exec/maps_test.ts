import { assertEquals } from "@std/assert";
import { accessibleBytes, parseMaps } from "./maps.ts";

const MAPS = `00400000-00401000 r--p 00000000 fe:00 131 /bin/program with spaces
00401000-00403000 r-xp 00001000 fe:00 131 /bin/program with spaces
00403000-00405000 rw-p 00003000 fe:00 131 /bin/program with spaces
00406000-00407000 ---p 00000000 00:00 0
7ffff7fc1000-7ffff7fc5000 r--p 00000000 00:00 0                          [vvar]
7ffff7fc5000-7ffff7fc7000 r-xp 00000000 00:00 0                          [vdso]
ffffffffff600000-ffffffffff601000 --xp 00000000 00:00 0                  [vsyscall]
`;

Deno.test("areas of a process, without what belongs to the kernel", () => {
  const areas = parseMaps(MAPS);
  assertEquals(areas.length, 5);
  assertEquals(areas[2], { start: 0x403000, end: 0x405000, readable: true, writable: true });
  assertEquals(areas[4]!.start, 0x7ffff7fc5000);
});

Deno.test("how far memory can be read and written from an address on", () => {
  const areas = parseMaps(MAPS);
  const rows: readonly (readonly [address: number, length: number, read: number, write: number])[] = [
    [0x400000, 16, 16, 0],
    [0x400ff8, 16, 16, 0],
    [0x402ff0, 32, 32, 0],
    [0x403000, 0x2000, 0x2000, 0x2000],
    [0x404fff, 2, 1, 1],
    [0x405000, 1, 0, 0],
    [0x406000, 1, 0, 0],
    [0x3ff000, 0x2000, 0, 0],
    [0x7ffff7fc4000, 1, 0, 0],
    [0, 0, 0, 0],
  ];
  for (const [address, length, read, write] of rows) {
    assertEquals(
      [
        address,
        accessibleBytes(areas, address, length, false),
        accessibleBytes(areas, address, length, true),
      ],
      [address, read, write],
    );
  }
});
