import { hex } from "../../lib/base/hex.ts";
import type { Host } from "../../lib/host/host.ts";
import type { Dmb } from "../../lib/ism/device/dmb.ts";
import { defineListing } from "../language/listing.ts";
import { type Channel, type FabricDmb, renderFabric } from "../output/pictures/fabric.ts";
import { sizeText } from "../output/units.ts";

/** A DMB, and whether the one that it names can write it (ism.data.store). */
function describe(host: Host, dmb: Dmb): FabricDmb {
  const { owner, token, rgid, sbaIndex, length, vlanId } = dmb;
  const at = (adapter: typeof owner) => host.functions.findIndex((each) => each.adapter === adapter);
  const writer = owner.fabric.byGid(rgid);
  const hindrance = writer === undefined
    ? "no such GID"
    : vlanId !== undefined && !writer.vlans.has(vlanId)
    ? "not in the VLAN"
    : null;
  return {
    token: hex(token),
    owner: at(owner),
    writer: writer === undefined ? null : at(writer),
    rgid: hex(rgid),
    index: sbaIndex,
    size: length,
    vlan: vlanId ?? null,
    hindrance,
  };
}

function channelsOf(host: Host): Channel[] {
  const fabrics = [...new Set(host.functions.map(({ adapter }) => adapter.fabric))];
  return fabrics.sort((a, b) => a.chid - b.chid).map((fabric) => ({
    chid: hex(fabric.chid),
    functions: host.functions.filter(({ adapter }) => adapter.fabric === fabric)
      .map(({ index, guest, fn, adapter, zdev }) => ({
        index,
        address: zdev.name,
        guest: guest.name,
        gid: hex(adapter.gid),
        state: fn.state,
        vlans: [...adapter.vlans],
      })),
    dmbs: fabric.adapters.flatMap((adapter) => [...adapter.dmbs.values()]).map((dmb) => describe(host, dmb)),
  }));
}

export const fabric = defineListing({
  name: "fabric",
  group: "look",
  summary: "Show who is on which channel, and who may write whose DMB",
  details:
    `Functions reach each other if they are on one channel (CHID). A DMB may be written by the one GID that its owner
named, which has to be in the DMB's VLAN if it has one. --format and --columns take the table of DMBs.`,
  args: {},
  options: {},
  access: "read",
  examples: ["fabric", "fabric --json", "fabric --format=csv"],
  run: ({ host }) => ({ channels: channelsOf(host) }),
  text: ({ channels }, { terminal, wide }) => renderFabric(channels, terminal, { wide }),
  table: {
    columns: [
      { name: "chid", drop: 3 },
      { name: "writer" },
      { name: "owner" },
      { name: "token" },
      { name: "index", drop: 2 },
      { name: "size", drop: 1 },
      { name: "vlan", drop: 5 },
      { name: "rgid", drop: 4 },
      { name: "hindrance" },
    ],
    rows: ({ channels }) =>
      channels.flatMap(({ chid, dmbs }) =>
        dmbs.map(({ writer, owner, token, index, size, vlan, rgid, hindrance }) => [
          chid,
          writer,
          owner,
          token,
          index,
          { value: size, shown: sizeText(size) },
          vlan,
          rgid,
          hindrance,
        ])
      ),
  },
});
