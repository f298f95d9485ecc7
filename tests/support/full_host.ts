/** A host with something in every corner of its state: what a host file must not lose. */
import type { Host, HostFunction } from "../../lib/host/host.ts";
import { BIND_IOMMUFD, DEVICE_IOCTL, DMA_MAP, DMA_MAP_FLAGS, IRQ, IRQ_SET } from "../../lib/vfio/uapi.ts";
import { CONTAINER_IOCTL, FEATURE, FEATURE_FLAGS, IOAS_ALLOC, IOMMUFD_IOCTL } from "../../lib/vfio/uapi.ts";
import { IRQ_SET_FLAGS } from "../../lib/vfio/uapi.ts";
import { SCLP, sclp } from "../../lib/zpci/service_processor.ts";
import { bytes, pattern } from "./bytes.ts";

/** Two guests with eight functions on two channels, and other values than the default for many options. */
export const FULL_TOPOLOGY = {
  seed: 7,
  clock: "2027-03-04T05:06:07Z",
  memory: "0x20000000",
  machine: { maxstbl: 2048, handleInstance: "bump", bar0Prefetch: true, endDma: "0xffffffffff" },
  ism: {
    version: 2,
    returnCodes: "one",
    tokens: "random",
    elementMask: "msb-first",
    bar2Size: 8192,
    bar2Initial: "ones",
    bar0Loads: "zeros",
    ismState: 5,
    responseDelay: 2,
    ieqOverflow: "drop",
    maxLength: 2048,
  },
  kernel: { busyRetryLimit: 5000, dmaEntryLimit: 300 },
  guests: [
    {
      name: "left",
      functions: [
        { fid: "0x10", uid: 1, gid: "0xa1" },
        { fid: "0x12", uid: 2, vfn: 2, gid: "0xffffffffffffffff" },
        { fid: "0x14", uid: 3, vfn: 3, port: 1, pnetid: "NET2" },
        { fid: "0x16", uid: 4, vfn: 4 },
      ],
    },
    {
      name: "right",
      functions: [
        { fid: "0x11", uid: 1, gid: "0xb1" },
        { fid: "0x13", uid: 2, chid: "0x7e2" },
        { fid: "0x15", uid: 3, vfn: 0 },
        { fid: "0x17", uid: 4, vfn: 5 },
      ],
    },
  ],
};

const READ_GID = "0000000300000008";
const LOW_POWER_ENTRY = 3;

/** Fills a freshly booted host of {@linkcode FULL_TOPOLOGY}. */
export function furnish(host: Host): void {
  const byFid = (fid: number) => host.functions.find(({ zdev }) => zdev.facts.fid === fid)!;
  const [left, right] = [byFid(0x10), byFid(0x11)];
  share(left, right);
  openByHand(byFid(0x12));
  wireInterrupts(byFid(0x13));
  // In the error state, with the driver's things still mapped.
  const failed = byFid(0x14);
  failed.driver.start();
  failed.driver.mapMemory(8192);
  failed.fn.fail(0x3a, 0x1_2345_6000, true);
  // Gone from its guest, and in the hands of another driver that waits for its turn.
  const standby = byFid(0x16);
  standby.guest.kernel.binding(standby.zdev).unbind();
  sclp(standby.guest.partition, SCLP.DECONFIGURE, 0x16);
  const waiting = byFid(0x15);
  waiting.driver.open("group");
  const binding = waiting.guest.kernel.binding(waiting.zdev);
  binding.override = "vfio-pci";
  binding.unbind();
  const generic = byFid(0x17);
  const other = generic.guest.kernel.binding(generic.zdev);
  other.override = "vfio-pci";
  other.unbind();
  other.probe();

  host.faults.add({ kind: "busy", times: 3 }, { op: "PCISTB", fid: 0x10, space: 0, from: 64, to: 128 }, 5);
  host.faults.add({ kind: "exception", exception: "operand" }, {}, 100_000);
  host.faults.clear(host.faults.add({ kind: "invalid-handle" }, {}, 9));
  host.applyFaults();
  host.rendezvous.set({
    reader: 0x10,
    size: 65_536,
    request: { fid: 0x11, gid: "0xb1", token: 0x1000_0000 },
    accepted: { token: 0x2000_0000 },
    result: null,
  });
}

/** DMBs with data in both directions, signals and too many events under way, VLANs, a response not yet loaded. */
function share(left: HostFunction, right: HostFunction): void {
  left.driver.start();
  right.driver.start();
  left.driver.setVlan(7, true);
  right.driver.setVlan(7, true);
  left.driver.setVlan(100, true);
  const big = left.driver.registerDmb({ size: 65_536, rgid: 0xb1n, index: 77 });
  const tagged = left.driver.registerDmb({ size: 4096, rgid: 0xb1n, vlan: 7 });
  const back = right.driver.registerDmb({ size: 8192, rgid: 0xa1n });
  right.driver.move(big.token, 10, pattern(5000), { signal: true, idx: 4 });
  right.driver.move(tagged.token, 0, pattern(64, 3), { signal: true, idx: 15 });
  left.driver.move(back.token, 4090, pattern(12, 9));
  const memory = left.driver.mapMemory(12_288, 0x1_1000_0000);
  left.driver.view(memory, 4000, 200, true).set(pattern(200, 5));
  for (let code = 1; code <= 17; code++) right.driver.signal(0xa1n, code, BigInt(code) << 60n);
  left.driver.signal(0xb1n, 0x83, 7n);
  left.driver.takeEvents();
  right.driver.signal(0xa1n, 0x42, 0x0123_4567_89ab_cdefn);
  right.driver.descriptor.write(2, 0, bytes(READ_GID));
}

/** Through character device and iommufd, with another address space, container and eventfd beside it. */
function openByHand({ driver, guest }: HostFunction): void {
  driver.open("cdev");
  driver.start();
  driver.mapMemory(16_384);
  driver.channel.send("SET_VLAN", {});
  // A payload whose header does not come.
  driver.descriptor.write(2, 8, pattern(40, 2));
  const { process } = guest.kernel;
  const vaddr = process.mmapAnonymous(4096);
  process.memory(vaddr, 4096, true).set(pattern(100, 1));
  const iommufd = process.open("/dev/iommu");
  process.ioctl(iommufd, IOMMUFD_IOCTL.IOMMU_IOAS_ALLOC, IOAS_ALLOC.encode({ size: IOAS_ALLOC.size }));
  process.open("/dev/vfio/vfio");
  process.eventfd();
  const unbound = process.open("/dev/vfio/devices/vfio3");
  // Refused: the descriptor stays unbound.
  try {
    process.ioctl(
      unbound,
      DEVICE_IOCTL.VFIO_DEVICE_BIND_IOMMUFD,
      BIND_IOMMUFD.encode({ argsz: BIND_IOMMUFD.size, iommufd: 99 }),
    );
  } catch {
    // What the test wants to store is the descriptor.
  }
  process.close(process.eventfd());
}

/** Interrupts by hand, a read-only mapping, low power. */
function wireInterrupts({ driver, guest }: HostFunction): void {
  const { fd, fds } = driver.open("group");
  const { process } = guest.kernel;
  const set = (index: number) => {
    const eventfd = process.eventfd();
    const arg = new Uint8Array(IRQ_SET.size + 4);
    const flags = IRQ_SET_FLAGS.DATA_EVENTFD | IRQ_SET_FLAGS.TRIGGER;
    IRQ_SET.encode({ argsz: arg.length, flags, index, start: 0, count: 1 }, arg);
    new DataView(arg.buffer).setInt32(IRQ_SET.size, eventfd, true);
    process.ioctl(fd, DEVICE_IOCTL.VFIO_DEVICE_SET_IRQS, arg);
    return eventfd;
  };
  set(IRQ.MSI);
  // Its descriptor is closed, the wiring keeps the eventfd alive.
  process.close(set(IRQ.REQ));
  const trigger = IRQ_SET.encode({
    argsz: IRQ_SET.size,
    flags: IRQ_SET_FLAGS.DATA_NONE | IRQ_SET_FLAGS.TRIGGER,
    index: IRQ.MSI,
    start: 0,
    count: 1,
  });
  for (let i = 0; i < 3; i++) process.ioctl(fd, DEVICE_IOCTL.VFIO_DEVICE_SET_IRQS, trigger);
  const vaddr = process.mmapAnonymous(8192);
  process.memory(vaddr + 4096, 16, true).set(pattern(16, 8));
  const range = { vaddr: BigInt(vaddr), iova: 0x1_1800_0000n, size: 8192n };
  const map = { argsz: DMA_MAP.size, flags: DMA_MAP_FLAGS.READ, ...range };
  process.ioctl(fds[0]!, CONTAINER_IOCTL.VFIO_IOMMU_MAP_DMA, DMA_MAP.encode(map));
  const lowPower = { argsz: FEATURE.size, flags: LOW_POWER_ENTRY + FEATURE_FLAGS.SET };
  process.ioctl(fd, DEVICE_IOCTL.VFIO_DEVICE_FEATURE, FEATURE.encode(lowPower));
}
