/** The files of sysfs with which drivers are bound. Facts: VFIO sheet 1.1 (drivers/base/bus.c, drivers/pci/pci-sysfs.c). */
import type { Binding, DriverName } from "../vfio/binding.ts";
import type { Kernel } from "../vfio/kernel.ts";
import { coreError } from "../vfio/refusal.ts";
import type { AttributeNode } from "./tree.ts";

const SIZE = 4096;
const WRITE_ONLY = 0o200;

/** What was written, without the newline that `echo` puts behind it. */
function textOf(bytes: Uint8Array): string {
  return new TextDecoder().decode(bytes).replace(/\n$/, "");
}

/** driver_override: an empty line clears it. */
export function overrideFile(binding: Binding): AttributeNode {
  return {
    kind: "attribute",
    mode: 0o644,
    size: SIZE,
    read: () => new TextEncoder().encode(`${binding.override ?? "(null)"}\n`),
    write(bytes) {
      const text = textOf(bytes);
      binding.override = text === "" ? undefined : text;
    },
  };
}

function named(kernel: Kernel, bytes: Uint8Array, symbol: string): Binding {
  const name = textOf(bytes);
  const binding = kernel.bindings.find(({ zdev }) => zdev.name === name);
  if (binding !== undefined) return binding;
  throw coreError("ENODEV", "no such device", `drivers/base/bus.c: ${symbol}`, "There is no such function");
}

/** A driver's `bind`. */
export function bindFile(kernel: Kernel, driver: DriverName): AttributeNode {
  const write = (bytes: Uint8Array) => named(kernel, bytes, "bind_store").bind(driver);
  return { kind: "attribute", mode: WRITE_ONLY, size: SIZE, write };
}

/** A driver's `unbind`. Where the kernel would wait for the last close, the write comes back at once. */
export function unbindFile(kernel: Kernel, driver: DriverName): AttributeNode {
  return {
    kind: "attribute",
    mode: WRITE_ONLY,
    size: SIZE,
    write(bytes) {
      const binding = named(kernel, bytes, "unbind_store");
      if (binding.driver !== driver) {
        throw coreError(
          "ENODEV",
          "not bound",
          "drivers/base/bus.c: unbind_store",
          `${driver} does not hold it`,
        );
      }
      binding.unbind();
    },
  };
}
