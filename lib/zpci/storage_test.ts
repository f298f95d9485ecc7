/** Main storage: what is allocated can be found, what is freed cannot, and pages know whether they changed. */
import { assertEquals, assertNotEquals } from "@std/assert";
import { pattern } from "../../tests/support/bytes.ts";
import { Journal } from "../base/journal.ts";
import { MainStorage, pageRound } from "./storage.ts";

Deno.test.each([
  { size: 0, rounded: 0 },
  { size: 1, rounded: 4096 },
  { size: 4096, rounded: 4096 },
  { size: 4097, rounded: 8192 },
  { size: 2 ** 40 + 1, rounded: 2 ** 40 + 4096 },
])("pageRound() rounds $size up to $rounded", ({ size, rounded }) => {
  assertEquals(pageRound(size), rounded);
});

Deno.test("allocate() gives zeroed whole pages, page aligned (10: memory is zeroed on allocation)", () => {
  const storage = new MainStorage(2 ** 20);
  const buffer = storage.allocate(5000)!;
  assertEquals([buffer.size, buffer.address % 4096], [8192, 0]);
  assertEquals(buffer.touch(0, 8192, false).every((byte) => byte === 0), true);
  assertEquals(storage.allocated, 8192);
});

Deno.test("allocate() stops at the limit and goes on after a free", () => {
  const storage = new MainStorage(3 * 4096);
  assertEquals(storage.allocate(0), undefined);
  const first = storage.allocate(2 * 4096)!;
  assertEquals(storage.allocate(4097), undefined);
  assertEquals(storage.allocate(4096)?.size, 4096);
  assertEquals(storage.allocate(1), undefined);
  assertEquals(storage.free(first.address), true);
  assertEquals(storage.allocate(8192)?.size, 8192);
});

Deno.test("free() takes the buffer that begins at the address, once, and its address is not used again", () => {
  const storage = new MainStorage(2 ** 20);
  const buffer = storage.allocate(8192)!;
  assertEquals(storage.free(buffer.address + 4096), false);
  assertEquals(storage.free(buffer.address), true);
  assertEquals(storage.free(buffer.address), false);
  assertEquals(storage.find(buffer.address, 1), undefined);
  assertNotEquals(storage.allocate(8192)!.address, buffer.address);
});

Deno.test("a transaction knows what it freed and wrote, and reverting it puts buffers and bytes back", () => {
  const journal = new Journal();
  const storage = new MainStorage(2 ** 20, journal);
  const kept = storage.allocate(8192)!;
  const freed = storage.allocate(4096)!;
  kept.touch(4096, 1, true)[4096] = 7;
  kept.clean();
  const before = JSON.stringify(storage.save());
  journal.open();
  kept.touch(4096, 1, true)[4096] = 8;
  kept.touch(4097, 1, true)[4097] = 9;
  storage.free(freed.address);
  storage.free(storage.allocate(4096)!.address);
  storage.allocate(12288)!.touch(0, 1, true)[0] = 1;
  assertEquals([...kept.changedPages()], [4096]);
  assertEquals([...storage.freed()].map(({ address }) => address), [freed.address]);
  journal.revert();
  assertEquals([...kept.touch(4096, 2, false).subarray(4096, 4098)], [7, 0]);
  assertEquals([JSON.stringify(storage.save()), storage.allocated], [before, 12288]);
  assertEquals([storage.find(freed.address, 4096), [...kept.dirtyPages()]], [freed, []]);
  journal.open();
  storage.free(freed.address);
  journal.settle();
  assertEquals([[...storage.freed()], storage.buffers], [[], [kept]]);
});

Deno.test("find() finds ranges inside one buffer, and none that leave it", () => {
  const storage = new MainStorage(2 ** 20);
  const buffers = [4096, 8192, 4096].map((size) => storage.allocate(size)!);
  for (const buffer of buffers) {
    const { address, size } = buffer;
    assertEquals(storage.find(address, size) === buffer, true);
    assertEquals(storage.find(address + size - 1, 1) === buffer, true);
    assertEquals(storage.find(address - 1, 1), undefined);
    assertEquals(storage.find(address + size - 1, 2), undefined);
    assertEquals(storage.find(address + size, 1), undefined);
  }
  assertEquals(storage.find(0, 1), undefined);
  storage.free(buffers[1]!.address);
  assertEquals(storage.find(buffers[2]!.address, 1) === buffers[2], true);
});

Deno.test("touch() marks the written pages dirty, and only those, until clean()", () => {
  const buffer = new MainStorage(2 ** 20).allocate(5 * 4096)!;
  buffer.touch(0, 5 * 4096, false);
  assertEquals([...buffer.dirtyPages()], []);
  buffer.touch(4095, 1, true);
  buffer.touch(2 * 4096, 4096, true);
  assertEquals([...buffer.dirtyPages()], [0, 8192]);
  buffer.touch(3 * 4096 + 4095, 2, true);
  assertEquals([...buffer.dirtyPages()], [0, 8192, 12288, 16384]);
  buffer.clean();
  assertEquals([...buffer.dirtyPages()], []);
});

Deno.test("restore() brings back addresses and sizes, and fetches a page when it is touched first", () => {
  const before = new MainStorage(2 ** 20);
  const [first, second] = [before.allocate(3 * 4096)!, before.allocate(4096)!];
  before.free(second.address);
  const asked: number[] = [];
  const storage = MainStorage.restore(2 ** 20, before.save(), {
    load(address) {
      asked.push(address);
      return address === first.address + 4096 ? pattern(4096) : undefined;
    },
  });
  assertEquals([storage.save(), storage.allocated], [before.save(), 3 * 4096]);
  const buffer = storage.find(first.address, 3 * 4096)!;
  assertEquals(asked, []);
  const bytes = buffer.touch(4096 + 100, 8, false);
  assertEquals(asked, [first.address + 4096]);
  assertEquals(bytes.slice(4096, 8192), pattern(4096));
  bytes[4096] = 0xee;
  buffer.touch(0, 3 * 4096, false);
  assertEquals(asked, [first.address + 4096, first.address, first.address + 8192]);
  assertEquals(bytes[4096], 0xee, "a page is fetched once");
  assertEquals([...buffer.dirtyPages()], []);
  assertEquals(storage.allocate(4096)!.address > second.address, true, "freed addresses stay unused");
});
