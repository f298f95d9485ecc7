/** vfio.feature.zpcierror: feature ZPCI_ERROR, its checks in their order, and the memory that a block goes to. */
import { assertEquals } from "@std/assert";
import { reportError } from "../../lib/zpci/error_events.ts";
import { IOCTL, type Outcome, Rig, START_DMA, WAYS, words } from "../support/kernel.ts";

const GET = 0x1_000d;
const BLOCK = 32;

/** A rig with an error event that waits, and memory of the process for its block. */
function withEvent(rig: Rig, pec = 0x3a): { rig: Rig; vaddr: number } {
  const vaddr = rig.process.mmapAnonymous(4096);
  rig.process.memory(vaddr, 4096, true).fill(0xaa);
  reportError(rig.target.fn, pec, 0x1_2345_6000, true);
  return { rig, vaddr };
}

const get = (rig: Rig, address: bigint, effect = false): Outcome =>
  rig.ioctl(rig.device, IOCTL.FEATURE, words(16, GET, address), { effect });

Deno.test.each(WAYS.map((way) => ({ way })))(
  "a block is 32 bytes, big-endian, and goes to the caller's address; nothing else is touched ($way)",
  ({ way }) => {
    const { rig, vaddr } = withEvent(Rig.opened(way));
    const at = vaddr + 100;
    const arg = words(16, GET, BigInt(at));
    assertEquals(rig.ioctl(rig.device, IOCTL.FEATURE, arg), 0);
    assertEquals(arg, words(16, GET, BigInt(at)), "the header is not written back");
    const memory = rig.process.memory(vaddr, 4096, false);
    const { fh } = rig.target.fn;
    const block = `00000000${fh.toString(16)}0000001000000001` + "0000000123456000" + "000000000000003a";
    assertEquals(memory.subarray(100, 100 + BLOCK).toHex(), block);
    assertEquals(memory.filter((byte) => byte !== 0xaa).length <= BLOCK, true);
    assertEquals([memory[99], memory[100 + BLOCK]], [0xaa, 0xaa]);
    assertEquals(get(rig, BigInt(at)), "ENOMSG");
  },
);

Deno.test("the block has the handle at the time of the event, and outlives resets", () => {
  const { rig, vaddr } = withEvent(Rig.opened());
  const { fh } = rig.target.fn;
  assertEquals(rig.ioctl(rig.device, IOCTL.RESET), 0);
  assertEquals(get(rig, BigInt(vaddr)), 0);
  assertEquals(rig.process.memory(vaddr + 4, 4, false).toHex(), fh.toString(16));
});

Deno.test.each([
  { what: "address 0", address: () => 0n, errno: "EINVAL", lost: false },
  { what: "memory that is not there", address: () => 0x1000n, errno: "EFAULT", lost: true },
  {
    what: "memory that ends too early",
    address: (v: number) => BigInt(v + 4096 - 31),
    errno: "EFAULT",
    lost: true,
  },
  { what: "an address of 64 bits", address: () => 2n ** 64n - 16n, errno: "EFAULT", lost: true },
])("$what: $errno, and the block is lost: $lost", ({ address, errno, lost }) => {
  const { rig, vaddr } = withEvent(Rig.opened());
  assertEquals(get(rig, address(vaddr), lost), errno);
  assertEquals(get(rig, BigInt(vaddr)), lost ? "ENOMSG" : 0);
});

Deno.test("an empty queue is ENOMSG before the address is used, and after address 0 is refused", () => {
  const rig = Rig.opened();
  assertEquals([get(rig, 0n), get(rig, 0x1000n)], ["EINVAL", "ENOMSG"]);
});

Deno.test("blocks are shared by all descriptors, and gone with the last one", () => {
  const { rig, vaddr } = withEvent(Rig.opened());
  reportError(rig.target.fn, 0x07, START_DMA, false);
  const second = rig.deviceFd();
  assertEquals(get(rig, BigInt(vaddr)), 0);
  rig.process.close(rig.device);
  rig.device = second;
  assertEquals(get(rig, BigInt(vaddr)), 0);
  reportError(rig.target.fn, 0x07, START_DMA, false);
  rig.process.close(rig.device);
  rig.device = rig.deviceFd();
  assertEquals(get(rig, BigInt(vaddr)), "ENOMSG");
});

Deno.test("an open that fails behind the reset leaves nothing in the queue", () => {
  const rig = new Rig();
  // A load of the shadow, behind the accesses of the reset, is answered by an error event.
  rig.inject({ kind: "event", pec: 0x3a }, { op: "PCILG", space: 15 }, 60);
  rig.iommufd = rig.process.open("/dev/iommu");
  rig.device = rig.process.open("/dev/vfio/devices/vfio0");
  const bind = () =>
    rig.ioctl(rig.device, IOCTL.BIND_IOMMUFD, words(24, 0, rig.iommufd, 0, 0n), { effect: true });
  assertEquals(bind(), "ENODEV");
  const { errors } = rig.target.guest.kernel.binding(rig.target.zdev);
  assertEquals([errors.events, errors.userRecovers, rig.target.fn.state], [[], false, "error"]);
  assertEquals(bind(), 0);
  assertEquals(get(rig, 0x1000n), "ENOMSG");
});
