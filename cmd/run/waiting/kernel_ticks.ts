/** Waits in which the kernel does something by itself when its clock gets there: the next REQ of a waiting unbind. */
import type { HostFunction } from "../../../lib/host/host.ts";
import type { Context } from "../../language/command.ts";
import type { Timer } from "./waiting.ts";

/** Looks in transactions of their own, and the time of the kernel's next tick. */
export class KernelTicks<Of> implements Timer {
  readonly #context: Context;
  readonly #find: (target: HostFunction) => Of | undefined;
  readonly #options: { readonly keepRefused?: boolean };
  #dueMs: number | undefined = undefined;
  #fired = false;

  /** @param options those of the transactions */
  constructor(
    context: Context,
    find: (target: HostFunction) => Of | undefined,
    options: { readonly keepRefused?: boolean } = {},
  ) {
    this.#context = context;
    this.#options = options;
    this.#find = find;
  }

  /** One look; the machine's clock goes on to the time that was waited for. */
  look(): Of | undefined {
    return this.#context.transact((target, { clock }) => {
      const { kernel } = target.guest;
      const due = kernel.nextTick;
      if (this.#fired && due !== undefined && due > clock.microseconds) clock.microseconds = due;
      this.#fired = false;
      const found = this.#find(target);
      const next = kernel.nextTick;
      this.#dueMs = next === undefined ? undefined : (next - clock.microseconds) / 1000;
      return found;
    }, this.#options);
  }

  dueMs(): number | undefined {
    return this.#dueMs;
  }

  fire(): void {
    this.#fired = true;
  }
}
