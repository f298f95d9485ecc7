/**
 * What public sources leave open: its options in the topology, and what a whole host does with the default and with the
 * alternative. The rules themselves have their tests beside their sources, under the same rule of docs/reference.
 */
import { assert, assertEquals } from "@std/assert";
import { findRule } from "../cmd/reference/reference.ts";
import type { RuleName } from "../lib/base/rule_names.ts";
import type { Host, HostFunction } from "../lib/host/host.ts";
import { parseTopology } from "../lib/host/topology.ts";
import { ProgramException } from "../lib/zpci/answer.ts";
import { CommandError } from "../lib/ism/driver/errors.ts";
import { bytes, pattern } from "./support/bytes.ts";
import { errnoOf, hostOf } from "./support/host.ts";

/** An alternative: options of the topology, and what the probe says with them. */
interface Alternative {
  readonly machine?: Record<string, unknown>;
  readonly ism?: Record<string, unknown>;
  readonly answer: string;
}

/** A rule of the reference that is assumed in part. */
interface Point {
  readonly rule: RuleName;
  readonly what: string;
  /** What can be seen of it; the first two functions are started by {@linkcode pair} where that is needed. */
  probe(host: Host): string;
  readonly answer: string;
  readonly alternatives: readonly Alternative[];
}

const first = ({ functions }: Host) => functions[0]!;

/** Two started functions, and the token of a DMB that the first one owns and the second one may write. */
function pair({ functions }: Host) {
  const [owner, writer] = functions as [HostFunction, HostFunction];
  owner.driver.start();
  writer.driver.start();
  const { token } = owner.driver.registerDmb({ size: 4096, rgid: 0xa2n });
  return { owner, writer, token };
}

/** The return code of a command of the protocol, 0 if it worked. */
function retOf(act: () => unknown): string {
  try {
    act();
    return "0";
  } catch (error) {
    if (error instanceof CommandError) return String(error.ret);
    throw error;
  }
}

const heard = ({ driver }: HostFunction) =>
  driver.takeEvents().map(({ type, code }) => `${type}:${code}`).join(" ");

const raw = ({ driver }: HostFunction, code: number, length: number) => {
  driver.descriptor.write(2, 0, bytes(`${code.toString(16).padStart(8, "0")}0000000${length.toString(16)}`));
  const head = new Uint8Array(8);
  driver.descriptor.read(2, 0, 8, head);
  return `ret ${head[5]}`;
};

const POINTS: readonly Point[] = [
  {
    rule: "ism.config.bars",
    what: "size of BAR 2 (the default is larger than a page, see docs/fidelity.md)",
    probe: (host) => String(first(host).driver.descriptor.regionInfo(2).size),
    answer: "65536",
    alternatives: [{ ism: { bar2Size: 4096 }, answer: "4096" }],
  },
  {
    rule: "ism.cmd.codes",
    what: "return codes",
    probe: (host) => retOf(() => first(host).driver.channel.send("UNREG_DMB", { token: 2 ** 28 })),
    answer: "5",
    alternatives: [{ ism: { returnCodes: "one" }, answer: "10" }],
  },
  {
    rule: "ism.cmd.length",
    what: "a header with another length",
    probe: (host) => raw(first(host), 0x03, 9),
    answer: "ret 2",
    alternatives: [{ ism: { headerLength: "any" }, answer: "ret 0" }],
  },
  {
    rule: "ism.cmd.start",
    what: "when the response is there",
    probe(host) {
      let busy = 0;
      void first(host).driver.descriptor;
      host.tracer.sink = {
        enter: () => {},
        leave: (event) => void (event.layer === "insn" && event.cc === 2 && busy++),
      };
      first(host).driver.readGid();
      return `busy ${busy} times`;
    },
    answer: "busy 0 times",
    alternatives: [{ ism: { responseDelay: 3 }, answer: "busy 3 times" }],
  },
  {
    rule: "ism.cmd.area",
    what: "BAR 2 before any command",
    probe(host) {
      const into = new Uint8Array(2);
      first(host).driver.descriptor.read(2, 8, 2, into);
      return into.toHex();
    },
    answer: "0000",
    alternatives: [{ ism: { bar2Initial: "ones" }, answer: "ffff" }],
  },
  {
    rule: "ism.cmd.whole",
    what: "header and payload in one store",
    probe(host) {
      first(host).driver.descriptor.write(2, 0, bytes("00000004 0000 0010 0000000000000007"));
      return [...first(host).adapter.vlans].join();
    },
    answer: "7",
    alternatives: [{ ism: { wholeCommandStores: "store-only" }, answer: "" }],
  },
  {
    rule: "ism.cmd.partial",
    what: "a store over a part of the header",
    probe: (host) => errnoOf(() => first(host).driver.descriptor.write(2, 4, bytes("00000008"))),
    answer: "ok",
    alternatives: [{ ism: { partialHeaderStores: "refuse" }, answer: "EIO" }],
  },
  {
    rule: "ism.data.refused",
    what: "a refused store to BAR 0",
    probe(host) {
      const { writer } = pair(host);
      const errno = errnoOf(() => writer.driver.move(2 ** 47, 0, pattern(8)));
      return `${errno}, status ${writer.guest.processor.status}, ${writer.fn.state}`;
    },
    answer: "EIO, status 36, enabled",
    alternatives: [
      { ism: { bar0Failure: "error-state" }, answer: "EIO, status 36, error" },
      { ism: { bar0Status: 40 }, answer: "EIO, status 40, enabled" },
    ],
  },
  {
    rule: "ism.data.load",
    what: "loads of BAR 0, PCISTG to BAR 2",
    probe(host) {
      const { driver, fn, guest: { processor } } = first(host);
      const load = errnoOf(() => driver.descriptor.read(0, 0, 8, new Uint8Array(8)));
      return `load ${load}, store cc ${processor.pcistg(fn.fh, 2, 8, 8, new Uint8Array(8))}`;
    },
    answer: "load EIO, store cc 1",
    alternatives: [
      { ism: { bar0Loads: "zeros" }, answer: "load ok, store cc 1" },
      { ism: { bar2Stores: "accept" }, answer: "load EIO, store cc 0" },
    ],
  },
  {
    rule: "ism.data.element",
    what: "element mask of idx 0, 1 and 15",
    probe(host) {
      const { owner, writer, token } = pair(host);
      return [0, 1, 15].map((idx) => {
        writer.driver.move(token, 0, pattern(8), { idx, signal: true });
        return owner.driver.handleInterrupt().dmbs[0]!.mask.toString(16);
      }).join();
    },
    answer: "1000,800,2000",
    alternatives: [{ ism: { elementMask: "msb-first" }, answer: "8000,4000,1" }],
  },
  {
    rule: "ism.token.format",
    what: "order of tokens",
    probe(host) {
      const { owner, token } = pair(host);
      const next = owner.driver.registerDmb({ size: 4096, rgid: 0xa2n }).token;
      return next === token + 2 ** 28 ? "neighbours" : "scattered";
    },
    answer: "neighbours",
    alternatives: [{ ism: { tokens: "random" }, answer: "scattered" }],
  },
  {
    rule: "ism.msi.when",
    what: "MSI of a second signal",
    probe(host) {
      const { owner, writer, token } = pair(host);
      for (let i = 0; i < 2; i++) writer.driver.move(token, 0, pattern(8), { signal: true });
      return `${owner.driver.handleInterrupt().interrupts} interrupts`;
    },
    answer: "1 interrupts",
    alternatives: [{ ism: { msiOn: "every-signal" }, answer: "2 interrupts" }],
  },
  {
    rule: "ism.event.trigger",
    what: "an event with trigger_irq 0",
    probe(host) {
      const { owner, writer } = pair(host);
      writer.driver.signal(0xa1n, 5, 0n, false);
      const { interrupts, events } = owner.driver.handleInterrupt();
      return `${interrupts} interrupts, ${events.length} events`;
    },
    answer: "0 interrupts, 1 events",
    alternatives: [{ ism: { untriggeredEvents: "notify" }, answer: "1 interrupts, 1 events" }],
  },
  {
    rule: "ism.ieq.overflow",
    what: "a sixteenth event in the queue",
    probe(host) {
      const { owner, writer } = pair(host);
      for (let code = 1; code <= 16; code++) writer.driver.signal(0xa1n, code, 0n);
      const slot0 = owner.driver.view(owner.driver.registrations!.ieq, 32, 8);
      return `slot 0 has code ${slot0[7]}, ${owner.adapter.statistics.ieqOverflows} overflow`;
    },
    answer: "slot 0 has code 16, 1 overflow",
    alternatives: [{ ism: { ieqOverflow: "drop" }, answer: "slot 0 has code 1, 1 overflow" }],
  },
  {
    rule: "ism.cmd.before",
    what: "REG_DMB before REG_SBA",
    probe(host) {
      const { driver } = first(host);
      const dmb = BigInt(driver.mapMemory(4096).iova);
      return retOf(() => driver.channel.send("REG_DMB", { dmb, length: 4096, sbaIndex: 32, rgid: 1n }));
    },
    answer: "4",
    alternatives: [{ ism: { dmbNeedsSba: false }, answer: "0" }],
  },
  {
    rule: "ism.sba.register",
    what: "UNREG_SBA with a DMB registered; a second REG_SBA",
    probe(host) {
      const { channel, registrations } = pair(host).owner.driver;
      const sba = BigInt(registrations!.sba.iova);
      const twice = retOf(() => channel.send("REG_SBA", { sba }));
      return `${twice}, ${retOf(() => channel.send("UNREG_SBA", {}))}`;
    },
    answer: "4, 4",
    alternatives: [{ ism: { unregSbaWithDmbs: "allow" }, answer: "4, 0" }],
  },
  {
    rule: "ism.reset.events",
    what: "who hears of a reset",
    probe(host) {
      const { owner, writer } = pair(host);
      owner.driver.reset();
      return heard(writer);
    },
    answer: "0:4 1:7",
    alternatives: [{ ism: { resetEvents: "none" }, answer: "" }],
  },
  {
    rule: "ism.error.events",
    what: "who hears of an error state",
    probe(host) {
      const { owner, writer } = pair(host);
      owner.fn.fail(0x3a, 0, true);
      return heard(writer);
    },
    answer: "0:2 1:1",
    alternatives: [{ ism: { errorEvents: "none" }, answer: "" }],
  },
  {
    rule: "ism.dmb.unregister",
    what: "who hears of UNREG_DMB; later stores",
    probe(host) {
      const { owner, writer, token } = pair(host);
      owner.driver.unregisterDmb(token);
      return `${errnoOf(() => writer.driver.move(token, 0, pattern(8)))} ${heard(writer)}`;
    },
    answer: "EIO 0:4",
    alternatives: [{ ism: { unregisterEvents: "none" }, answer: "EIO " }],
  },
  {
    rule: "ism.dmb.writer",
    what: "REG_DMB for a GID that does not exist",
    probe: (host) => retOf(() => first(host).driver.registerDmb({ size: 4096, rgid: 0x99n })),
    answer: "0",
    alternatives: [{ ism: { unknownWriter: "refuse" }, answer: "6" }],
  },
  {
    rule: "ism.gid.self",
    what: "a function and itself",
    probe: (host) => retOf(() => first(host).driver.channel.send("QUERY_RGID", { rgid: 0xa1n })),
    answer: "0",
    alternatives: [{ ism: { selfCommunication: "refuse" }, answer: "6" }],
  },
  {
    rule: "ism.vlan.required",
    what: "REG_DMB without VLAN after SET_VLAN",
    probe(host) {
      const { driver } = first(host);
      driver.channel.send("SET_VLAN", {});
      return retOf(() => driver.registerDmb({ size: 4096, rgid: 0xa2n }));
    },
    answer: "8",
    alternatives: [{ ism: { vlanRequired: "ignored" }, answer: "0" }],
  },
  {
    rule: "ism.event.time",
    what: "time in an event: TOD, 0xe2… in 2026",
    probe(host) {
      const { owner, writer } = pair(host);
      writer.driver.signal(0xa1n, 5, 0n);
      return owner.driver.takeEvents()[0]!.time.slice(0, 4);
    },
    answer: "0xe2",
    alternatives: [{ ism: { eventTime: "zero" }, answer: "0x0" }],
  },
  {
    rule: "ism.info.layout",
    what: "version, max_len and ism_state of QUERY_INFO",
    probe(host) {
      const { version, maxLength, ismState } = first(host).driver.channel.send("QUERY_INFO", {});
      return `${version} ${maxLength} ${ismState}`;
    },
    answer: "2 4096 0",
    alternatives: [{ ism: { version: 1, maxLength: 200, ismState: 3 }, answer: "1 200 3" }],
  },
  {
    rule: "ism.cmd.serial",
    what: "a second header before the response was loaded",
    probe(host) {
      const { driver, fn } = first(host);
      for (let i = 0; i < 2; i++) driver.descriptor.write(2, 0, bytes("00000003 0000 0008"));
      return fn.state;
    },
    answer: "enabled",
    alternatives: [{ ism: { concurrency: "fail" }, answer: "error" }],
  },
  {
    rule: "zpci.handle.format",
    what: "handles of two enables",
    probe(host) {
      const { driver, fn } = first(host);
      void driver.descriptor;
      const { fh } = fn;
      driver.reset();
      return fn.fh === fh ? "the same" : "different";
    },
    answer: "different",
    alternatives: [{ machine: { handleInstance: "keep" }, answer: "the same" }],
  },
  {
    rule: "zpci.dma.fault",
    what: "an address that leads nowhere",
    probe(host) {
      const { driver, fn } = first(host);
      const errno = errnoOf(() => retOf(() => driver.channel.send("REG_SBA", { sba: 0x1_2000_0000n })));
      return `${errno}, ${fn.state}`;
    },
    answer: "EIO, error",
    alternatives: [{ machine: { unmappedDma: "discard" }, answer: "ok, enabled" }],
  },
  {
    // The kernel hands over its page-aligned bounce buffer, so the instruction itself is asked.
    rule: "zpci.pcistb.source",
    what: "source operand that crosses a page",
    probe(host) {
      const { driver, fn, guest } = first(host);
      void driver.descriptor;
      const store = (sourceOffset: number) => {
        try {
          return guest.processor.pcistb(fn.fh, 2, 8, 16, pattern(16), sourceOffset);
        } catch (error) {
          if (error instanceof ProgramException) return error.exception;
          throw error;
        }
      };
      return [0, 4080, 4081, 4095].map(store).join();
    },
    answer: "0,0,0,0",
    alternatives: [{
      machine: { sourceCrossing: "specification" },
      answer: "0,0,specification,specification",
    }],
  },
  {
    // No option, but a fault that a scenario asks for: `fault add busy:N`.
    rule: "zpci.insn.busy",
    what: "busy answers come by injection only, then the access works",
    probe(host) {
      const { driver } = first(host);
      void driver.descriptor;
      host.faults.add({ kind: "busy", times: 5 }, { op: "PCISTB" }, 1);
      host.applyFaults();
      let busy = 0;
      host.tracer.sink = {
        enter: () => {},
        leave: (event) => void (event.layer === "insn" && event.cc === 2 && busy++),
      };
      return `${driver.readGid().toString(16)} after ${busy} busy answers`;
    },
    answer: "a1 after 5 busy answers",
    alternatives: [],
  },
];

Deno.test("each point is a rule of its own, and the reference says that it is assumed, or who settles it", () => {
  const names = POINTS.map(({ rule }) => rule);
  assertEquals(names.filter((name, i) => names.indexOf(name) !== i), []);
  const settled = names.filter((name) => findRule(name).assumed === null);
  assertEquals(settled, []);
});

Deno.test.each([...POINTS])("$rule, default: $what", ({ probe, answer }) => {
  assertEquals(probe(hostOf(2)), answer);
});

const ALTERNATIVES = POINTS.flatMap(({ rule, what, probe, answer: usual, alternatives }) =>
  alternatives.map(({ answer, ...options }) => ({
    rule,
    what,
    probe,
    usual,
    answer,
    options,
    chosen: JSON.stringify(options),
  }))
);

Deno.test.each(ALTERNATIVES)("$rule, $chosen: $what", ({ probe, usual, answer, options }) => {
  assert(usual !== answer, "an alternative can be told from the default");
  assertEquals(probe(hostOf(2, options)), answer);
});

/** Options that come that have their tests elsewhere. */
const ELSEWHERE = {
  machine: [
    "storeBlock",
    "maxstbl",
    "bar0Prefetch",
    "startDma",
    "endDma",
    "utilityString",
    "storeCharacteristics",
  ],
  ism: ["bar2Outside", "vlanEvents", "busMaster"],
} as const;

Deno.test("every option is the alternative of a point, or comes from elsewhere, and the documents name it", () => {
  const topology = parseTopology({ guests: [{ name: "g", functions: [{ fid: 1, uid: 1 }] }] });
  const [fidelity, documented] = ["docs/fidelity.md", "docs/topology.md"].map((path) =>
    Deno.readTextFileSync(new URL(`../${path}`, import.meta.url))
  );
  for (const part of ["machine", "ism"] as const) {
    const chosen = POINTS.flatMap(({ alternatives }) =>
      alternatives.flatMap((each) => Object.keys(each[part] ?? {}))
    );
    assertEquals([...new Set(chosen), ...ELSEWHERE[part]].toSorted(), Object.keys(topology[part]).toSorted());
    for (const option of Object.keys(topology[part])) {
      assert(fidelity!.includes(`\`${part}.${option}\``), `docs/fidelity.md: ${part}.${option}`);
      assert(documented!.includes(`\`${part}.${option}\``), `docs/topology.md: ${part}.${option}`);
    }
  }
});
