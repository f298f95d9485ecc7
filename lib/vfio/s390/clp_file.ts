/**
 * /dev/clp: requests to the call logical processor from user space. Facts: zpci.devclp.ioctl
 * (arch/s390/pci/pci_clp.c: clp_misc_ioctl, clp_normal_command, clp_immediate_command).
 */
import { CC, ProgramException } from "../../zpci/answer.ts";
import { CLP, clp, CLP_HEADER, CLP_PROCESSOR } from "../../zpci/clp.ts";
import { PAGE_SIZE } from "../../zpci/storage.ts";
import { defineStruct } from "../../base/struct.ts";
import type { ErrnoError, ErrnoName } from "../errno.ts";
import type { Kernel } from "../kernel.ts";
import { type IoctlArg, OpenFile } from "../process/file.ts";
import { coreError, structArgument } from "../refusal.ts";

/** _IOWR('c', 0xC1, struct clp_req). */
export const CLP_SYNC = 0xc010_63c1;

/**
 * The argument (arch/s390/include/uapi/asm/clp.h: struct clp_req): a word with c (1 bit), r (1), lps (6) and cmd (8) from
 * the top, and the address of a block of 4096 bytes. `lps` is its first byte, with c as 0x80 and r as 0x40.
 */
export const CLP_REQ = defineStruct("le", 16, {
  cmd: [2, "u8"],
  lps: [3, "u8"],
  reserved: [4, "u32"],
  dataP: [8, "big64"],
});
const IMMEDIATE = 0x80;
const RESERVED_BIT = 0x40;
const LPS = 0x3f;

/** Installed logical processors, the first one as the highest bit: 0 and 2. */
const INSTALLED = 0xa000_0000_0000_0000n;
const MASK_BITS = 64n;

/** Bytes of a request, and the bytes of it that must be 0. */
interface Shape {
  readonly length: number;
  readonly reserved: readonly number[];
}

const bytes = (from: number, to: number) => Array.from({ length: to - from }, (_, i) => from + i);
const CHARACTERISTICS: Shape = { length: 16, reserved: [] };

/** What may be asked; Set PCI Function may not. */
const SHAPES: Readonly<Record<number, Readonly<Record<number, Shape>>>> = {
  [CLP_PROCESSOR.BASE]: { [CLP.STORE_CHARACTERISTICS]: CHARACTERISTICS },
  [CLP_PROCESSOR.PCI]: {
    [CLP.STORE_CHARACTERISTICS]: CHARACTERISTICS,
    [CLP.LIST_PCI]: { length: 32, reserved: bytes(24, 32) },
    [CLP.QUERY_FUNCTION]: { length: 32, reserved: bytes(20, 32) },
    [CLP.QUERY_GROUP]: { length: 32, reserved: [...bytes(16, 19), ...bytes(20, 32)] },
  },
};

function refuse(code: ErrnoName, symbol: string, rule: string, message: string, hint?: string): ErrnoError {
  return coreError(code, "zpci.devclp.ioctl", rule, `arch/s390/pci/pci_clp.c: ${symbol}`, message, hint);
}

/** One descriptor. It cannot be read, and has no positions. */
export class ClpFile extends OpenFile {
  override readonly kind = "clp";
  override readonly id = 0;
  override readonly path = "/dev/clp";
  readonly #kernel: Kernel;

  constructor(kernel: Kernel) {
    super(kernel.journal);
    this.#kernel = kernel;
  }

  /** CLP_SYNC. @throws {ErrnoError} EINVAL for any other ioctl too, EFAULT, EOPNOTSUPP */
  override ioctl(request: number, arg: IoctlArg): number {
    const invalid = (rule: string, message: string) => refuse("EINVAL", "clp_misc_ioctl", rule, message);
    if (request !== CLP_SYNC) throw invalid("unknown ioctl", "/dev/clp knows CLP_SYNC alone");
    const bytes = structArgument(arg);
    if (bytes.length < CLP_REQ.size) {
      throw refuse(
        "EFAULT",
        "clp_misc_ioctl",
        "user memory",
        "The argument is not accessible",
      );
    }
    const { lps, cmd, dataP } = CLP_REQ.decode(bytes);
    if ((lps & RESERVED_BIT) !== 0) throw invalid("reserved bit", "The bit r must be 0");
    if ((lps & IMMEDIATE) !== 0) return this.#immediate(lps & LPS, cmd, dataP);
    return this.#normal(lps & LPS, dataP);
  }

  /** Which logical processors there are: whether one is (an int), or all as bits (an unsigned long). */
  #immediate(lps: number, cmd: number, address: bigint): number {
    if (cmd > 1) {
      throw refuse(
        "EINVAL",
        "clp_immediate_command",
        "command",
        `There is no immediate command ${cmd}`,
        "0 or 1",
      );
    }
    const size = cmd === 0 ? 4 : 8;
    const memory = this.#kernel.current.memory(Number(address), size, true);
    const view = new DataView(memory.buffer, memory.byteOffset, size);
    if (cmd === 0) view.setInt32(0, Number((INSTALLED >> (MASK_BITS - 1n - BigInt(lps))) & 1n), true);
    else view.setBigUint64(0, INSTALLED, true);
    return 0;
  }

  /** A request that lies in the block, with its response behind it. */
  #normal(lps: number, address: bigint): number {
    const shapes = SHAPES[lps];
    if (shapes === undefined) {
      throw refuse(
        "EINVAL",
        "clp_normal_command",
        "logical processor",
        `Nothing can be asked of ${lps}`,
        "0 or 2",
      );
    }
    const block = this.#kernel.current.memory(Number(address), PAGE_SIZE, false).slice();
    checkRequest(block, shapes, lps);
    let cc: number;
    try {
      cc = clp(this.#kernel.partition, block, lps);
    } catch (error) {
      if (!(error instanceof ProgramException)) throw error;
      cc = CC.INVALID_HANDLE;
    }
    if (cc !== CC.OK) {
      throw refuse(
        "EOPNOTSUPP",
        "clp_pci_command",
        "condition code",
        `CLP answered condition code ${cc}`,
      );
    }
    this.#kernel.current.memory(Number(address), PAGE_SIZE, true).set(block);
    return 0;
  }
}

/** Header, length and reserved fields of a request, and the room for its response. @throws {ErrnoError} EINVAL */
function checkRequest(block: Uint8Array, shapes: Readonly<Record<number, Shape>>, lps: number): void {
  const invalid = (rule: string, message: string) => refuse("EINVAL", "clp_normal_command", rule, message);
  const { code, format, reserved, length } = CLP_HEADER.decode(block);
  if (format !== 0 || reserved !== 0n) {
    throw invalid("request header", "Format and reserved fields must be 0");
  }
  const shape = shapes[code];
  if (shape === undefined) {
    throw invalid("command", `Logical processor ${lps} may not be asked for command ${code}`);
  }
  if (length !== shape.length) {
    throw invalid("request length", `The request has ${shape.length} bytes, not ${length}`);
  }
  if (CLP_HEADER.decode(block, length).length > PAGE_SIZE - length) {
    throw invalid("response length", "The response does not fit the block");
  }
  if (shape.reserved.some((at) => block[at] !== 0)) throw invalid("reserved fields", "They must be 0");
}
