/**
 * Facts, docs/reference/zpci/controls.md and ism/adapter.md: what the device holds on to, what a reset takes along,
 * saved state.
 */
import { assertEquals } from "@std/assert";
import { be, pattern } from "../../../tests/support/bytes.ts";
import {
  DMB_AT,
  IEQ_AT,
  SBA_AT,
  sharingStations,
  type Station,
  stations,
} from "../../../tests/support/stations.ts";
import { rpcit } from "../../zpci/mpcifc.ts";

Deno.test.each([
  { what: "the SBA", iova: SBA_AT, state: "error" },
  { what: "the IEQ", iova: IEQ_AT, state: "error" },
  { what: "the page behind the IEQ", iova: IEQ_AT + 4096, state: "enabled" },
  { what: "the page before the DMB", iova: DMB_AT - 4096, state: "enabled" },
  { what: "the DMB's first page", iova: DMB_AT, state: "error" },
  { what: "the DMB's last page", iova: DMB_AT + 4096, state: "error" },
  { what: "the page behind the DMB", iova: DMB_AT + 8192, state: "enabled" },
])("RPCIT over $what leaves state $state (zpci.rpcit.inuse)", ({ iova, state }) => {
  const [station] = stations(1);
  station!.dmb(0xa1n, { length: 8192 });
  const { processor, fn } = station!;
  rpcit(processor, fn.fh, iova, 4096);
  assertEquals(fn.state, state);
});

Deno.test("RPCIT over everything is harmless once all is unregistered, or after a reset (zpci.rpcit.inuse)", () => {
  for (const unregister of [true, false]) {
    const [station] = stations(1);
    const { processor, fn } = station!;
    if (unregister) { for (const code of [0x12, 0x11]) station!.command(code); }
    else {
      fn.disable();
      station!.enable();
    }
    rpcit(processor, fn.fh, SBA_AT, 2 ** 30);
    assertEquals(fn.state, "enabled");
  }
});

Deno.test("disable and error state leave the function as at boot (zpci.handle.change, ism.reset.forgets, ism.reset.events)", () => {
  for (
    const act of [
      (station: Station) => station.fn.disable(),
      (station: Station) => station.fn.fail(2, 0, true),
    ]
  ) {
    const { first, second, owned, used } = sharingStations();
    first.command(0x04, be(7, 8));
    first.command(0x06);
    second.command(0x0e, be(0xa1, 8) + be(1, 4) + be(0x80, 4) + be(0, 8));
    act(first);
    assertEquals(first.adapter.save(), {
      commandBar: { area: "", payloadWaits: false, responseWaits: false, busyLoads: 0 },
      sba: null,
      ieq: null,
      ieqSlot: 0,
      ieqUnread: 0,
      vlanRequired: false,
      vlans: [],
      dmbs: [],
      statistics: { ieqOverflows: 0, ieqFull: 0 },
    });
    assertEquals(second.store(0, owned, pattern(8)), "cc 1 status 36");
    assertEquals(second.adapter.dmbs.size, 1, "what the peer owns stays");
    first.fn.disable();
    first.enable();
    first.start();
    assertEquals(first.store(0, used, pattern(8)), "cc 0", "and can be written again after a new start");
  }
});

Deno.test("save() and restore() carry the whole state of an adapter", () => {
  const { first, owned } = sharingStations();
  first.command(0x04, be(7, 8));
  const saved = first.adapter.save();
  const [other] = stations(1);
  other!.fn.disable();
  other!.adapter.restore(saved);
  assertEquals(other!.adapter.save(), saved);
  assertEquals(other!.adapter.fabric.dmbByToken(owned)?.rgid, 0xa2n);
});
