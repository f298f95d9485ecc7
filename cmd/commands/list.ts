import { hex } from "../../lib/base/hex.ts";
import { defineListing } from "../language/listing.ts";
import { WATCH } from "../language/watching.ts";

export const list = defineListing({
  name: "list",
  group: "look",
  summary: "List the functions of the host",
  args: {},
  options: { ...WATCH },
  access: "read",
  examples: ["list", "list --json"],
  run({ host }) {
    return {
      functions: host.functions.map(({ index, guest, fn, adapter, zdev, driver }) => ({
        index,
        address: zdev.name,
        guest: guest.name,
        fid: hex(zdev.facts.fid),
        uid: hex(zdev.facts.uid),
        chid: hex(zdev.facts.pchid),
        fh: hex(fn.fh, 8),
        gid: hex(adapter.gid),
        driver: guest.kernel.binding(zdev).driver ?? null,
        state: fn.state,
        open: driver.isOpen,
      })),
    };
  },
  table: {
    columns: [
      { name: "index", head: "#" },
      { name: "address" },
      { name: "guest", drop: 1 },
      { name: "fid", drop: 4 },
      { name: "uid", drop: 6 },
      { name: "chid", drop: 5 },
      { name: "gid", drop: 2 },
      { name: "driver", drop: 3 },
      { name: "state" },
    ],
    rows: ({ functions }) =>
      functions.map(({ index, address, guest, fid, uid, chid, gid, driver, state, open }) => [
        index,
        address,
        guest,
        fid,
        uid,
        chid,
        gid,
        driver,
        state + (open ? ", open" : ""),
      ]),
  },
});
