/** A partition with a plain device behind its function: what the tests of lib/zpci need, and no ISM. */
import { ProgramException } from "../../lib/zpci/answer.ts";
import { clp } from "../../lib/zpci/clp.ts";
import { Clock } from "../../lib/zpci/clock.ts";
import { ConfigRegisters } from "../../lib/zpci/config_registers.ts";
import type { FunctionGroup, FunctionIdentity, PciFunctionModel } from "../../lib/zpci/function.ts";
import { Processor } from "../../lib/zpci/instruction.ts";
import { DEFAULT_MACHINE_OPTIONS, type MachineOptions } from "../../lib/zpci/options.ts";
import { type ErrorEvent, Partition } from "../../lib/zpci/partition.ts";
import { MainStorage } from "../../lib/zpci/storage.ts";
import { TranslationTables } from "../../lib/zpci/translation.ts";
import { Tracer } from "../../lib/base/trace.ts";
import { be, bytes } from "./bytes.ts";

export const GROUP: FunctionGroup = {
  pfgid: 0x21,
  noi: 16,
  version: 0,
  relaxed: true,
  refresh: true,
  maxstbl: 4096,
  mui: 4000,
  dasm: 0n,
  msia: 0xfe00000000000000n,
  dtsm: 0x40,
};
/** BAR 0 of 2^48 bytes, BAR 2 of 4096, BAR 4 of 16. */
export const IDENTITY: FunctionIdentity = {
  fid: 0x10,
  uid: 1,
  pchid: 0x7e1,
  vfn: 1,
  pft: 5,
  port: 0,
  sdma: 0x1_0000_0000,
  edma: 0x1_ffff_ffff,
  barExponents: [48, 0, 12, 0, 4, 0],
  barFlags: [4, 0, 4, 0, 0, 0],
  fmbLength: 128,
  pfip: new Uint8Array(4),
  utilityString: new Uint8Array(64),
};

/** A device that remembers each access as text and answers what it is told. */
export class FakeDevice implements PciFunctionModel {
  readonly config = new ConfigRegisters(
    bytes("1410ed04 00001000" + "00".repeat(248)),
    new Uint8Array(256).fill(0xff, 4, 6),
  );
  readonly log: string[] = [];
  answer = 0;
  /** What BAR loads give, from the byte at the offset's low 12 bits on. */
  readonly memory = new Uint8Array(4096);
  /** DMA addresses that the device holds. */
  inUse: readonly (readonly [iova: number, length: number])[] = [];

  load(space: number, offset: number, length: number, into: Uint8Array, at: number): number {
    this.log.push(`load ${space} 0x${offset.toString(16)} ${length}`);
    if (this.answer === 0) into.set(this.memory.subarray(offset % 4096, offset % 4096 + length), at);
    return this.answer;
  }

  store(space: number, offset: number, length: number, from: Uint8Array, at: number): number {
    this.log.push(`store ${space} 0x${offset.toString(16)} ${from.slice(at, at + length).toHex()}`);
    return this.answer;
  }

  storeBlock(space: number, offset: number, source: Uint8Array, length: number): number {
    this.log.push(`block ${space} 0x${offset.toString(16)} ${source.slice(0, length).toHex()}`);
    return this.answer;
  }

  reset(cause: "disable" | "error"): void {
    this.log.push(`reset ${cause}`);
  }

  usesDma(iova: number, length: number): boolean {
    return this.inUse.some(([at, size]) => at < iova + length && iova < at + size);
  }
}

/** One partition, one processor, one function. */
export class Machine {
  readonly tracer = new Tracer();
  readonly clock = new Clock(0);
  readonly partition: Partition;
  readonly processor: Processor;
  readonly device = new FakeDevice();
  readonly fn;
  /** Interruption subclasses of the adapter interruptions so far, and the error events. */
  readonly interruptions: number[] = [];
  readonly errors: ErrorEvent[] = [];

  constructor(
    group: Partial<FunctionGroup> = {},
    identity: Partial<FunctionIdentity> = {},
    options: Partial<MachineOptions> = {},
  ) {
    const storage = new MainStorage(2 ** 26);
    const machineOptions = { ...DEFAULT_MACHINE_OPTIONS, ...options };
    this.partition = new Partition("test", storage, this.tracer, this.clock, machineOptions);
    this.processor = new Processor(this.partition);
    this.fn = this.partition.addFunction({ ...IDENTITY, ...identity }, { ...GROUP, ...group });
    this.fn.attach(this.device);
    this.partition.kernel = {
      adapterInterruption: (isc) => this.interruptions.push(isc),
      errorEvent: (event) => this.errors.push(event),
      availabilityEvent: () => {},
    };
  }

  /** A machine whose function is enabled, with nothing in the device's log yet. */
  static enabled(
    group: Partial<FunctionGroup> = {},
    identity: Partial<FunctionIdentity> = {},
    options: Partial<MachineOptions> = {},
  ): Machine {
    const machine = new Machine(group, identity, options);
    machine.fn.enable();
    return machine;
  }

  /** New translation tables and the iota that designates them: translation on, region-third table. */
  tables(): { readonly tables: TranslationTables; readonly iota: number } {
    const origin = this.partition.storage.allocate(4096)!.address;
    const tables = new TranslationTables();
    this.partition.translationTables.set(origin, tables);
    return { tables, iota: origin + 0x804 };
  }

  /** CLP with a 32-byte request, from byte 16 on `payload`; the answer is the response area. */
  clp(command: number, payload: string, responseLength: number): { cc: number; response: Uint8Array } {
    const block = new Uint8Array(4096);
    block.set(bytes(be(32, 2) + be(command, 2)));
    block.set(bytes(payload), 16);
    block.set(bytes(be(responseLength, 2)), 32);
    const cc = clp(this.partition, block);
    return { cc, response: block.slice(32, 32 + responseLength) };
  }
}

/** How an instruction ended, as text: `"cc 0"`, `"cc 1 status 12"`, `"operand exception"`. */
export function outcome(processor: Processor, run: () => number): string {
  try {
    const cc = run();
    return cc === 1 ? `cc 1 status ${processor.status}` : `cc ${cc}`;
  } catch (error) {
    if (error instanceof ProgramException) return `${error.exception} exception`;
    throw error;
  }
}
