import { hex } from "../../lib/base/hex.ts";
import { defineCommand } from "../language/command.ts";
import { renderTable } from "../output/table.ts";

export const list = defineCommand({
  name: "list",
  group: "look",
  summary: "List the functions of the host",
  args: {},
  options: {},
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
  text({ functions }, { terminal }) {
    const rows = functions.map((fn) => [
      String(fn.index),
      fn.address,
      fn.guest,
      fn.fid,
      fn.uid,
      fn.chid,
      fn.gid,
      fn.driver ?? "-",
      fn.state + (fn.open ? ", open" : ""),
    ]);
    const head = ["#", "ADDRESS", "GUEST", "FID", "UID", "CHID", "GID", "DRIVER", "STATE"];
    return renderTable([head, ...rows], terminal.style);
  },
});
