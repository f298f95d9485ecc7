/** PCILG, PCISTG and PCISTB with any operands, as the kernel of a guest could issue them, but behind its back. */
import { hex } from "../../lib/base/hex.ts";
import { CC, statusText } from "../../lib/zpci/answer.ts";
import { PAGE_SIZE } from "../../lib/zpci/storage.ts";
import { argument, defaulted, defineCommand } from "../language/command.ts";
import { DATA, number } from "../language/kinds.ts";
import { UsageError } from "../language/usage_error.ts";
import { HANDLE, issue } from "./zpci_controls.ts";

/** Width of a general register. Bytes. */
const REGISTER_BYTES = 8;
/** PCILG and PCISTG decode 4 bits of the length, PCISTB 13 (zpci.request.format). */
const MOST = { registerLength: 0xf, blockLength: 0x1fff };

const SPACE = argument(number("SPACE", { max: 15 }), "address space: 0 to 5 for a BAR, 15 for config space");
const OFFSET = argument(number("OFFSET"), "offset in the address space");

export const zpciPcilg = defineCommand({
  name: "zpci pcilg",
  group: "host",
  summary: "Load from an address space (PCILG) with any handle, space and length",
  details: `The value is the register: 8 bytes, the loaded ones right-aligned.`,
  args: {
    space: SPACE,
    offset: OFFSET,
    length: argument(number("LENGTH", { max: MOST.registerLength }), "bytes"),
  },
  options: { fh: HANDLE },
  access: "write",
  examples: ["zpci pcilg 15 0 4", "expect 'MACHINE:function handle' zpci pcilg 2 0 8 --fh 1"],
  run({ target }, { space, offset, length, fh = target.fn.fh }) {
    const { processor } = target.guest;
    issue("PCILG", target, () => processor.pcilg(fh, space, offset, length), statusText);
    return { space, offset: hex(offset), length, cc: CC.OK, data: processor.register.toHex() };
  },
  text: ({ data }) => `0x${data}`,
  value: ({ data }) => `0x${data}`,
  raw: ({ data }) => Uint8Array.fromHex(data),
});

export const zpciPcistg = defineCommand({
  name: "zpci pcistg",
  group: "host",
  summary: "Store a register into an address space (PCISTG) with any handle, space and length",
  details: `DATA is the register: 8 bytes, of which the last LENGTH are stored.`,
  args: {
    space: SPACE,
    offset: OFFSET,
    length: argument(number("LENGTH", { max: MOST.registerLength }), "bytes"),
    data: argument(DATA, "the register, 8 bytes"),
  },
  options: { fh: HANDLE },
  access: "write",
  examples: [
    "zpci pcistg 15 0x3c 1 hex:0000000000000005",
    "expect 'MACHINE:status 20' zpci pcistg 2 0 8 fill:0*8",
  ],
  run({ target, load }, { space, offset, length, data, fh = target.fn.fh }) {
    const register = load(data);
    if (register.length !== REGISTER_BYTES) {
      throw new UsageError(
        `A register has 8 bytes, and this is ${register.length}; write fill:0*8 or hex:…`,
        {
          token: data.text,
        },
      );
    }
    issue(
      "PCISTG",
      target,
      () => target.guest.processor.pcistg(fh, space, offset, length, register),
      statusText,
    );
    return { space, offset: hex(offset), length, cc: CC.OK };
  },
  text: () => "",
});

export const zpciPcistb = defineCommand({
  name: "zpci pcistb",
  group: "host",
  summary: "Store a block into an address space (PCISTB) with any handle and space",
  args: { space: SPACE, offset: OFFSET, data: argument(DATA, "the bytes, up to 8191") },
  options: {
    fh: HANDLE,
    sourceOffset: defaulted(
      number("OFFSET", { max: PAGE_SIZE - 1 }),
      0,
      "where the block begins in its page of storage; machine.sourceCrossing says if it may end in the next one",
    ),
  },
  access: "write",
  examples: [
    "zpci pcistb 2 0x100 seq:0*9",
    "zpci pcistb 2 0x100 seq:0*9 --source-offset 4090",
    "expect 'MACHINE:specification exception' zpci pcistb 2 0xfff fill:0*2",
  ],
  run({ target, load }, { space, offset, data, fh = target.fn.fh, sourceOffset }) {
    const block = load(data);
    if (block.length > MOST.blockLength) {
      throw new UsageError(`PCISTB has a length of 13 bits, and this is ${block.length} bytes`, {
        token: data.text,
      });
    }
    const { length } = block;
    issue(
      "PCISTB",
      target,
      () => target.guest.processor.pcistb(fh, space, offset, length, block, sourceOffset),
      statusText,
    );
    return { space, offset: hex(offset), length, cc: CC.OK };
  },
  text: () => "",
});
