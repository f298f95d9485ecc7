/** A kernel with several processes: descriptors that share an open file, memory that is the process's own. */
import { assertEquals, assertThrows } from "@std/assert";
import type { AddressSpace } from "../../lib/vfio/process/address_space.ts";
import { GuestMemory, noMemory } from "../../lib/vfio/process/address_space.ts";
import { DescriptorTable } from "../../lib/vfio/process/descriptors.ts";
import { Process } from "../../lib/vfio/process/process.ts";
import { storeAndSignal } from "../../lib/ism/device/notify.ts";
import type { DmaMemory } from "../../lib/zpci/storage.ts";
import { IOCTL, outcome, PAGE, region, Rig, START_DMA, u32, words } from "../support/kernel.ts";

/** Memory apart from the guest's: one page at {@linkcode AT} that device stores reach byte by byte. */
const AT = 0x7f00_0000_0000;
class OnePage implements AddressSpace, DmaMemory {
  readonly address = AT;
  readonly size = PAGE;
  readonly atomic = false;
  readonly page = new Uint8Array(PAGE);
  readonly log: string[] = [];

  bytes(address: number, length: number): Uint8Array {
    if (address < AT || address + length > AT + PAGE) throw noMemory();
    return this.page.subarray(address - AT, address - AT + length);
  }
  find(address: number, length: number): DmaMemory | undefined {
    return address >= AT && address + length <= AT + PAGE ? this : undefined;
  }
  readonly lockLimit = Infinity;
  there(address: number, length: number): number {
    return this.find(address, length) === undefined ? 0 : length;
  }
  store(offset: number, source: Uint8Array, length: number): void {
    this.log.push(`store ${offset} ${length}`);
    this.page.set(source.subarray(0, length), offset);
  }
  byteAt(offset: number): number {
    return this.page[offset]!;
  }
  load(offset: number, into: Uint8Array, length: number): void {
    into.set(this.page.subarray(offset, offset + length));
  }
  setBits(offset: number, mask: number): number {
    const before = this.page[offset]!;
    this.log.push(`set ${offset} 0x${mask.toString(16)}`);
    this.page[offset] = before | mask;
    return before;
  }
  tell(
    first: number,
    firstBit: number,
    second: number,
    secondBit: number,
    last: number,
    lastBit: number,
    data: DmaMemory | undefined,
    at: number,
    source: Uint8Array,
    length: number,
  ): number {
    data?.store(at, source, length);
    this.setBits(first, firstBit);
    this.setBits(second, secondBit);
    return this.setBits(last, lastBit);
  }
}

function newProcess(rig: Rig, space: AddressSpace): Process {
  const { kernel } = rig.target.guest;
  const process = new Process(kernel, rig.host.tracer, new DescriptorTable(), space);
  kernel.processes.add(process);
  return process;
}

Deno.test("dup: the same open file at the lowest free number, released with the last descriptor", () => {
  const rig = Rig.opened();
  const { process, device } = rig;
  const copy = process.dup(device);
  assertEquals(process.file(copy) === process.file(device), true);
  process.close(device);
  assertEquals(process.pread(copy, new Uint8Array(2), 2, region(7)), 2, "still open");
  assertEquals(rig.target.guest.kernel.device(rig.target.zdev)!.openCount, 1);
  assertEquals(process.dup(copy), device, "the lowest number");
  process.close(device);
  process.close(copy);
  assertEquals(rig.target.guest.kernel.device(rig.target.zdev)!.openCount, 0);
  assertEquals(outcome(() => process.dup(copy)), "EBADF");
});

Deno.test("dup shares the position of read and write", () => {
  const { process, device } = Rig.opened();
  process.file(device).position = region(7);
  const copy = process.dup(device);
  const first = new Uint8Array(2);
  const second = new Uint8Array(2);
  process.read(device, first, 2);
  process.read(copy, second, 2);
  assertEquals([[...first], [...second]], [[0x14, 0x10], [0xed, 0x04]], "vendor, then device");
});

Deno.test("dup2 closes what the number referred to, and does nothing for the same number", () => {
  const { process, container, group, device } = Rig.opened();
  assertEquals(process.dup2(device, device), device);
  const eventfd = process.eventfd();
  assertEquals(process.dup2(device, eventfd), eventfd);
  assertEquals(process.file(eventfd).kind, "device");
  assertEquals(outcome(() => process.dup2(1000, device)), "EBADF");
  assertEquals(outcome(() => process.dup2(device, 1024)), "EBADF");
  assertEquals([container, group].map((fd) => process.file(fd).kind), ["container", "group"]);
});

Deno.test("fork: parent and child share open files; the group is open until the last of them has closed it", () => {
  const rig = Rig.opened();
  const child = rig.process.fork();
  rig.close();
  assertEquals(outcome(() => rig.process.open("/dev/vfio/0")), "EBUSY");
  assertEquals([...child.files()].map(([, { kind }]) => kind), ["container", "group", "device"]);
  child.exit();
  const { kernel } = rig.target.guest;
  assertEquals([kernel.containers.size, kernel.processes.size], [0, 1]);
  assertEquals(typeof outcome(() => rig.process.open("/dev/vfio/0")), "number");
});

Deno.test("a number means what the calling process has opened with it", () => {
  const rig = new Rig();
  const other = newProcess(rig, new GuestMemory(rig.target.guest.partition.storage));
  const container = other.open("/dev/vfio/vfio");
  const group = other.open("/dev/vfio/0");
  assertEquals(outcome(() => rig.process.ioctl(group, IOCTL.GROUP_SET_CONTAINER, words(container))), "EBADF");
  const eventfd = rig.process.eventfd();
  assertEquals(eventfd, container, "the same number in another table");
  assertEquals(other.ioctl(group, IOCTL.GROUP_SET_CONTAINER, words(container)), 0);
  assertEquals(other.ioctl(container, IOCTL.SET_IOMMU, 3), 0);
  const device = other.ioctl(group, IOCTL.GROUP_GET_DEVICE_FD, new TextEncoder().encode(`${rig.name}\0`));
  assertEquals([...rig.process.files()].length, 1, "the device went to the caller");
  const set = words(24, 0x24, 1, 0, 1, device + 1);
  assertEquals(outcome(() => other.ioctl(device, IOCTL.SET_IRQS, set)), "EBADF");
});

Deno.test("EMFILE releases what found no number", () => {
  const rig = Rig.opened();
  const { process } = rig;
  for (;;) if (outcome(() => process.eventfd()) === "EMFILE") break;
  assertEquals(outcome(() => rig.deviceFd()), "EMFILE");
  assertEquals(rig.target.guest.kernel.device(rig.target.zdev)!.openCount, 1);
});

Deno.test("DMA reaches the memory of the process that mapped it: data, mask, bit, summary in that order", () => {
  const rig = new Rig();
  const space = new OnePage();
  const other = newProcess(rig, space);
  const iommufd = other.open("/dev/iommu");
  const device = other.open("/dev/vfio/devices/vfio0");
  other.ioctl(device, IOCTL.BIND_IOMMUFD, words(24, 0, iommufd, 0, 0n));
  const alloc = words(12, 0, 0);
  other.ioctl(iommufd, IOCTL.IOAS_ALLOC, alloc);
  const ioas = u32(alloc, 8);
  other.ioctl(device, IOCTL.ATTACH_PT, words(16, 0, ioas, 0));
  const map = (vaddr: bigint, iova: number) =>
    outcome(() =>
      other.ioctl(iommufd, IOCTL.IOAS_MAP, words(40, 7, ioas, 0, vaddr, BigInt(PAGE), BigInt(iova)))
    );
  const guestOnly = rig.process.mmapAnonymous(PAGE);
  assertEquals(map(BigInt(guestOnly), START_DMA), "EFAULT", "memory of another process");
  assertEquals(map(BigInt(AT), START_DMA), 0);
  other.pwrite(device, words(6), 2, region(7) + 4);
  assertEquals(rig.target.fn.dma.write(START_DMA + 16, Uint8Array.of(1, 2, 3)), 0);
  assertEquals([...space.page.subarray(15, 20)], [0, 1, 2, 3, 0]);
  assertEquals(space.log, ["store 16 3"]);
  // IOAS_COPY shows the same memory again, whoever asks for it.
  const copy = words(40, 7, ioas, ioas, BigInt(PAGE), BigInt(START_DMA + PAGE), BigInt(START_DMA));
  const heir = other.fork(new OnePage());
  assertEquals(heir.ioctl(iommufd, IOCTL.IOAS_COPY, copy), 0);
  assertEquals(rig.target.fn.dma.write(START_DMA + PAGE + 20, Uint8Array.of(9)), 0);
  assertEquals(space.page[20], 9);
  // The SBA as ism.data.store has it: element mask (0x1000 for idx 0), DMB bit, summary.
  space.log.length = 0;
  rig.target.adapter.sba = START_DMA;
  storeAndSignal(rig.target.adapter, 33, 0, space, 128, Uint8Array.of(1), 1);
  assertEquals(space.log, ["store 128 1", "set 322 0x10", "set 8 0x40", "set 0 0x80"]);
});

Deno.test("a pointer in a struct is an address of the calling process", () => {
  const rig = new Rig();
  const space = new OnePage();
  const other = newProcess(rig, space);
  const iommufd = other.open("/dev/iommu");
  const alloc = words(12, 0, 0);
  other.ioctl(iommufd, IOCTL.IOAS_ALLOC, alloc);
  const ranges = (pointer: bigint) =>
    outcome(() => other.ioctl(iommufd, IOCTL.IOAS_IOVA_RANGES, words(32, u32(alloc, 8), 1, 0, pointer, 0n)));
  assertEquals(ranges(BigInt(rig.process.mmapAnonymous(PAGE))), "EFAULT");
  assertEquals(ranges(BigInt(AT + 8)), 0);
  assertEquals(space.page.subarray(8, 24).toHex(), "0000000000000000ffffffffffffffff");
});

Deno.test("a process that ends leaves nothing open, and a kernel with two of them is not saved", () => {
  const rig = new Rig();
  const before = rig.state();
  const other = newProcess(rig, new OnePage());
  const container = other.open("/dev/vfio/vfio");
  const group = other.open("/dev/vfio/0");
  other.ioctl(group, IOCTL.GROUP_SET_CONTAINER, words(container));
  other.ioctl(container, IOCTL.SET_IOMMU, 3);
  other.ioctl(container, IOCTL.MAP_DMA, words(32, 3, BigInt(AT), BigInt(START_DMA), BigInt(PAGE)));
  assertThrows(() => rig.host.save(), Error, "other processes");
  other.exit();
  const now = JSON.parse(before.replace(/"nextId":\d+/, `"nextId":0`));
  assertEquals(JSON.parse(rig.state().replace(/"nextId":\d+/, `"nextId":0`)).length, now.length);
  assertEquals(rig.target.guest.kernel.save().files, []);
  assertEquals(rig.target.guest.kernel.save().containers, []);
});

Deno.test("an error block goes to the memory of the process that asks for it (vfio.feature.zpcierror)", () => {
  const rig = Rig.opened();
  const space = new OnePage();
  const other = rig.process.fork(space);
  rig.target.fn.fail(0x3a, 0x1234, true);
  const get = (1 << 16) + 13;
  assertEquals(other.ioctl(rig.device, IOCTL.FEATURE, words(16, get, AT % 2 ** 32, AT / 2 ** 32)), 0);
  // fid, the bits (a write), the failing address.
  assertEquals(space.page.subarray(8, 24).toHex(), "00000010" + "00000001" + "0000000000001234");
  assertEquals(space.page[31], 0x3a);
});
