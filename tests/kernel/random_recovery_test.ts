/**
 * Thousands of random events, resets, removals, closes and opens, in both releases, against a model written from the
 * rules of docs/reference/recovery.md alone (recovery.mark.transitions, recovery.event.signals).
 */
import { assertEquals } from "@std/assert";
import fc from "fast-check";
import { reportError } from "../../lib/zpci/error_events.ts";
import { changeAvailability, SCLP, sclp } from "../../lib/zpci/service_processor.ts";
import { IOCTL, type Outcome, outcome, Rig, words } from "../support/kernel.ts";
import { RecoveryModel } from "../support/recovery_model.ts";

const SEED = 0x73_4;
const RUNS = 1200;

const HOSTS = [
  { kernel: { release: "7.3" }, userRecovers: true, hasErr: true },
  { kernel: { release: "7.3", recoveryWindow: 1 }, userRecovers: true, hasErr: true },
  { kernel: { release: "7.3", recoveryWindow: 2 }, userRecovers: true, hasErr: true },
  { kernel: { release: "7.3", capabilityChain: false }, userRecovers: false, hasErr: true },
  { kernel: { release: "7.1" }, userRecovers: false, hasErr: false },
  { kernel: { release: "7.1", recoveryWindow: 1 }, userRecovers: false, hasErr: false },
] as const;

const OPS = [
  "reset",
  "hot-reset",
  "hot-reset-info",
  "open",
  "close",
  "listen",
  "block",
  "unbind",
  "probe",
  "recover",
  "deconfigure",
  "gone",
  "configure",
  "fork",
] as const;
type Operation = (typeof OPS)[number] | number;

const OPERATION: fc.Arbitrary<Operation> = fc.oneof(
  { weight: 4, arbitrary: fc.constantFrom(0x02, 0x02, 0x3a, 0x3a, 0x3a, 0x2a, 0x3b, 0x40) },
  { weight: 3, arbitrary: fc.constantFrom("open" as const, "close" as const) },
  { weight: 3, arbitrary: fc.constantFrom("listen" as const, "reset" as const) },
  { weight: 8, arbitrary: fc.constantFrom(...OPS) },
);

/** The function, and the model beside it. */
class Pair {
  readonly rig: Rig;
  readonly model: RecoveryModel;
  #eventfd = -1;

  constructor({ kernel, userRecovers, hasErr }: (typeof HOSTS)[number]) {
    this.rig = new Rig({ kernel });
    const attempts = "recoveryWindow" in kernel ? kernel.recoveryWindow : 0;
    this.model = new RecoveryModel(userRecovers, hasErr, attempts);
  }

  get #binding() {
    return this.rig.target.guest.kernel.binding(this.rig.target.zdev);
  }

  /** Does it on both. @returns what the host and the model say; undefined if it makes no sense now */
  perform(op: Operation): readonly [Outcome | boolean, Outcome | boolean] | undefined {
    const { rig, model } = this;
    const { fn, guest } = rig.target;
    if (typeof op === "number") {
      const sent = reportError(fn, op, 0x1_0000_0000, true);
      return [sent ? guest.kernel.events.lastReaction! : "none", model.event(op)];
    }
    const isIdle = model.removal === undefined && model.machine !== "standby";
    const device = (request: number, ...fields: (number | bigint)[]) =>
      outcome(() => rig.process.ioctl(rig.device, request, words(...fields)));
    switch (op) {
      case "reset":
        return model.open ? [device(IOCTL.RESET), model.reset()] : undefined;
      case "hot-reset":
        return model.open ? [device(IOCTL.PCI_HOT_RESET, 12, 0, 0), model.hotReset()] : undefined;
      case "hot-reset-info":
        return model.open
          ? [device(IOCTL.GET_PCI_HOT_RESET_INFO, 20, 0, 0, 0n), model.hotResetInfo()]
          : undefined;
      case "open":
        return model.open ? undefined : [this.#open(), model.bound ? model.bind() : "ENOENT"];
      case "close":
        if (!model.open) return undefined;
        rig.close();
        model.close();
        return [0, 0];
      case "listen":
        return model.open ? [this.#listen(), this.#modelListens()] : undefined;
      case "block":
        return model.open ? [this.#takeBlock(), this.#modelBlock()] : undefined;
      case "unbind":
        if (!isIdle || !model.bound) return undefined;
        return [this.#binding.unbind(), this.#modelRemoves("unbind")];
      case "probe":
        if (!isIdle) return undefined;
        this.#binding.probe();
        model.bound = true;
        return [0, 0];
      case "recover":
        if (!isIdle) return undefined;
        return [outcome(() => (this.#binding.recover(), 0)), model.open ? this.#waits(op) : model.end(op)];
      case "deconfigure":
        if (!isIdle) return undefined;
        changeAvailability(fn, 0x0303);
        this.#modelRemoves(op);
        return [0, 0];
      case "gone":
        if (!isIdle) return undefined;
        changeAvailability(fn, 0x0304);
        [model.machine, model.mark] = ["standby", "permanent-failure"];
        this.#modelRemoves(op);
        return [0, 0];
      case "configure":
        if (model.machine !== "standby" || model.removal !== undefined) return undefined;
        sclp(guest.partition, SCLP.CONFIGURE, fn.identity.fid);
        this.#binding.arrived(fn.fh);
        [model.machine, model.mark, model.bound] = ["enabled", "normal", true];
        return [0, 0];
      case "fork": {
        const saved = rig.state();
        const injected = ["clock", "faults", "locks"];
        const again = [...rig.host.fork().save()].filter(([key]) => !injected.includes(key));
        return [JSON.stringify(again), saved];
      }
    }
  }

  #open(): Outcome {
    const { rig } = this;
    const node = outcome(() => rig.process.open("/dev/vfio/devices/vfio0"));
    if (typeof node === "string") return node;
    rig.device = node;
    rig.iommufd = rig.process.open("/dev/iommu");
    const result = outcome(() =>
      rig.process.ioctl(rig.device, IOCTL.BIND_IOMMUFD, words(24, 0, rig.iommufd, 0, 0n))
    );
    if (typeof result === "string") rig.close();
    return result;
  }

  #listen(): Outcome {
    const { process, device } = this.rig;
    const eventfd = process.eventfd();
    const result = outcome(() => process.ioctl(device, IOCTL.SET_IRQS, words(24, 0x24, 3, 0, 1, eventfd)));
    if (result === 0) this.#eventfd = eventfd;
    return result;
  }

  #modelListens(): Outcome {
    const { model } = this;
    if (!model.hasErr) return "EINVAL";
    model.signals = 0;
    return 0;
  }

  /** The oldest block's code, or the errno. */
  #takeBlock(): Outcome {
    const { process, device } = this.rig;
    const vaddr = process.mmapAnonymous(4096);
    const result = outcome(() => process.ioctl(device, IOCTL.FEATURE, words(16, 0x1_000d, BigInt(vaddr))));
    const block = process.memory(vaddr, 32, false).slice();
    process.munmap(vaddr);
    return result === 0 ? block[30]! * 256 + block[31]! : result;
  }

  #modelBlock(): Outcome {
    return !this.model.userRecovers ? "ENOTTY" : this.model.queue.shift() ?? "ENOMSG";
  }

  #waits(removal: NonNullable<RecoveryModel["removal"]>): number {
    this.model.removal = removal;
    return 0;
  }

  /** @returns false if it waits */
  #modelRemoves(removal: NonNullable<RecoveryModel["removal"]>): boolean {
    if (this.model.open) this.#waits(removal);
    else this.model.end(removal);
    return !this.model.open;
  }

  /** What both know of the function, in the same words. */
  standing(): readonly [unknown, unknown] {
    const { rig, model } = this;
    const binding = this.#binding;
    const { fn, zdev } = rig.target;
    if (!model.open) this.#eventfd = -1;
    const signals = this.#eventfd < 0 ? 0 : rig.signals(this.#eventfd);
    const expected = this.#eventfd < 0 ? 0 : model.signals;
    model.signals = 0;
    return [
      {
        machine: fn.state,
        mark: model.machine === "standby" ? "" : zdev.pci.channel,
        bound: binding.driver !== undefined,
        queue: binding.errors.events.map(({ pec }) => pec),
        signals,
      },
      {
        machine: model.machine,
        mark: model.machine === "standby" ? "" : model.mark,
        bound: model.bound,
        queue: model.queue,
        signals: expected,
      },
    ];
  }
}

function agree(host: (typeof HOSTS)[number], operations: readonly Operation[]): void {
  const pair = new Pair(host);
  const done: string[] = [JSON.stringify(host.kernel)];
  for (const op of operations) {
    const answers = pair.perform(op);
    if (answers === undefined) continue;
    done.push(typeof op === "number" ? `event 0x${op.toString(16)}` : op);
    assertEquals(answers[0], answers[1], done.join("\n"));
    const [seen, expected] = pair.standing();
    assertEquals(seen, expected, done.join("\n"));
  }
}

Deno.test("events, resets, removals, closes and opens: answers, marks, queue and ERR as the tables say (vfio.setirqs.err, recovery.lock.calls, recovery.mark.effects, recovery.event.order)", () => {
  const run = fc.property(
    fc.constantFrom(...HOSTS),
    fc.array(OPERATION, { maxLength: 40, size: "max" }),
    agree,
  );
  fc.assert(run, { seed: SEED, numRuns: RUNS });
});
