/** Lines of system calls for tests/support/call_lines.ts: a tour through every kind, and random sequences. */
import { splitMix64 } from "../../lib/base/random.ts";
import { IOCTL, START_DMA, type Way, words } from "./kernel.ts";

const PAGE = 4096;
const BAR2 = 2 ** 49;
const CONFIG = 7 * 2 ** 48;
/** PCI address of the first function of the default topology. */
const NAME = "0001:00:00.0";

const hex = (...values: readonly (number | bigint)[]) => words(...values).toHex();

/** Makes lines; a line's result is named by its number. */
export class CallGenerator {
  readonly #way: Way;
  readonly #lines: string[] = [];
  #state: bigint;
  /** Lines whose results are descriptors: `$N`. */
  #device = "";
  #iommu = "";
  #group = "";
  #event = "";
  #ioas = 1;

  constructor(seed: number, way: Way) {
    this.#state = BigInt(seed);
    this.#way = way;
  }

  /** A number from 0 up to, not including, `end`. */
  #below(end: number): number {
    this.#state = splitMix64(this.#state);
    return Number(this.#state % BigInt(end));
  }

  #pick<Of>(choices: readonly Of[]): Of {
    return choices[this.#below(choices.length)]!;
  }

  #hex(length: number): string {
    return length === 0
      ? "-"
      : Array.from({ length }, () => this.#below(256).toString(16).padStart(2, "0")).join("");
  }

  /** Adds a line. @returns its result's name */
  #add(line: string): string {
    this.#lines.push(line);
    return `$${this.#lines.length - 1}`;
  }

  /** Opens the function. */
  #open(): void {
    this.#event = this.#add("eventfd");
    if (this.#way === "cdev") {
      this.#device = this.#add("open /dev/vfio/devices/vfio0");
      this.#iommu = this.#add("open /dev/iommu");
      this.#add(`ioctl ${this.#device} ${IOCTL.BIND_IOMMUFD} x ${hex(24, 0, 0, 0, 0n)} f8=${this.#iommu}`);
      this.#add(`ioctl ${this.#iommu} ${IOCTL.IOAS_ALLOC} x ${hex(12, 0, 0)}`);
      // Object 1 is the device.
      this.#ioas = 2;
      this.#add(`ioctl ${this.#device} ${IOCTL.ATTACH_PT} x ${hex(12, 0, this.#ioas)}`);
    } else {
      this.#iommu = this.#add(`open ${this.#way === "group" ? "/dev/vfio/vfio" : "/dev/iommu"}`);
      this.#group = this.#add("open /dev/vfio/0");
      this.#add(`ioctl ${this.#group} ${IOCTL.GROUP_SET_CONTAINER} x ${hex(0)} f0=${this.#iommu}`);
      this.#add(`ioctl ${this.#iommu} ${IOCTL.SET_IOMMU} 3`);
      const name = new TextEncoder().encode(`${NAME}\0`).toHex();
      this.#device = this.#add(`ioctl ${this.#group} ${IOCTL.GROUP_GET_DEVICE_FD} x ${name}`);
    }
    this.#add(`pwrite ${this.#device} 2 ${CONFIG + 4} 0600`);
  }

  #map(iova: number, offset: number, size: number, flags: number): void {
    if (this.#way === "cdev") {
      const map = hex(40, flags | 1, this.#ioas, 0, 0n, BigInt(size), BigInt(iova));
      this.#add(`ioctl ${this.#iommu} ${IOCTL.IOAS_MAP} x ${map} a16=${offset}`);
    } else {
      const map = hex(32, flags & 3, 0n, BigInt(iova), BigInt(size));
      this.#add(`ioctl ${this.#iommu} ${IOCTL.MAP_DMA} x ${map} a8=${offset}`);
    }
  }

  #unmap(iova: number, size: number): void {
    if (this.#way === "cdev") {
      const unmap = hex(24, this.#ioas, BigInt(iova), BigInt(size));
      this.#add(`ioctl ${this.#iommu} ${IOCTL.IOAS_UNMAP} x ${unmap}`);
    } else this.#add(`ioctl ${this.#iommu} ${IOCTL.UNMAP_DMA} x ${hex(24, 0, BigInt(iova), BigInt(size))}`);
  }

  /** A command of the device: payload, header, answer. Everything is big-endian. */
  #command(code: number, payload: readonly bigint[], answerBytes = 16): void {
    const bytes = payload.map((value) => value.toString(16).padStart(16, "0")).join("");
    if (bytes !== "") this.#add(`pwrite ${this.#device} ${bytes.length / 2} ${BAR2 + 8} ${bytes}`);
    const header = (BigInt(code) << 32n | BigInt(8 + bytes.length / 2)).toString(16).padStart(16, "0");
    this.#add(`pwrite ${this.#device} 8 ${BAR2} ${header}`);
    this.#add(`pread ${this.#device} ${answerBytes} ${BAR2} ${answerBytes}`);
  }

  #setIrqs(flags: number, index: number, start: number, count: number, descriptor?: string): void {
    const head = hex(descriptor === undefined ? 20 : 24, flags, index, start, count);
    const tail = descriptor === undefined ? "" : `00000000 f20=${descriptor}`;
    this.#add(`ioctl ${this.#device} ${IOCTL.SET_IRQS} x ${head}${tail}`);
  }

  /** Every kind of call once, and its refusals. */
  tour(): string[] {
    this.#open();
    this.#add(`readlink /sys/bus/pci/devices/${NAME}/iommu_group`);
    this.#add("open /dev/vfio/77");
    this.#map(START_DMA, 0, 4 * PAGE, 6 | 3);
    this.#map(START_DMA, 0, PAGE, 7);
    this.#map(START_DMA + 64 * PAGE, 70 * PAGE, PAGE, 7);
    this.#setIrqs(0x24, 1, 0, 1, this.#event);
    this.#setIrqs(0x24, 1, 0, 1, this.#device);
    this.#setIrqs(0x24, 1, 0, 1, "999");
    this.#setIrqs(0x24, 4, 0, 1, this.#event);
    this.#command(1, [BigInt(START_DMA)]);
    this.#command(2, [BigInt(START_DMA + PAGE), 512n]);
    this.#command(3, []);
    this.#command(8, [], 200);
    this.#setIrqs(0x21, 1, 0, 1);
    this.#add(`read ${this.#event} 8 8`);
    this.#add(`read ${this.#event} 8 8`);
    this.#add(`memory 0 64`);
    this.#add(`memory ${PAGE} 96`);
    for (const request of [IOCTL.GET_INFO, IOCTL.GET_REGION_INFO, IOCTL.GET_IRQ_INFO]) {
      for (const argsz of [0, 8, 16, 20, 24, 32, 40, 200]) {
        this.#add(`ioctl ${this.#device} ${request} x ${hex(argsz, 0, 2)}${"00".repeat(188)}`);
      }
    }
    this.#add(`ioctl ${this.#device} ${IOCTL.FEATURE} x ${hex(8, 0x20003)}`);
    this.#add(`ioctl ${this.#device} ${IOCTL.GET_PCI_HOT_RESET_INFO} x ${hex(24, 0, 0, 0, 0, 0)}`);
    this.#add(`ioctl ${this.#device} 0x5401 x ${"00".repeat(64)}`);
    for (const fd of [this.#device, this.#iommu, this.#event, this.#group].filter((each) => each !== "")) {
      this.#add(`lseek ${fd}`);
      this.#add(`mmap ${fd} ${PAGE} 0`);
      this.#add(`mmap ${fd} ${PAGE} 1`);
      this.#add(`mmap ${fd} 0 0`);
      this.#add(`read ${fd} 7 8`);
      this.#add(`write ${fd} 4 00000000`);
      this.#add(`pread ${fd} 8 -1 8`);
      this.#add(`pread ${fd} 8 ${BAR2} 8`);
      this.#add(`pread ${fd} 16 ${BAR2} 9`);
      this.#add(`pwrite ${fd} 16 ${BAR2 + 8} 0011`);
      this.#add(`preadv ${fd} ${BAR2} 8,0,16,4`);
      this.#add(`pwritev ${fd} ${BAR2 + 64} 0011,22334455`);
      this.#add(`readv ${fd} 4,4`);
      this.#add(`writev ${fd} 00,00`);
    }
    const copy = this.#add(`dup ${this.#device}`);
    this.#add(`pread ${copy} 4 ${CONFIG} 4`);
    this.#add(`close ${copy}`);
    this.#add(`pread ${copy} 4 ${CONFIG} 4`);
    this.#add(`close ${copy}`);
    this.#add(`ioctl ${this.#device} ${IOCTL.RESET} 0`);
    this.#unmap(START_DMA, 4 * PAGE);
    this.#unmap(START_DMA, 4 * PAGE);
    if (this.#group !== "") {
      this.#add(`close ${this.#group}`);
      this.#add("open /dev/vfio/0");
    }
    this.#add(`close ${this.#device}`);
    this.#add(`pread ${this.#device} 8 ${BAR2} 8`);
    this.#add(`close ${this.#iommu}`);
    this.#add("open /dev/vfio/0");
    return this.#lines;
  }

  /** `count` calls, most of which make sense. */
  random(count: number): string[] {
    this.#open();
    this.#map(START_DMA, 0, 16 * PAGE, 7);
    this.#command(1, [BigInt(START_DMA)]);
    this.#command(2, [BigInt(START_DMA + PAGE), 512n]);
    const steps = [
      () => this.#access(),
      () => this.#access(),
      () => this.#access(),
      () => this.#vectors(),
      () => this.#structs(),
      () => this.#mappings(),
      () => this.#interrupts(),
      () => this.#commands(),
      () => this.#descriptors(),
    ];
    while (this.#lines.length < count) this.#pick(steps)();
    this.#add("memory 0 4096");
    this.#add(`memory ${PAGE} 512`);
    return this.#lines;
  }

  #position(): number {
    const region = this.#pick([2, 2, 2, 7, 7, 0, 1, 6, 9]);
    return region * 2 ** 48 + this.#below(this.#pick([8, 64, 300, 4096, 70000]));
  }

  #access(): void {
    const count = this.#pick([0, 1, 2, 3, 4, 7, 8, 9, 16, 33, 256, 4096, 5000]);
    const room = this.#below(8) === 0 ? this.#below(count + 1) : count;
    const position = this.#below(30) === 0 ? this.#pick([-1, -4096]) : this.#position();
    if (this.#below(2) === 0) return void this.#add(`pread ${this.#device} ${count} ${position} ${room}`);
    this.#add(`pwrite ${this.#device} ${count} ${position} ${this.#hex(room)}`);
  }

  #vectors(): void {
    const lengths = Array.from({ length: 1 + this.#below(4) }, () => this.#pick([0, 1, 4, 8, 12, 64]));
    const position = this.#position();
    if (this.#below(2) === 0) return void this.#add(`preadv ${this.#device} ${position} ${lengths.join()}`);
    const parts = lengths.map((length) => this.#hex(length)).join();
    this.#add(`pwritev ${this.#device} ${position} ${parts}`);
  }

  #structs(): void {
    const requests = [
      IOCTL.GET_INFO,
      IOCTL.GET_REGION_INFO,
      IOCTL.GET_IRQ_INFO,
      IOCTL.FEATURE,
      IOCTL.IOMMU_GET_INFO,
    ];
    const request = this.#pick(requests);
    const length = this.#pick([0, 4, 12, 24, 32, 100, 300]);
    const struct = hex(this.#pick([0, 8, 16, 24, 32, 128, 300, 0xffffffff]), this.#below(4), this.#below(10));
    const bytes = (struct + "00".repeat(length)).slice(0, length * 2);
    const fd = this.#pick([this.#device, this.#device, this.#iommu, this.#event]);
    this.#add(`ioctl ${fd} ${request} x ${bytes === "" ? "-" : bytes}`);
  }

  #mappings(): void {
    const iova = START_DMA + this.#below(40) * PAGE;
    const size = (1 + this.#below(4)) * PAGE;
    if (this.#below(3) === 0) this.#unmap(iova, size);
    // One address of 33 is far from all memory.
    else {this.#map(
        iova,
        this.#below(33) === 0 ? 2 ** 30 : this.#below(64) * PAGE,
        size,
        this.#pick([2, 4, 6, 7, 0]),
      );}
  }

  #interrupts(): void {
    const descriptor = this.#pick([undefined, this.#event, this.#event, this.#device, "-1", "999"]);
    this.#setIrqs(
      this.#pick([0x21, 0x24, 0x22, 0x24, 0x9]),
      this.#pick([1, 1, 4, 0, 9]),
      0,
      this.#below(2),
      descriptor,
    );
    this.#add(`read ${this.#event} 8 8`);
  }

  #commands(): void {
    const dma = BigInt(START_DMA + this.#below(20) * PAGE);
    const index = BigInt(32 + this.#below(3));
    this.#pick([
      () => this.#command(3, []),
      () => this.#command(8, [], 200),
      () => this.#command(1, [dma]),
      () => this.#command(2, [dma, 512n]),
      () => this.#command(0x11, []),
      () => this.#command(0x12, []),
      () => this.#command(0x0a, [dma, BigInt(PAGE) << 32n | index, 0n, BigInt(this.#below(3))]),
      () => this.#command(this.#below(0x20), [dma]),
    ])();
  }

  #descriptors(): void {
    this.#pick([
      () => {
        const copy = this.#add(`dup ${this.#device}`);
        this.#add(`pread ${copy} 4 ${CONFIG} 4`);
        this.#add(`close ${copy}`);
        this.#add(`pread ${copy} 4 ${CONFIG} 4`);
      },
      () => void this.#add(`lseek ${this.#device}`),
      () =>
        void this.#add(
          `mmap ${this.#device} ${PAGE * this.#below(3)} ${PAGE * this.#below(2) + this.#below(2)}`,
        ),
      () => void this.#add(`ioctl ${this.#device} ${IOCTL.RESET} 0`),
      () => void this.#add(`open ${this.#pick(["/dev/vfio/0", "/dev/vfio/1", "/dev/vfio/devices/vfio0"])}`),
      () => void this.#add(`set ${this.#below(8) * PAGE} ${this.#hex(16)}`),
      () => void this.#add(`memory ${this.#below(8) * PAGE} 32`),
    ])();
  }
}
