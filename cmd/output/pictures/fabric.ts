/** The picture of channels: who is on which, who may write whose DMB. */
import { VLAN } from "../../../lib/ism/protocol.ts";
import type { Terminal } from "../../language/terminal.ts";
import { renderTable } from "../table/text.ts";
import { sizeText } from "../units.ts";
import { field } from "../wrap.ts";
import { glyphsOf } from "./glyphs.ts";

/** Why the writer that a DMB names cannot write it now. */
export type Hindrance = "no such GID" | "not in the VLAN";

/** A DMB of a channel. */
export interface FabricDmb {
  readonly token: string;
  /** Position of the function that registered it in the list of all. */
  readonly owner: number;
  /** The function with the GID that may write; null if none on the channel has it. */
  readonly writer: number | null;
  readonly rgid: string;
  readonly index: number;
  readonly size: number;
  readonly vlan: number | null;
  readonly hindrance: Hindrance | null;
}

/** A channel. */
export interface Channel {
  readonly chid: string;
  readonly functions: readonly {
    readonly index: number;
    readonly address: string;
    readonly guest: string;
    readonly gid: string;
    readonly state: string;
    readonly vlans: readonly number[];
  }[];
  readonly dmbs: readonly FabricDmb[];
}

const FUNCTIONS = [
  { name: "index", head: "#" },
  { name: "address" },
  { name: "guest", drop: 1 },
  { name: "gid", drop: 2 },
  { name: "state" },
];

/** Channels for people. */
export function renderFabric(
  channels: readonly Channel[],
  terminal: Pick<Terminal, "style" | "tableWidth" | "unicode">,
  { wide }: { readonly wide: boolean },
): string {
  const { style } = terminal;
  const { arrow } = glyphsOf(terminal);
  return channels.map(({ chid, functions, dmbs }) => {
    const rows = functions.map(({ index, address, guest, gid, state, vlans }) => {
      const named = vlans.filter((id) => id !== VLAN.V2_PROBE);
      const shown = state + (named.length === 0 ? "" : `, VLAN ${named.join(" ")}`);
      return [index, address, guest, gid, shown];
    });
    const width = Math.max(0, ...dmbs.map(({ writer }) => String(writer ?? "?").length));
    const lines = dmbs.map(({ writer, owner, token, size, index, vlan, rgid, hindrance }) =>
      field(
        `${String(writer ?? "?").padStart(width)} ${arrow} ${owner}  `,
        `${token}  ${sizeText(size)}, index ${index}${vlan === null ? "" : `, VLAN ${vlan}`}${
          hindrance === null ? "" : `; ${hindrance}${writer === null ? ` ${rgid} here` : ""}`
        }`,
        terminal.tableWidth,
      )
    );
    return `${style.bold(`channel ${chid}`)}\n` +
      renderTable(FUNCTIONS, rows, terminal, { wide }) +
      (lines.length === 0
        ? "no DMB is registered\n"
        : `\nwriter ${arrow} owner of the DMB\n${lines.join("")}`);
  }).join("\n");
}
