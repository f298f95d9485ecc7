/** The VFIO life of a function: bind, open, reset, close. */
import { hex } from "../../lib/base/hex.ts";
import { checkPciDevice, DRIVERS } from "../../lib/vfio/bind_rules.ts";
import { WAYS_IN } from "../../lib/ism/driver/ways_in.ts";
import { defaulted, defineCommand, flag, optional } from "../language/command.ts";
import { choice } from "../language/kinds.ts";
import { UsageError } from "../language/usage_error.ts";

export const open = defineCommand({
  name: "open",
  group: "host",
  summary: "Open the function: container, group, IOMMU, device; the kernel resets it",
  details:
    `Other commands open the function by themselves, through its group and a container. With --via compat an iommufd
serves as the container; with --via cdev the way in is the character device and an iommufd. Does nothing if the function
is open already in the same way.`,
  args: {},
  options: {
    via: defaulted(
      choice("WAY", WAYS_IN),
      "group",
      "group (container), compat (group, iommufd) or cdev (iommufd)",
    ),
  },
  access: "write",
  examples: ["open", "open -d 1 --via cdev --trace=syscall", "open -d 1 --via compat"],
  run({ target }, { via }) {
    const { driver } = target;
    const descriptor = driver.isOpen && driver.descriptor.way === via ? driver.descriptor : driver.open(via);
    return { address: target.zdev.name, via, fds: [...descriptor.fds], device: descriptor.fd };
  },
});

export const close = defineCommand({
  name: "close",
  group: "host",
  summary: "Unregister everything and close the function; the kernel resets it",
  details: `What "fd open" and "ioctl" opened stays open; "fd close" closes it.`,
  args: {},
  options: {},
  access: "write",
  examples: ["close"],
  run({ target }) {
    const wasOpen = target.driver.isOpen;
    target.driver.close();
    return { address: target.zdev.name, was_open: wasOpen };
  },
});

export const reset = defineCommand({
  name: "reset",
  group: "host",
  summary: "Reset the function (VFIO_DEVICE_RESET); everything registered with it is gone",
  args: {},
  options: {},
  access: "write",
  examples: ["reset"],
  run({ target }) {
    target.driver.reset();
    return { address: target.zdev.name, fh: hex(target.fn.fh, 8) };
  },
});

const DRIVER = choice("DRIVER", DRIVERS);

export const bind = defineCommand({
  name: "bind",
  group: "host",
  summary: "Bind a driver to the function",
  details:
    `Writes driver_override, unbinds the old driver and probes, as driverctl does. With --no-override only the
driver's bind file is written: vfio drivers refuse that with ENODEV.`,
  args: {
    which: optional(DRIVER, "ism_vfio_pci (the default), vfio-pci, or ism (the kernel's own driver)"),
  },
  options: {
    driver: optional(DRIVER, "the driver, as an option"),
    noOverride: flag("write the driver's bind file only"),
  },
  access: "write",
  examples: ["bind vfio-pci", "bind --driver vfio-pci", "bind"],
  run({ target }, { which, driver: option, noOverride }) {
    if (which !== undefined && option !== undefined && which !== option) {
      throw new UsageError(`${which} and --driver ${option} are two drivers; name one`, { token: which });
    }
    const driver = which ?? option ?? "ism_vfio_pci";
    const binding = target.guest.kernel.binding(target.zdev);
    checkPciDevice(binding);
    if (noOverride) binding.bind(driver);
    else {
      binding.override = driver;
      if (binding.driver !== undefined) binding.unbind();
      binding.probe();
    }
    return {
      address: target.zdev.name,
      driver: binding.driver ?? null,
      next: driver,
      waiting: binding.removing,
    };
  },
  text: ({ address, next, waiting }, { propose }) =>
    waiting ? propose(`${address} is open: ${next} takes it over after "ism close"`) : "",
});

export const unbind = defineCommand({
  name: "unbind",
  group: "host",
  summary: "Take the function from its driver; waits while it is open",
  details:
    `An open function is not taken away: REQ is signalled, no new descriptor is handed out, and the unbind goes on
when the last descriptor is closed. --clear-override also clears driver_override.`,
  args: {},
  options: { clearOverride: flag("write a newline to driver_override first") },
  access: "write",
  examples: ["unbind"],
  run({ target }, { clearOverride }) {
    const binding = target.guest.kernel.binding(target.zdev);
    if (clearOverride) binding.override = undefined;
    const done = binding.unbind();
    return { address: target.zdev.name, waiting: !done };
  },
  text: ({ address, waiting }, { propose }) =>
    waiting ? propose(`${address} is open: it is unbound after "ism close"`) : "",
});
