/** vfio.dma.life: what the device's DMA needs, what a fault does, and how long mappings live. */
import { assertEquals } from "@std/assert";
import { be, bytes } from "../support/bytes.ts";
import {
  IOCTL,
  type Outcome,
  PAGE,
  region,
  Rig,
  START_DMA,
  u64,
  type Way,
  WAYS,
  words,
} from "../support/kernel.ts";

const EACH_WAY = WAYS.map((way) => ({ way }));
const BUS_MASTER = 0x0006;
const READ_GID = 0x03;
const REG_SBA = 0x01;

/** One command by hand: payload, header, response header. @returns its return code, or the errno of a call */
function command(rig: Rig, code: number, payload = ""): Outcome {
  const body = bytes(payload);
  const header = bytes(be(code, 4) + "0000" + be(8 + body.length, 2));
  const answer = new Uint8Array(8);
  for (const [data, at] of [[body, 8], [header, 0]] as const) {
    if (data.length === 0) continue;
    const written = rig.pwrite(region(2) + at, data.length, { buffer: data, effect: true });
    if (typeof written === "string") return written;
  }
  const read = rig.pread(region(2), 8, { buffer: answer, effect: true });
  return typeof read === "string" ? read : answer[4]! * 256 + answer[5]!;
}

const state = (rig: Rig) => rig.target.fn.state;

/** Bytes unmapped at START_DMA, or the errno. */
function unmap(rig: Rig, size: number): bigint | Outcome {
  const [fd, request, arg] = rig.iommufd >= 0
    ? [rig.iommufd, IOCTL.IOAS_UNMAP, words(24, rig.ioas, BigInt(START_DMA), BigInt(size))]
    : [rig.container, IOCTL.UNMAP_DMA, words(24, 0, BigInt(START_DMA), BigInt(size))];
  const result = rig.ioctl(fd, request, arg, { effect: true });
  return result === 0 ? u64(arg, 16) : result;
}

/** A function with bus master on and one page mapped at START_DMA; its address in the process. */
function mapped(way: Way): { rig: Rig; vaddr: number } {
  const rig = Rig.opened(way);
  rig.setConfig(4, 2, BUS_MASTER);
  return { rig, vaddr: rig.mapDma(START_DMA) };
}

Deno.test.each(EACH_WAY)("DMA to a mapped address works ($way)", ({ way }) => {
  const { rig } = mapped(way);
  assertEquals([command(rig, REG_SBA, be(START_DMA, 8)), state(rig)], [0, "enabled"]);
  assertEquals(rig.target.adapter.sba, START_DMA);
});

/** Addresses that lead nowhere, and why. */
const NOWHERE = [
  { what: "behind the mapping", address: START_DMA + PAGE },
  { what: "below the range", address: START_DMA - PAGE },
  { what: "0", address: 0 },
  { what: "above the range", address: 2 ** 48 },
].flatMap((row) => WAYS.map((way) => ({ ...row, way })));

Deno.test.each(NOWHERE)(
  "DMA to an address $what is an error state; only a reset ends it ($way)",
  ({ way, address }) => {
    const { rig } = mapped(way);
    assertEquals(command(rig, REG_SBA, be(address, 8)), "EIO", "the response cannot be read any more");
    assertEquals([state(rig), rig.target.adapter.sba], ["error", undefined]);
    assertEquals([rig.pread(region(2), 8), rig.pwrite(region(2), 8), command(rig, READ_GID)], [
      "EIO",
      "EIO",
      "EIO",
    ]);
    assertEquals(rig.ioctl(rig.device, IOCTL.RESET), 0);
    rig.setConfig(4, 2, BUS_MASTER);
    assertEquals([command(rig, REG_SBA, be(START_DMA, 8)), state(rig)], [0, "enabled"]);
  },
);

Deno.test.each(EACH_WAY)(
  "a mapping that the device may only read does not take its writes ($way)",
  ({ way }) => {
    const rig = Rig.opened(way);
    rig.setConfig(4, 2, BUS_MASTER);
    const vaddr = BigInt(rig.process.mmapAnonymous(PAGE));
    const [iova, size] = [BigInt(START_DMA), BigInt(PAGE)];
    const result = way === "cdev"
      ? rig.ioctl(rig.iommufd, IOCTL.IOAS_MAP, words(40, 1 | 4, rig.ioas, 0, vaddr, size, iova))
      : rig.ioctl(rig.container, IOCTL.MAP_DMA, words(32, 1, vaddr, iova, size));
    assertEquals(result, 0);
    assertEquals(rig.target.fn.dma.write(START_DMA, Uint8Array.of(1)) === 0, false);
    assertEquals([state(rig), rig.process.memory(Number(vaddr), 1, false)[0]], ["error", 0]);
  },
);

Deno.test("without bus master inbound DMA is blocked, and the command channel works (vfio.dma.busmaster)", () => {
  const { rig, vaddr } = mapped("group");
  assertEquals(command(rig, REG_SBA, be(START_DMA, 8)), 0);
  rig.setConfig(4, 2, 0x0002);
  assertEquals(rig.target.fn.dma.write(START_DMA + 8, Uint8Array.of(1)) === 0, false);
  assertEquals([state(rig), rig.process.memory(vaddr, 16, false)[8]], ["enabled", 0]);
  assertEquals(command(rig, READ_GID), 0);
  rig.setConfig(4, 2, BUS_MASTER);
  assertEquals(rig.target.fn.dma.write(START_DMA + 8, Uint8Array.of(1)), 0);
  assertEquals(rig.process.memory(vaddr, 16, false)[8], 1);
});

Deno.test.each(EACH_WAY)(
  "an address that is unmapped under the device: error state ($way, vfio.dma.unmap)",
  ({ way }) => {
    const { rig } = mapped(way);
    assertEquals(command(rig, REG_SBA, be(START_DMA, 8)), 0);
    assertEquals(unmap(rig, PAGE), 4096n, "unmap does not ask the device");
    rig.target.fn.dma.write(START_DMA, Uint8Array.of(1));
    assertEquals([state(rig), rig.pread(region(2), 8)], ["error", "EIO"]);
  },
);

Deno.test.each(EACH_WAY)("mappings survive DEVICE_RESET and the close of the device ($way)", ({ way }) => {
  const { rig } = mapped(way);
  assertEquals(rig.ioctl(rig.device, IOCTL.RESET), 0);
  assertEquals(rig.target.zdev.domain?.mappings().length, 1);
  rig.process.close(rig.device);
  if (way !== "cdev") rig.device = rig.deviceFd();
  else {
    rig.device = rig.process.open("/dev/vfio/devices/vfio0");
    assertEquals(rig.ioctl(rig.device, IOCTL.BIND_IOMMUFD, words(16, 0, rig.iommufd, 0)), 0);
    assertEquals(rig.domain, undefined, "a new descriptor is attached to nothing");
    assertEquals(rig.ioctl(rig.device, IOCTL.ATTACH_PT, words(12, 0, rig.ioas)), 0);
  }
  rig.setConfig(4, 2, BUS_MASTER);
  assertEquals(command(rig, REG_SBA, be(START_DMA, 8)), 0, "the old mapping is there");
  assertEquals(rig.target.fn.dma.write(START_DMA, Uint8Array.of(7)), 0);
});

Deno.test("mappings die with the container: when the last group leaves it, or with its last reference (zpci.dma.order)", () => {
  const { rig } = mapped("group");
  const { zdev } = rig.target;
  rig.process.close(rig.container);
  assertEquals(zdev.domain?.mappings().length, 1, "the group keeps the container");
  rig.process.close(rig.device);
  rig.process.close(rig.group);
  assertEquals([rig.domain, rig.target.guest.kernel.containers.size], [undefined, 0]);
});

Deno.test("mappings die with the IOAS's iommufd, not before its last device is closed (zpci.dma.order)", () => {
  const { rig } = mapped("cdev");
  const { guest, zdev } = rig.target;
  rig.process.close(rig.iommufd);
  assertEquals(zdev.domain?.mappings().length, 1);
  assertEquals(rig.target.fn.dma.write(START_DMA, Uint8Array.of(7)), 0);
  rig.process.close(rig.device);
  assertEquals([rig.domain, guest.kernel.iommufds.size], [undefined, 0]);
});

Deno.test("DETACH takes the mappings from the device, not from the IOAS (vfio.cdev.detach, zpci.dma.order)", () => {
  const { rig } = mapped("cdev");
  assertEquals(rig.ioctl(rig.device, IOCTL.DETACH_PT, words(8, 0)), 0);
  assertEquals(command(rig, REG_SBA, be(START_DMA, 8)), "EIO");
  assertEquals(state(rig), "error");
  assertEquals([rig.ioctl(rig.device, IOCTL.RESET), unmap(rig, PAGE)], [0, 4096n]);
});

Deno.test("two functions in one container share its mappings (zpci.dma.order)", () => {
  const rig = new Rig({ functions: 2 }).openGroup();
  const second = rig.process.open("/dev/vfio/1");
  rig.mapDma(START_DMA);
  assertEquals(rig.ioctl(second, IOCTL.GROUP_SET_CONTAINER, words(rig.container)), 0);
  const domains = rig.host.functions.map(({ zdev }) => zdev.domain?.mappings());
  assertEquals([domains[0]?.length, domains[1]], [1, domains[0]]);
});
