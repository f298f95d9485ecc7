/** DMBs: registering, reading one's own, moving data into a peer's. */
import { hex } from "../../lib/base/hex.ts";
import type { HostFunction } from "../../lib/host/host.ts";
import { DATA_OFFSET } from "../../lib/ism/protocol.ts";
import type { DriverDmb } from "../../lib/ism/driver/tables.ts";
import { argument, defaulted, defineCommand, flag, optional, required } from "../language/command.ts";
import { defineListing } from "../language/listing.ts";
import { DATA, GID, number, SIZE, TOKEN } from "../language/kinds.ts";
import { dumpText } from "../output/hexdump.ts";
import { DriverError } from "../../lib/ism/driver/errors.ts";
import { sizeText } from "../output/units.ts";
import { WATCH } from "../language/watching.ts";

function describe({ token, index, iova, size, rgid }: DriverDmb) {
  return { token: hex(token), index, iova: hex(iova), size, rgid };
}

export const dmbRegister = defineCommand({
  name: "dmb register",
  group: "ism",
  summary: "Allocate, map and register a DMB that one GID may write (REG_DMB)",
  args: {},
  options: {
    size: required(SIZE, "bytes; a multiple of 4096 up to 1M"),
    rgid: required(GID, "the one GID that may write"),
    index: optional(
      number("INDEX", { max: 0xffff_ffff }),
      "SBA index; the lowest free one from 32 on by default",
    ),
    vlan: optional(number("ID", { max: 0xffff }), "only members of this VLAN may write"),
  },
  access: "write",
  examples: ["dmb register --size 64k --rgid 0x1"],
  run({ target }, { size, rgid, index, vlan }) {
    const choices = { ...(index === undefined ? {} : { index }), ...(vlan === undefined ? {} : { vlan }) };
    return describe(target.driver.registerDmb({ size, rgid, ...choices }));
  },
  text: ({ token }) => token,
  value: ({ token }) => token,
});

export const dmbUnregister = defineCommand({
  name: "dmb unregister",
  group: "ism",
  summary: "Unregister a DMB and free its memory (UNREG_DMB)",
  args: { token: argument(TOKEN, "the DMB's token") },
  options: {},
  access: "write",
  examples: ["expect DRIVER dmb unregister 0x10000000"],
  run({ target }, { token }) {
    target.driver.unregisterDmb(token);
    return { token: hex(token) };
  },
});

export const dmbList = defineListing({
  name: "dmb list",
  group: "ism",
  summary: "List the DMBs that the driver registered",
  args: {},
  options: { ...WATCH },
  access: "read",
  examples: ["dmb list"],
  run: ({ target }) => ({ dmbs: target.driver.dmbs.map(describe) }),
  table: {
    columns: [
      { name: "token" },
      { name: "index" },
      { name: "iova", drop: 2 },
      { name: "size" },
      { name: "rgid", head: "WRITER", drop: 1 },
    ],
    rows: ({ dmbs }) =>
      dmbs.map((
        { token, index, iova, size, rgid },
      ) => [token, index, iova, { value: size, shown: sizeText(size) }, rgid]),
  },
});

/** The part of a DMB that a read names. @throws {DriverError} if it is not all inside */
function part({ driver }: HostFunction, token: number, offset: number, count: number | undefined) {
  const dmb = driver.dmb(token);
  const length = count ?? dmb.size - offset;
  if (offset > dmb.size || length > dmb.size - offset) {
    throw new DriverError(
      `The DMB has ${dmb.size} bytes; ${offset} plus ${Math.max(length, 0)} is beyond its end`,
    );
  }
  return driver.view(dmb, offset, length);
}

export const dmbRead = defineCommand({
  name: "dmb read",
  group: "ism",
  summary: "Read a DMB of the driver's own with plain loads",
  args: {
    token: argument(TOKEN, "the DMB's token"),
    offset: defaulted(number("OFFSET"), 0, "first byte"),
    count: optional(number("COUNT"), "bytes; to the end by default"),
  },
  options: {},
  access: "read",
  examples: ["expect DRIVER dmb read 0x10000000 0 16"],
  run({ target }, { token, offset, count }) {
    const bytes = part(target, token, offset, count);
    return { token: hex(token), offset: hex(offset), length: bytes.length, data: bytes.toHex() };
  },
  text: ({ data, offset }, { terminal }) => dumpText(terminal, Uint8Array.fromHex(data), BigInt(offset)),
  raw: ({ data }) => Uint8Array.fromHex(data),
  value: ({ data }) => `hex:${data}`,
});

export const move = defineCommand({
  name: "move",
  group: "ism",
  summary: "Move bytes into a peer's DMB: split at 4 KiB lines, signal on the last store only",
  args: {
    token: argument(TOKEN, "token of the peer's DMB"),
    offset: argument(number("OFFSET", { max: DATA_OFFSET.SIGNAL_FLAG - 1 }), "offset in the DMB"),
    data: argument(DATA, "the bytes"),
  },
  options: {
    idx: defaulted(
      number("IDX", { max: DATA_OFFSET.IDX_COUNT - 1 }),
      0,
      "element that the signal names, 0 to 15",
    ),
    signal: flag("signal the owner with the last store"),
  },
  access: "write",
  examples: ["expect EIO move 0x10000000 0 text:nobody-home"],
  run(context, { token, offset, data, idx, signal }) {
    const bytes = context.look(data);
    const stores = context.target.driver.move(token, offset, bytes, { idx, signal });
    return { token: hex(token), offset: hex(offset), length: bytes.length, stores };
  },
});
