/** Facts, docs/reference/zpci/functions.md: handle bits, what enable and disable do to them, stale handles. */
import { assertEquals, assertNotEquals } from "@std/assert";
import { Machine, outcome } from "../../tests/support/machine.ts";
import { disabledHandle, enabledHandle, handleIndex, initialHandle, isEnabledHandle } from "./handle.ts";
import { mpcifc, rpcit, stpcifc } from "./mpcifc.ts";

Deno.test.each([
  { fh: 0x0000_0001, enabled: false },
  { fh: 0x7fff_ffff, enabled: false },
  { fh: 0x8000_0000, enabled: true },
  { fh: 0xffff_ffff, enabled: true },
])(
  "isEnabledHandle() looks at bit 0x80000000 alone: $fh is $enabled (zpci.handle.format)",
  ({ fh, enabled }) => {
    assertEquals(isEnabledHandle(fh), enabled);
  },
);

Deno.test("handleIndex() is the low 16 bits (zpci.handle.format)", () => {
  assertEquals(handleIndex(0x81ff_0102), 0x0102);
  assertEquals(handleIndex(initialHandle(0xffff)), 0xffff);
});

Deno.test.each([
  { name: "the first enable", fh: 0x0000_0001, then: 0x8100_0001 },
  { name: "the next one", fh: 0x0100_0001, then: 0x8200_0001 },
  { name: "the wrap after 7 bits", fh: 0x7f00_0001, then: 0x8000_0001 },
  { name: "other bits, which stay", fh: 0x0001_abcd, then: 0x8101_abcd },
])(
  "enabledHandle() sets the enable bit and bumps the instance: $name (zpci.handle.format)",
  ({ fh, then }) => {
    assertEquals(enabledHandle(fh), then);
  },
);

Deno.test("disabledHandle() only clears the enable bit (zpci.handle.change)", () => {
  assertEquals(disabledHandle(0xff12_3456), 0x7f12_3456);
  assertEquals(disabledHandle(0x8100_0001), 0x0100_0001);
});

Deno.test("enable() gives another handle each time, 127 times in a row (zpci.handle.format, zpci.handle.change)", () => {
  const { fn } = new Machine();
  const seen = new Set<number>();
  for (let i = 0; i < 127; i++) {
    fn.enable();
    seen.add(fn.fh);
    fn.disable();
  }
  assertEquals(seen.size, 127);
});

Deno.test("enable() gives the same handle again by choice, and an old one is good then (zpci.handle.format)", () => {
  const machine = Machine.enabled({}, {}, { handleInstance: "keep" });
  const { fn, processor } = machine;
  const before = fn.fh;
  assertEquals(before, 0x8000_0001);
  fn.disable();
  assertEquals(fn.fh, 0x0000_0001);
  assertEquals(
    outcome(processor, () => processor.pcilg(before, 2, 0, 8)),
    "cc 3",
    "not while it is disabled",
  );
  fn.enable();
  assertEquals([fn.fh, outcome(processor, () => processor.pcilg(before, 2, 0, 8))], [before, "cc 0"]);
});

Deno.test("disable() drops interrupts, translation and the device's state (zpci.state.disable)", () => {
  const machine = Machine.enabled();
  const { fn, device } = machine;
  fn.interrupts = { isc: 2, noi: 1, aibv: 0x100000, aibvo: 0, aisb: 0x100000, aisbo: 0 };
  fn.ioat = { origin: 0, tables: machine.tables().tables, pba: 0, pal: 0 };
  device.config.write(4, 0x06);
  fn.disable();
  assertEquals([fn.interrupts, fn.ioat, fn.state], [undefined, undefined, "disabled"]);
  assertEquals(device.log, ["reset disable"]);
  assertEquals(device.config.busMaster, false);
});

/** Every instruction that names a handle. */
const INSTRUCTIONS = {
  PCILG: ({ processor }: Machine, fh: number) => processor.pcilg(fh, 2, 0, 8),
  PCISTG: ({ processor }: Machine, fh: number) => processor.pcistg(fh, 2, 0, 8, new Uint8Array(8)),
  PCISTB: ({ processor }: Machine, fh: number) => processor.pcistb(fh, 2, 0, 8, new Uint8Array(8)),
  MPCIFC: ({ processor }: Machine, fh: number) => mpcifc(processor, fh, 3, new Uint8Array(80)),
  STPCIFC: ({ processor }: Machine, fh: number) => stpcifc(processor, fh, new Uint8Array(80)),
  RPCIT: ({ processor }: Machine, fh: number) => rpcit(processor, fh, 0x1_0000_0000, 4096),
} as const;

for (const [name, execute] of Object.entries(INSTRUCTIONS)) {
  const isStale = (machine: Machine, fh: number) =>
    assertEquals(outcome(machine.processor, () => execute(machine, fh)), "cc 3");

  Deno.test(`${name} with a stale handle is condition code 3 (zpci.handle.stale)`, () => {
    const machine = Machine.enabled();
    const before = machine.fn.fh;
    machine.fn.disable();
    isStale(machine, before);
    machine.fn.enable();
    assertNotEquals(machine.fn.fh, before);
    isStale(machine, before);
    assertNotEquals(outcome(machine.processor, () => execute(machine, machine.fn.fh)), "cc 3");
  });

  Deno.test(`${name} compares all 32 bits of the handle (zpci.handle.stale)`, () => {
    const machine = Machine.enabled();
    const { fh } = machine.fn;
    // STPCIFC takes the handle of an enabled function without its enable bit.
    const bits = name === "STPCIFC" ? 31 : 32;
    for (let bit = 0; bit < bits; bit++) isStale(machine, (fh ^ 1 << bit) >>> 0);
    isStale(machine, 0);
    isStale(machine, 0xffff_ffff);
  });
}

Deno.test("STPCIFC of a handle without its enable bit: cc 0 and the bit while the function is enabled (zpci.stpcifc.cc)", () => {
  const machine = Machine.enabled();
  const { processor, fn } = machine;
  const without = fn.fh - 0x8000_0000;
  const store = (
    fh: number,
  ) => [outcome(processor, () => INSTRUCTIONS.STPCIFC(machine, fh)), processor.handle];
  assertEquals(store(fn.fh), ["cc 0", fn.fh]);
  for (const state of ["enabled", "blocked", "error"] as const) {
    fn.state = state;
    assertEquals(store(without), ["cc 0", fn.fh], state);
  }
  fn.state = "permanent-error";
  assertEquals(store(without), ["cc 3", without]);
  const before = fn.fh;
  fn.state = "enabled";
  fn.disable();
  assertEquals(store(fn.fh), ["cc 0", without], "of a disabled function it is the handle itself");
  assertEquals(store(before), ["cc 3", before]);
});

Deno.test("a disabled function's own handle is condition code 3 on loads and stores (zpci.state.table)", () => {
  const machine = new Machine();
  for (const name of ["PCILG", "PCISTG", "PCISTB", "MPCIFC", "RPCIT"] as const) {
    const execute = INSTRUCTIONS[name];
    assertEquals(outcome(machine.processor, () => execute(machine, machine.fn.fh)), "cc 3");
  }
  assertEquals(machine.device.log, []);
});
