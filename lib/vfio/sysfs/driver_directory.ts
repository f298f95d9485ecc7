/** The directory of a driver of functions: bind, unbind, new_id, remove_id (drivers/base/bus.c, drivers/pci/pci-driver.c). */
import { vfsError } from "../refusal.ts";
import type { DriverName } from "../bind_rules.ts";
import type { Binding } from "../binding.ts";
import type { Kernel } from "../kernel.ts";
import { functionPath } from "./function_directory.ts";
import { bare, type Directory, directory, link, type SysfsNode, writeOnly } from "./node.ts";

/** The directory. */
export function driverDirectory(kernel: Kernel, driver: DriverName): Directory {
  const held = kernel.bindings.filter((binding) => binding.driver === driver);
  return directory({
    ...Object.fromEntries(held.map(({ zdev: { name } }) =>
      // From /sys/bus/pci/drivers/DRIVER.
      [name, (): SysfsNode => link(`../../../..${functionPath(name).slice("/sys".length)}`)] as const
    )),
    bind: () =>
      writeOnly((text) => {
        bindingOf(kernel, text, "bind_store").bind(driver);
        return false;
      }),
    new_id: () =>
      writeOnly((text) => {
        kernel.dynamicIds.add(driver, text);
        // Only this driver is tried (drivers/base/dd.c: driver_attach).
        for (const binding of kernel.bindings) if (binding.matches(driver)) binding.attach(driver);
        return false;
      }),
    remove_id: () =>
      writeOnly((text) => {
        kernel.dynamicIds.remove(driver, text);
        return false;
      }),
    unbind: () =>
      writeOnly((text) => {
        const binding = bindingOf(kernel, text, "unbind_store");
        if (binding.driver === driver) return !binding.unbind();
        throw vfsError(
          "ENODEV",
          "vfio.bind.errno",
          "not bound",
          "drivers/base/bus.c: unbind_store",
          `${driver} does not hold the function`,
        );
      }),
  });
}

/** The function with an address. @throws {ErrnoError} ENODEV */
export function bindingOf(kernel: Kernel, text: string, symbol: string): Binding {
  const name = bare(text);
  const binding = kernel.bindings.find(({ zdev, driver }) =>
    zdev.name === name && (zdev.state === "configured" || driver !== undefined)
  );
  if (binding !== undefined) return binding;
  const source = `drivers/base/bus.c: ${symbol}`;
  throw vfsError(
    "ENODEV",
    "vfio.bind.errno",
    "no such device",
    source,
    `There is no PCI device ${JSON.stringify(name)}`,
  );
}
