/** The filter, run by an interpreter of the four instructions that it has. */
import { assertEquals } from "@std/assert";
import { ARCHITECTURES, type Trigger } from "./calls.ts";
import { ACTION, buildFilter } from "./filter.ts";

const RANGE = { first: 800, end: 1024 };

/** Runs a filter on a call (struct seccomp_data). @returns its action, and how many instructions it took */
function run(program: Uint8Array, arch: number, number: number, args: readonly bigint[]): [number, number] {
  const data = new DataView(new ArrayBuffer(64));
  data.setUint32(0, number, true);
  data.setUint32(4, arch, true);
  args.forEach((value, i) => data.setBigUint64(16 + 8 * i, BigInt.asUintN(64, value), true));
  const code = new DataView(program.buffer);
  let accumulator = 0;
  for (let at = 0, steps = 1;; at++, steps++) {
    const k = code.getUint32(at * 8 + 4, true);
    const jump = (taken: boolean) => code.getUint8(at * 8 + (taken ? 2 : 3));
    switch (code.getUint16(at * 8, true)) {
      case 0x20:
        accumulator = data.getUint32(k, true);
        break;
      case 0x15:
        at += jump(accumulator === k);
        break;
      case 0x35:
        at += jump(accumulator >= k);
        break;
      case 0x06:
        return [k, steps];
      default:
        throw new Error(`No instruction ${code.getUint16(at * 8, true)}`);
    }
  }
}

for (const [name, architecture] of Object.entries(ARCHITECTURES)) {
  const program = buildFilter(architecture, RANGE);
  const triggers = new Map<number, Trigger>(architecture.calls.map((call) => [call.number, call.trigger]));
  const action = (number: number, args: readonly bigint[] = []) =>
    run(program, architecture.audit, number, args)[0];

  Deno.test(`${name}: every call number stops exactly where its row says`, () => {
    for (let number = 0; number < 1024; number++) {
      const trigger = triggers.get(number);
      const outside = [3n, 3n, 3n, 3n, 3n, 3n];
      assertEquals(action(number, outside), trigger === "always" ? ACTION.NOTIFY : ACTION.ALLOW);
      for (let index = 0; index < 6; index++) {
        const args = outside.with(index, 900n);
        const stops = trigger === "always" || (trigger ?? []).includes(index);
        assertEquals([number, index, action(number, args)], [
          number,
          index,
          stops ? ACTION.NOTIFY : ACTION.ALLOW,
        ]);
      }
    }
  });

  Deno.test(`${name}: both ends of the range, descriptors as 32 bits`, () => {
    for (const { number, trigger } of architecture.calls) {
      if (trigger === "always") continue;
      for (const index of trigger) {
        const rows: readonly (readonly [fd: bigint, stops: boolean])[] = [
          [799n, false],
          [800n, true],
          [1023n, true],
          [1024n, false],
          [0n, false],
          [-1n, false],
          [0x8000_0320n, false],
          [(1n << 32n) + 800n, true],
          [0xdead_0000_0000_03ffn, true],
        ];
        for (const [fd, stops] of rows) {
          const args = [3n, 3n, 3n, 3n, 3n, 3n].with(index, fd);
          assertEquals([number, fd, action(number, args)], [
            number,
            fd,
            stops ? ACTION.NOTIFY : ACTION.ALLOW,
          ]);
        }
      }
    }
  });

  Deno.test(`${name}: calls of other architectures and of x32 go through`, () => {
    for (const arch of [0x4000_0003, 0x4000_0028, 0, 0xffff_ffff]) {
      for (const { number } of architecture.calls) {
        assertEquals(run(program, arch, number, [900n, 900n, 900n, 900n, 900n])[0], ACTION.ALLOW);
      }
    }
    for (const { number } of architecture.calls) {
      assertEquals(action(number + 0x4000_0000, [900n, 900n, 900n, 900n, 900n]), ACTION.ALLOW);
    }
  });

  Deno.test(`${name}: numbers are known once, and a call that is not ours costs its comparisons alone`, () => {
    assertEquals(triggers.size, architecture.calls.length);
    assertEquals(run(program, architecture.audit, 1023, [])[1], 4 - 1 + architecture.calls.length + 1);
  });

  Deno.test(`${name}: a range of all descriptors`, () => {
    const any = buildFilter(architecture, { first: 0, end: 0x8000_0000 });
    const { number } = architecture.calls.find((call) => call.name === "pread64")!;
    assertEquals(run(any, architecture.audit, number, [0n])[0], ACTION.NOTIFY);
    assertEquals(run(any, architecture.audit, number, [-1n])[0], ACTION.ALLOW);
  });
}
