/**
 * ISM functions without a kernel above them: each with its partition, translation tables and interrupt page, driven
 * by instructions and bytes written by hand. For the tests of lib/ism/device.
 */
import { Tracer } from "../../lib/base/trace.ts";
import { IsmAdapter } from "../../lib/ism/device/adapter.ts";
import { IsmFabric } from "../../lib/ism/device/fabric.ts";
import { DEFAULT_ISM_OPTIONS, type IsmOptions } from "../../lib/ism/device/options.ts";
import { Clock } from "../../lib/zpci/clock.ts";
import { FIB } from "../../lib/zpci/fib.ts";
import { Processor } from "../../lib/zpci/instruction.ts";
import { mpcifc } from "../../lib/zpci/mpcifc.ts";
import { DEFAULT_MACHINE_OPTIONS, type MachineOptions } from "../../lib/zpci/options.ts";
import { Partition } from "../../lib/zpci/partition.ts";
import { MainStorage, type StorageBuffer } from "../../lib/zpci/storage.ts";
import { TranslationTables } from "../../lib/zpci/translation.ts";
import { be, bytes, fromBe } from "./bytes.ts";
import { GROUP, IDENTITY, outcome } from "./machine.ts";

/** Where each station has its SBA and IEQ, and where free addresses for DMBs begin (on a 1 MiB boundary). */
export const SBA_AT = 0x1_0000_0000;
export const IEQ_AT = 0x1_0000_1000;
export const DMB_AT = 0x1_0010_0000;
const EDMA = 0x1_ffff_ffff;

/** One function with what belongs to it. */
export class Station {
  readonly partition: Partition;
  readonly processor: Processor;
  readonly fn;
  readonly adapter: IsmAdapter;
  readonly tables = new TranslationTables();
  /** Adapter interruptions so far; each re-arms the summary bit, as Linux does. */
  interruptions = 0;
  /** Event codes of the error events so far. */
  readonly errors: number[] = [];
  /** IEQ slot that the walk handled last, -1 before the first. */
  lastSlot = -1;
  /** Called in an adapter interruption. */
  onInterruption: () => void = () => {};

  constructor(fabric: IsmFabric, gid: bigint, options: IsmOptions, machine: MachineOptions, clock: Clock) {
    this.partition = new Partition(`${gid}`, new MainStorage(2 ** 26), new Tracer(), clock, machine);
    this.processor = new Processor(this.partition);
    const bar2 = Math.log2(options.bar2Size);
    const identity = { ...IDENTITY, edma: EDMA, barExponents: [48, 0, bar2, 0, 0, 0] };
    this.fn = this.partition.addFunction(identity, { ...GROUP, noi: 1 });
    this.adapter = new IsmAdapter(this.fn, fabric, gid, options);
    const page = this.partition.storage.allocate(4096)!;
    this.partition.kernel = {
      adapterInterruption: () => {
        this.interruptions++;
        page.touch(0, 64, false).fill(0, 0, 64);
        this.onInterruption();
      },
      availabilityEvent: () => {},
      errorEvent: ({ pec }) => this.errors.push(pec),
    };
    this.partition.translationTables.set(page.address, this.tables);
    this.enable(page.address);
  }

  /** Enables the function, registers translation and interrupts, sets memory and bus master. */
  enable(page = this.partition.storage.buffers[0]!.address): void {
    const { fn, processor } = this;
    fn.enable();
    mpcifc(processor, fn.fh, 4, FIB.encode({ pba: SBA_AT, pal: EDMA + 4096, iota: page + 0x804 }));
    mpcifc(processor, fn.fh, 2, FIB.encode({ aibv: page + 8, aisb: page, interrupts: 0x2001_0080 }));
    this.busMaster = true;
  }

  set busMaster(on: boolean) {
    this.fn.model.config.write(4, on ? 0x06 : 0x02);
  }

  /** Maps new storage for the device. */
  map(iova: number, size: number, { read = true, write = true } = {}): StorageBuffer {
    const buffer = this.partition.storage.allocate(size)!;
    this.tables.insert({ iova, size: buffer.size, read, write, buffer, bufferOffset: 0 });
    return buffer;
  }

  /** Storage behind a DMA address, as it is now. */
  at(iova: number, length: number): Uint8Array {
    const entry = this.tables.find(iova)!;
    const offset = iova - entry.iova + entry.bufferOffset;
    return (entry.buffer as StorageBuffer).touch(offset, length, false).subarray(offset, offset + length);
  }

  /** One PCISTB; how it ended. */
  store(space: number, offset: number, data: Uint8Array): string {
    return outcome(this.processor, () => this.processor.pcistb(this.fn.fh, space, offset, data.length, data));
  }

  /** One PCILG of BAR 2: the loaded bytes, or how it ended otherwise. */
  load(space: number, offset: number, length: number): string {
    const answer = outcome(this.processor, () => this.processor.pcilg(this.fn.fh, space, offset, length));
    return answer === "cc 0" ? this.processor.register.slice(8 - length).toHex() : answer;
  }

  /** `length` bytes of BAR 2, by 8-byte loads. */
  response(length: number): string {
    return Array.from({ length: length / 8 }, (_, i) => this.load(2, i * 8, 8)).join("");
  }

  /** A command as hexadecimal payload, payload first and header second; the response header's two words. */
  command(code: number, payload = "", length = 8 + bytes(payload).length): string {
    if (payload !== "") this.store(2, 8, bytes(payload));
    this.store(2, 0, bytes(be(code, 4) + "0000" + be(length, 2)));
    return this.response(8);
  }

  /** The return code of a command, or the load's outcome when no answer came. */
  ret(code: number, payload = "", length?: number): string {
    const header = this.command(code, payload, length);
    return header.length === 16 ? header.slice(8, 12) : header;
  }

  /** Maps and registers SBA and IEQ at their places. */
  start(): this {
    for (const at of [SBA_AT, IEQ_AT]) if (this.tables.find(at) === undefined) this.map(at, 4096);
    this.command(0x01, be(SBA_AT, 8));
    this.command(0x02, be(IEQ_AT, 8) + be(512, 8));
    return this;
  }

  /** REG_DMB for a writer; the token. */
  dmb(rgid: bigint, { iova = DMB_AT, length = 4096, index = 32, vlan = 0 } = {}): number {
    if (this.tables.find(iova) === undefined) this.map(iova, length);
    this.command(0x0a, regDmb({ iova, length, index, vlan, vlanValid: vlan === 0 ? 0 : 1, rgid }));
    return Number(fromBe(bytes(this.response(16)), 8, 8));
  }

  get sba(): Uint8Array {
    return this.at(SBA_AT, 4096);
  }

  get ieq(): Uint8Array {
    return this.at(IEQ_AT, 512);
  }

  /** Takes the events out, `type code token` each, walking as ism.ieq.layout describes the kernel's driver. */
  takeEvents(): string[] {
    const idx = Number(fromBe(this.ieq, 0, 8));
    const events: string[] = [];
    while (this.lastSlot + 1 !== idx) {
      this.lastSlot++;
      if (this.lastSlot === 15) this.lastSlot = 0;
      const entry = this.ieq.slice(32 + this.lastSlot * 32, 64 + this.lastSlot * 32);
      events.push(
        `${fromBe(entry, 0, 4)} 0x${fromBe(entry, 4, 4).toString(16)} 0x${fromBe(entry, 8, 8).toString(16)}`,
      );
      if (events.length > 15) throw new Error("The driver would spin for ever");
    }
    return events;
  }
}

/** The payload of REG_DMB, 32 bytes. */
export function regDmb(
  { iova = DMB_AT, length = 4096, index = 32, vlanValid = 0, vlan = 0, rgid = 1n }: {
    iova?: number | bigint;
    length?: number;
    index?: number;
    vlanValid?: number;
    vlan?: number;
    rgid?: bigint;
  },
): string {
  return be(iova, 8) + be(length, 4) + be(index, 4) + be(vlanValid, 4) + be(vlan, 4) + be(rgid, 8);
}

/** Functions with GIDs 0xa1, 0xa2, … on one fabric, SBA and IEQ registered. */
export function stations(
  count = 2,
  options: Partial<IsmOptions> = {},
  fabric = new IsmFabric(0x7e1, 1),
  machine: Partial<MachineOptions> = {},
): Station[] {
  const clock = new Clock(1000);
  const gids = Array.from({ length: count }, (_, i) => 0xa1n + BigInt(fabric.adapters.length + i));
  const ismOptions = { ...DEFAULT_ISM_OPTIONS, ...options };
  const machineOptions = { ...DEFAULT_MACHINE_OPTIONS, ...machine };
  return gids.map((gid) => new Station(fabric, gid, ismOptions, machineOptions, clock).start());
}

/** Three functions: the first and the second own DMBs for each other, the third shares nothing. */
export function sharingStations(options: Partial<IsmOptions> = {}) {
  const [first, second, third] = stations(3, options);
  const owned = first!.dmb(0xa2n);
  const alsoOwned = first!.dmb(0xa2n, { iova: DMB_AT + 4096, index: 33 });
  const used = second!.dmb(0xa1n);
  return { first: first!, second: second!, third: third!, owned, alsoOwned, used };
}
