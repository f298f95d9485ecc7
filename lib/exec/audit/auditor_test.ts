/** Findings from recorded events: on both sides of each line that the table of findings draws. */
import { assertEquals } from "@std/assert";
import {
  CAP_HEADER,
  CAP_ID,
  CONTAINER_IOCTL,
  DEVICE_FLAGS,
  DEVICE_INFO,
  DEVICE_IOCTL,
  DMA_MAP,
  FEATURE,
  FEATURE_FLAGS,
  IOAS_MAP,
  IOMMUFD_IOCTL,
  IRQ,
  IRQ_INFO,
  IRQ_SET,
  IRQ_SET_FLAGS,
  REGION_INFO,
  ZPCI_BASE,
  ZPCI_GROUP,
} from "../../vfio/uapi.ts";
import { Auditor } from "./auditor.ts";
import type { AuditEvent, EventOf, Origin } from "./event.ts";

const BAR2 = 2 * 2 ** 48;
const CONFIG = 7 * 2 ** 48;
const [EIO, EAGAIN, EINVAL, ENOMSG] = [-5, -11, -22, -42];

/** A program whose every call is made at a place of its own. */
class Recording {
  readonly #auditor = new Auditor();
  #calls = 0;

  constructor({ userRecovers = true } = {}) {
    this.#see({ kind: "opened", device: 1, userRecovers, origin: this.origin("ioctl") });
  }

  origin(call: string, thread = 10): Origin {
    const number = ++this.#calls;
    return {
      process: 10,
      thread,
      call,
      number,
      site: () => ({ frames: [{ module: "/p", address: number }] }),
    };
  }

  #see(event: AuditEvent): this {
    this.#auditor.see(event);
    return this;
  }

  /** A read or write of a region that lies at `region << 48`. */
  move(
    write: boolean,
    region: number,
    offset: number,
    count: number,
    more: Partial<EventOf<"transfer">> = {},
  ): this {
    const position = region * 2 ** 48 + offset;
    const [device, result, data] = [1, count, undefined];
    const origin = this.origin(write ? "pwrite64" : "pread64");
    return this.#see({
      kind: "transfer",
      ...{ device, write, position, count, result, region, offset, data, origin },
      ...more,
    });
  }

  ioctl(request: number, arg: Uint8Array = new Uint8Array(0), result = 0): this {
    return this.#see({ kind: "ioctl", device: 1, request, arg, result, origin: this.origin("ioctl") });
  }

  iommu(request: number, arg: Uint8Array, ranges?: Uint8Array): this {
    return this.#see({ kind: "iommu", request, arg, ranges, result: 0, origin: this.origin("ioctl") });
  }

  sba(summary: boolean, bits: boolean, interrupted = false): this {
    const origin = this.origin("pread64");
    return this.#see({ kind: "sba", device: 1, summary, bits, interrupted: () => interrupted, origin });
  }

  errors(waiting: number): this {
    return this.#see({ kind: "errors", device: 1, waiting, origin: this.origin("pwrite64") });
  }

  mmap(): this {
    return this.#see({ kind: "mmap", device: 1, origin: this.origin("mmap") });
  }

  close(): this {
    return this.#see({ kind: "closed", device: 1 });
  }

  /** GET_REGION_INFO of every region that is used here. */
  asked(): this {
    for (const index of [0, 2, 7]) {
      const size = [2 ** 48, 0, 65536, 0, 0, 0, 0, 256][index]!;
      this.ioctl(
        DEVICE_IOCTL.VFIO_DEVICE_GET_REGION_INFO,
        REGION_INFO.encode({ argsz: 32, index, size, offset: index * 2 ** 48 }),
      );
    }
    return this;
  }

  /** GET_INFO with a chain of BASE and GROUP. */
  limits(imaxstbl = 4096): this {
    const base = CAP_HEADER.encode(
      { id: CAP_ID.ZPCI_BASE, version: 3, next: 64 },
      ZPCI_BASE.encode({ startDma: 0x1000, endDma: 0xffff }),
    );
    const group = CAP_HEADER.encode({ id: CAP_ID.ZPCI_GROUP, version: 2 }, ZPCI_GROUP.encode({ imaxstbl }));
    const arg = new Uint8Array(112);
    arg.set(DEVICE_INFO.encode({ argsz: 112, flags: DEVICE_FLAGS.CAPS, capOffset: 24 }));
    arg.set(base, 24);
    arg.set(group, 64);
    return this.ioctl(DEVICE_IOCTL.VFIO_DEVICE_GET_INFO, arg);
  }

  /** A command, and the first bytes of its response if there is one. */
  command(code: number, payload: readonly bigint[], response?: readonly bigint[]): this {
    if (payload.length > 0) this.move(true, 2, 8, payload.length * 8, { data: words(payload) });
    this.move(true, 2, 0, 8, { data: words([BigInt(code) << 32n | BigInt(8 + 8 * payload.length)]) });
    return response === undefined
      ? this
      : this.move(false, 2, 0, response.length * 8, { data: words(response) });
  }

  /** Names and times of what was found. */
  get found(): string[] {
    return this.#auditor.found.map(({ finding, times }) => times === 1 ? finding : `${finding} ${times}`);
  }

  get sbaAddress(): number | undefined {
    return this.#auditor.sbaOf(1);
  }

  get messages(): string[] {
    return this.#auditor.found.map(({ message }) => message);
  }
}

function words(values: readonly bigint[]): Uint8Array {
  const bytes = new Uint8Array(values.length * 8);
  values.forEach((value, i) => new DataView(bytes.buffer).setBigUint64(i * 8, value));
  return bytes;
}

Deno.test("a position is explained by GET_REGION_INFO of this open, up to the end of the region (vfio.region.offset)", () => {
  assertEquals(new Recording().asked().move(false, 2, 0, 8).move(false, 7, 252, 4).found, []);
  assertEquals(new Recording().asked().move(false, 7, 256, 4, { result: EINVAL }).found, []);
  assertEquals(new Recording().move(false, 2, 0, 8).found, ["position-not-asked"]);
  assertEquals(new Recording().asked().close().move(false, 2, 0, 8).found, ["position-not-asked"]);
  const { messages } = new Recording().move(false, -1, 0, 8, { position: 7 * 2 ** 40 + 4, result: EINVAL });
  assertEquals(messages, [
    "position 0x70000000004: BAR 0 + 0x70000000004 with regions 2^48 bytes apart, or config space + 0x4 with " +
    "regions 2^40 bytes apart; of no region was the offset asked for",
  ]);
  const above = new Recording().asked().move(false, -1, 0, 8, { position: 2n ** 62n, result: EINVAL });
  assertEquals(above.messages, ["position 0x4000000000000000; the offsets of 3 were asked for"]);
});

Deno.test("a write to a BAR ends at a line of 4 KiB (vfio.write.boundary); reads and config space have none", () => {
  const recording = new Recording().asked().limits();
  assertEquals(recording.move(true, 0, 4088, 8).move(false, 2, 4088, 16).move(true, 7, 0, 8).found, []);
  assertEquals(recording.move(true, 0, 4088, 9, { result: EINVAL }).found, ["store-crosses-line"]);
});

Deno.test("no BAR can be mapped (vfio.mmap.never)", () => {
  assertEquals(new Recording().mmap().found, ["bar-mapped"]);
});

Deno.test("a store block over 128 bytes needs imaxstbl; blocks of 128 in a row take maxstbl for it (vfio.info.limit)", () => {
  assertEquals(new Recording().asked().move(true, 0, 0, 128).found, []);
  assertEquals(new Recording().asked().move(true, 0, 0, 129).found, ["limit-not-asked"]);
  assertEquals(new Recording().asked().limits().move(true, 0, 0, 4096).found, []);
  const blocks = (recording: Recording, count: number, step = 128) => {
    for (let i = 0; i < count; i++) recording.move(true, 0, i * step, 128);
    return recording.found;
  };
  assertEquals(blocks(new Recording().asked().limits(), 3), []);
  assertEquals(blocks(new Recording().asked().limits(), 40), ["limit-is-maxstbl"]);
  assertEquals(
    blocks(new Recording().asked().limits(), 40, 256),
    [],
    "blocks that do not follow one another",
  );
  assertEquals(blocks(new Recording().asked().limits(128), 40), [], "the limit is 128");
});

Deno.test("who goes on behind bytes that were not moved has not looked at the result (vfio.rw.clamp)", () => {
  const short = () => new Recording().asked().move(false, 2, 65520, 32, { result: 16 });
  assertEquals(short().move(false, 2, 65536, 8, { result: 0 }).found, []);
  assertEquals(
    short().move(false, 2, 65552, 8, { result: 0, position: BAR2 + 65552 }).found,
    ["position-not-asked", "result-not-checked"],
  );
  const failed = () => new Recording().asked().limits().move(true, 0, 0, 64, { result: EIO });
  assertEquals(failed().move(true, 0, 0, 64).found, [], "again");
  assertEquals(failed().move(true, 0, 64, 64).found, ["result-not-checked"]);
  assertEquals(failed().move(false, 0, 64, 64).found, [], "a read says nothing about a write");
  assertEquals(failed().move(true, 0, 64, 64, { origin: new Recording().origin("pwrite64", 11) }).found, []);
});

Deno.test("one command at a time, and its response is read (ism.cmd.sequence)", () => {
  const good = [3n << 32n | 16n, 7n];
  assertEquals(new Recording().asked().command(3, [], good).command(3, [], good).found, []);
  assertEquals(new Recording().asked().command(3, []).command(3, [], good).found, ["response-not-read"]);
  // A response whose read failed was not read; one that is refused was.
  const failed = new Recording().asked().command(3, []).move(false, 2, 0, 8, { result: EIO });
  assertEquals(failed.command(3, [], good).found, ["response-not-read"]);
  assertEquals(
    new Recording().asked().command(3, [], [3n << 32n | 4n << 16n | 8n]).command(3, [], good).found,
    [],
  );
});

const OK = 8n;

Deno.test("what is registered is unregistered before the last close (ism.dmb.unregister)", () => {
  const registered = () =>
    new Recording().asked().command(1, [0x1000n], [OK]).command(2, [0x2000n, 512n], [OK])
      .command(0x0a, [0x3000n, 4096n << 32n | 32n, 0n, 7n], [OK, 0x1_0000_0000n]);
  assertEquals(registered().sbaAddress, 0x1000);
  assertEquals(registered().close().messages.map((text) => text.split(" is ")[0]), [
    "SBA",
    "IEQ",
    "DMB with token 0x100000000",
  ]);
  const all = registered().command(0x0b, [0x1_0000_0000n], [OK]).command(0x12, [], [OK]).command(0x11, [], [
    OK,
  ]);
  assertEquals(all.close().found, []);
  // No answer counts as done, a refusal does not; after a reset nothing is registered.
  const dead = registered().command(0x0b, [0x1_0000_0000n], [0xffff_0000n]);
  assertEquals(dead.close().found, ["left-registered", "left-registered"]);
  const refused = registered().command(0x0b, [0x2_0000_0000n], [5n << 16n | 8n]);
  assertEquals(refused.close().found.length, 3);
  assertEquals(registered().ioctl(DEVICE_IOCTL.VFIO_DEVICE_RESET).close().found, []);
  assertEquals(registered().move(true, 0, 0, 8, { result: EIO }).close().found, [], "it cannot unregister");
  // The response may be read in two calls.
  const halves = new Recording().asked().command(0x0a, [0x3000n, 32n, 0n, 7n], [OK])
    .move(false, 2, 8, 8, { data: words([0x5_0000_0000n]) });
  assertEquals(halves.close().messages.length, 1);
});

Deno.test("summary set and all bits clear: they were cleared in the wrong order (ism.sba.walk)", () => {
  assertEquals(
    new Recording().sba(false, false).sba(true, true).sba(false, true).sba(false, false).found,
    [],
  );
  assertEquals(new Recording().sba(false, false).sba(true, true).sba(true, false).found, [
    "summary-cleared-late",
  ]);
  assertEquals(new Recording().sba(true, false).found, [], "memory that no device has written yet");
  assertEquals(
    new Recording().sba(false, false).sba(true, false, true).found,
    [],
    "the next interrupt is on its way",
  );
});

function irq(index: number): Uint8Array {
  return IRQ_SET.encode({
    argsz: 24,
    flags: IRQ_SET_FLAGS.DATA_EVENTFD | IRQ_SET_FLAGS.TRIGGER,
    index,
    count: 1,
  });
}

Deno.test("ERR is installed, or asked for, where the kernel leaves errors to the program (vfio.setirqs.err)", () => {
  const msi = (recording: Recording) => recording.ioctl(DEVICE_IOCTL.VFIO_DEVICE_SET_IRQS, irq(IRQ.MSI));
  assertEquals(msi(new Recording()).close().found, ["no-err-eventfd"]);
  assertEquals(new Recording().close().found, [], "no interrupts at all");
  assertEquals(msi(new Recording({ userRecovers: false })).close().found, []);
  assertEquals(msi(new Recording()).ioctl(DEVICE_IOCTL.VFIO_DEVICE_SET_IRQS, irq(IRQ.ERR)).close().found, []);
  const info = IRQ_INFO.encode({ argsz: 16, index: IRQ.ERR });
  const asked = msi(new Recording()).ioctl(DEVICE_IOCTL.VFIO_DEVICE_GET_IRQ_INFO, info, EINVAL);
  assertEquals(asked.close().found, []);
});

Deno.test("DMA addresses come from what the kernel told (vfio.dma.window)", () => {
  const map = (iova: bigint) => DMA_MAP.encode({ argsz: 32, flags: 3, iova, size: 0x1000n });
  const { VFIO_IOMMU_MAP_DMA } = CONTAINER_IOCTL;
  assertEquals(new Recording().limits().iommu(VFIO_IOMMU_MAP_DMA, map(0x1000n)).found, []);
  assertEquals(new Recording().limits().iommu(VFIO_IOMMU_MAP_DMA, map(0xf000n)).found, []);
  assertEquals(new Recording().limits().iommu(VFIO_IOMMU_MAP_DMA, map(0xf001n)).found, ["iova-not-asked"]);
  assertEquals(new Recording().iommu(VFIO_IOMMU_MAP_DMA, map(0x1000n)).found, ["iova-not-asked"]);
  const range = new Uint8Array(new BigUint64Array([0x1000n, 0x1fffn]).buffer);
  const ranges = () => new Recording().iommu(IOMMUFD_IOCTL.IOMMU_IOAS_IOVA_RANGES, new Uint8Array(32), range);
  const fixed = (flags: number) => IOAS_MAP.encode({ size: 40, flags, length: 0x1000n, iova: 0x2000n });
  assertEquals(ranges().iommu(IOMMUFD_IOCTL.IOMMU_IOAS_MAP, fixed(7)).found, ["iova-not-asked"]);
  assertEquals(ranges().iommu(IOMMUFD_IOCTL.IOMMU_IOAS_MAP, fixed(6)).found, [], "the kernel chooses");
});

Deno.test("RESET is tried again on EAGAIN, and error blocks are read to the end (recovery.driver.procedure)", () => {
  const reset = (recording: Recording, result: number) =>
    recording.ioctl(DEVICE_IOCTL.VFIO_DEVICE_RESET, new Uint8Array(0), result);
  assertEquals(reset(reset(new Recording().asked(), EAGAIN), 0).move(false, 2, 0, 8).found, []);
  assertEquals(reset(new Recording().asked(), EAGAIN).move(false, 2, 0, 8).found, ["reset-not-retried"]);
  assertEquals(reset(new Recording(), EAGAIN).close().found, ["reset-not-retried"]);
  assertEquals(reset(reset(new Recording(), EAGAIN), EAGAIN).close().found, [], "it tried");
  const get = FEATURE.encode({ argsz: 16, flags: 13 + FEATURE_FLAGS.GET });
  const drain = (recording: Recording, result: number) =>
    recording.ioctl(DEVICE_IOCTL.VFIO_DEVICE_FEATURE, get, result);
  assertEquals(reset(drain(drain(new Recording().errors(1), 0), ENOMSG), 0).close().found, []);
  assertEquals(reset(drain(new Recording().errors(2), 0), 0).close().found, ["errors-not-drained"]);
  assertEquals(new Recording().errors(1).close().found, ["errors-not-drained"]);
});

Deno.test("a finding at one place counts; many places are not kept", () => {
  const recording = new Recording();
  const origin = recording.origin("pread64");
  for (let i = 0; i < 5; i++) recording.move(false, 7, 0, 4, { origin, position: CONFIG });
  assertEquals(recording.found, ["position-not-asked 5"]);
  for (let i = 0; i < 2000; i++) recording.move(false, 7, 0, 4);
  assertEquals(recording.found.length, 32);
});
