/** Commands of the ISM command channel: raw ones, GIDs, VLANs. */
import { hex } from "../../lib/base/hex.ts";
import { commandName, COMMANDS as LAYOUTS } from "../../lib/ism/protocol.ts";
import { CommandError } from "../../lib/ism/driver/errors.ts";
import { argument, defineCommand, optional } from "../language/command.ts";
import { defineListing } from "../language/listing.ts";
import { DATA, GID, number } from "../language/kinds.ts";
import { dumpText } from "../output/hexdump.ts";
import { quoteText } from "../language/quote.ts";
import { parseNumber } from "../language/number.ts";
import { UsageError } from "../language/usage_error.ts";

/** A command by number or by name. */
const CODE = {
  placeholder: "CODE",
  choices: Object.keys(LAYOUTS),
  parse(text: string, what: string): number {
    if (/^[0-9]/.test(text)) return parseNumber(text, what, { max: 0xffff_ffff });
    const layout = LAYOUTS[text.toUpperCase() as keyof typeof LAYOUTS];
    if (layout !== undefined) return layout.code;
    throw new UsageError(
      `${what}: ${quoteText(text)} is not a command; try ${Object.keys(LAYOUTS).join(", ")}`,
      {
        token: text,
      },
    );
  },
};
const VLAN_ID = number("ID", { max: 0xffff });

export const cmd = defineCommand({
  name: "cmd",
  group: "ism",
  summary: "Send a raw command over BAR 2: payload, header, response",
  args: {
    code: argument(CODE, "command code, such as 3, or its name, such as READ_GID"),
    payload: optional(DATA, "bytes behind the header; none by default"),
  },
  options: {},
  access: "write",
  examples: ["cmd READ_GID", "cmd 0x08 --raw"],
  run(context, { code, payload }) {
    const bytes = payload === undefined ? new Uint8Array(0) : context.load(payload);
    const response = context.target.driver.channel.raw(code, bytes);
    if (response.ret !== 0) throw new CommandError(commandName(code) ?? `command ${hex(code)}`, response.ret);
    return { code, ret: response.ret, length: response.bytes.length, data: response.bytes.toHex() };
  },
  text: ({ data }, { terminal }) => dumpText(terminal, Uint8Array.fromHex(data), 0),
  raw: ({ data }) => Uint8Array.fromHex(data),
  value: ({ data }) => `hex:${data}`,
});

export const gid = defineCommand({
  name: "gid",
  group: "ism",
  summary: "Read the function's own GID (READ_GID)",
  details:
    `The 64-bit address by which other ISM functions name this one. The gid field that info shows in ZPCI_BASE is
another thing: the PCI function group.`,
  args: {},
  options: {},
  access: "write",
  examples: ["gid", "gid -d 1"],
  run: ({ target }) => ({ gid: hex(target.driver.readGid()) }),
  text: ({ gid }) => gid,
  value: ({ gid }) => gid,
});

export const query = defineCommand({
  name: "query",
  group: "ism",
  summary: "Ask the function about itself (QUERY_INFO)",
  args: {},
  options: {},
  access: "write",
  examples: ["query", "query --json"],
  run({ target }) {
    const answer = target.driver.channel.send("QUERY_INFO", {});
    const ids = new DataView(answer.vlanIds.buffer, answer.vlanIds.byteOffset);
    return {
      version: answer.version,
      max_len: answer.maxLength,
      ism_state: answer.ismState,
      my_gid: hex(answer.gid),
      sba: hex(answer.sba),
      ieq: hex(answer.ieq),
      ieq_len: answer.ieqLength,
      dmbs_owned: answer.dmbsOwned,
      dmbs_used: answer.dmbsUsed,
      vlan_required: answer.vlanRequired,
      vlan_ids: Array.from({ length: Math.min(answer.vlanCount, 64) }, (_, i) => ids.getUint16(i * 2)),
    };
  },
  text: (result) =>
    Object.entries(result).map(([name, value]) => {
      const shown = Array.isArray(value) ? value.join(" ") || "none" : String(value);
      return `${name.padEnd(15)}${shown}`;
    }).join("\n"),
});

export const rgid = defineCommand({
  name: "rgid",
  group: "ism",
  summary: "Ask whether a remote GID can be reached (QUERY_RGID)",
  args: { gid: argument(GID, "the remote GID") },
  options: { vlan: optional(VLAN_ID, "ask for this VLAN") },
  access: "write",
  examples: ["expect RET rgid 0x1"],
  run({ target }, { gid, vlan }) {
    const vlanFields = { vlanValid: vlan === undefined ? 0 : 1, vlanId: vlan ?? 0 };
    target.driver.channel.send("QUERY_RGID", { rgid: gid, ...vlanFields });
    return { gid: hex(gid), reachable: true };
  },
  text: ({ gid }) => `${gid} is reachable`,
});

export const vlanAdd = defineCommand({
  name: "vlan add",
  group: "ism",
  summary: "Join a VLAN (ADD_VLAN_ID)",
  args: { id: argument(VLAN_ID, "VLAN id, 1 to 4095, or 0x1fff to probe for ISM V2") },
  options: {},
  access: "write",
  examples: ["vlan add 100", "vlan add 0x1fff"],
  run({ target }, { id }) {
    target.driver.setVlan(id, true);
    return { id };
  },
});

export const vlanDel = defineCommand({
  name: "vlan del",
  group: "ism",
  summary: "Leave a VLAN (DEL_VLAN_ID)",
  args: { id: argument(VLAN_ID, "VLAN id") },
  options: {},
  access: "write",
  examples: ["expect RET vlan del 100"],
  run({ target }, { id }) {
    target.driver.setVlan(id, false);
    return { id };
  },
});

export const vlanRequire = defineCommand({
  name: "vlan require",
  group: "ism",
  summary: "Switch the need for a VLAN tag on or off (SET_VLAN, RESET_VLAN)",
  args: {
    state: argument({
      placeholder: "on|off",
      choices: ["on", "off"],
      parse(text: string) {
        if (text === "on" || text === "off") return text;
        throw new UsageError(`${quoteText(text)} is neither on nor off`, { token: text });
      },
    }, "on or off"),
  },
  options: {},
  access: "write",
  examples: ["vlan require on"],
  run({ target }, { state }) {
    target.driver.channel.send(state === "on" ? "SET_VLAN" : "RESET_VLAN", {});
    return { required: state === "on" };
  },
});

export const vlanList = defineListing({
  name: "vlan list",
  group: "ism",
  summary: "List the VLANs that the driver joined",
  args: {},
  options: {},
  access: "read",
  examples: ["vlan list"],
  run: ({ target }) => ({ ids: [...target.driver.vlans] }),
  text: ({ ids }) => ids.join("\n"),
  table: { columns: [{ name: "id" }], rows: ({ ids }) => ids.map((id) => [id]) },
});
