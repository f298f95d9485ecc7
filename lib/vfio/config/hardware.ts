import { ErrnoError } from "../errno.ts";
import { hex } from "../../base/hex.ts";
import type { Width } from "./word.ts";

/**
 * The machine's config space under the shadow. Values are those Linux sees after its byte swap; a refusal by
 * the machine is an {@linkcode ErrnoError}.
 */
export interface ConfigHardware {
  load(offset: number, width: Width): number;
  store(offset: number, width: Width, value: number): void;
}

/** What the shadow must know of the function and does not read from its config space. */
export interface ConfigFacts {
  /** Bytes of config space: 256 or 4096. */
  readonly size: number;
  /** Six entries: bytes of the memory BAR that starts here; undefined for none or an upper half. */
  readonly barSizes: readonly (number | undefined)[];
  readonly bar64: readonly boolean[];
  readonly barPrefetch: readonly boolean[];
  /** vfn is not 0, so Linux sets no_command_memory. */
  readonly virtualFunction: boolean;
}

/** What SET_IRQS has granted of MSI so far. */
export interface MsiGrant {
  readonly enabled: boolean;
  readonly vectorsLog2: number;
}

/** Wraps hardware so that every refusal of the machine, of any errno, becomes ENODEV. */
export function foldRefusals(hardware: ConfigHardware): ConfigHardware {
  return {
    load(offset, width) {
      try {
        return hardware.load(offset, width) >>> 0;
      } catch (error) {
        throw foldRefusal(error, `load of ${byteText(width)} at`, offset, "vfio_user_config_read");
      }
    },
    store(offset, width, value) {
      try {
        hardware.store(offset, width, value >>> 0);
      } catch (error) {
        throw foldRefusal(error, `store of ${byteText(width)} at`, offset, "vfio_user_config_write");
      }
    },
  };
}

const byteText = (width: number) => width === 1 ? "1 byte" : `${width} bytes`;

/** Anything but a refusal is a bug and passes unchanged. */
function foldRefusal(error: unknown, what: string, offset: number, symbol: string): unknown {
  if (!(error instanceof ErrnoError)) return error;
  const folded = new ErrnoError("ENODEV", {
    layer: "vfio-core",
    ref: "vfio.config.gone",
    rule: "config access",
    source: `drivers/vfio/pci/vfio_pci_config.c: ${symbol}`,
    message: `The config ${what} ${hex(offset, 2)} failed: ${error.message}`,
    hint: error.hint,
  });
  folded.cause = error;
  return folded;
}

/** @throws {TypeError} if the facts contradict each other: a bug of the caller, not a refusal. */
export function checkFacts(facts: ConfigFacts): void {
  if (facts.size !== 256 && facts.size !== 4096) {
    throw new TypeError(`Config space of ${facts.size} bytes: only 256 and 4096 exist`);
  }
  facts.barSizes.forEach((size, bar) => {
    if (size === undefined) return;
    if (bar > 5) throw new TypeError(`BAR ${bar} does not exist`);
    if (size < 16 || !Number.isInteger(Math.log2(size))) {
      throw new TypeError(`BAR ${bar} of ${size} bytes is not a power of two from 16`);
    }
    if (facts.bar64[bar] === true && (bar === 5 || facts.barSizes[bar + 1] !== undefined)) {
      throw new TypeError(`BAR ${bar} is 64-bit and needs the register after it`);
    }
    if (facts.bar64[bar] !== true && size > 2 ** 32) {
      throw new TypeError(`BAR ${bar} of ${size} bytes needs 64 bits`);
    }
  });
}
