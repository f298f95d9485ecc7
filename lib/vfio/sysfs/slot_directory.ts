/**
 * The slot of a function, which is there in standby as well. Facts: vfio.sysfs.slot
 * (drivers/pci/slot.c, drivers/pci/hotplug/pci_hotplug_core.c, drivers/pci/hotplug/s390_pci_hpc.c).
 */
import { vfsError } from "../refusal.ts";
import { hex } from "../../base/hex.ts";
import { SCLP, sclp, SCLP_RESPONSE } from "../../zpci/service_processor.ts";
import type { Binding } from "../binding.ts";
import type { Kernel } from "../kernel.ts";
import { listEntries } from "../s390/pci_clp.ts";
import { type Directory, directory, line } from "./node.ts";

const HOTPLUG = "drivers/pci/hotplug/s390_pci_hpc.c";

/** The directory. */
export function slotDirectory(kernel: Kernel, binding: Binding): Directory {
  const { zdev } = binding;
  return directory({
    adapter: () => line("1"),
    address: () => line(zdev.name.split(".")[0]!),
    power: () => line(zdev.state === "configured" ? "1" : "0", (text) => setPower(kernel, binding, text)),
    uid: () => line(hex(zdev.facts.uid)),
  });
}

/**
 * power: a decimal number, of which the lowest byte counts; 0 deconfigures the function once its driver let go of it, 1
 * configures it. What is no number is 0 to the kernel.
 *
 * @throws {ErrnoError} EINVAL for other numbers, EIO if the function is in no state for that
 */
function setPower(kernel: Kernel, binding: Binding, text: string): boolean {
  const { zdev } = binding;
  const value = Number(BigInt(/^\s*(\d+)/.exec(text)?.[1] ?? "0") % 256n);
  if (value > 1) {
    const source = "drivers/pci/hotplug/pci_hotplug_core.c: power_write_file";
    throw vfsError("EINVAL", "vfio.sysfs.slot", "power", source, "0 switches a slot off, 1 on");
  }
  if (value === 0) {
    if (zdev.state !== "configured") throw notThat(zdev.state, "disable_slot");
    binding.leave();
    return binding.removing;
  }
  if (zdev.state !== "standby") throw notThat(zdev.state, "enable_slot");
  const response = sclp(kernel.partition, SCLP.CONFIGURE, zdev.facts.fid);
  if (response !== SCLP_RESPONSE.DONE && response !== SCLP_RESPONSE.NO_ACTION) {
    throw vfsError(
      "EIO",
      "vfio.sysfs.slot",
      "SCLP",
      `${HOTPLUG}: enable_slot`,
      `SCLP configure answered ${hex(response, 4)}`,
    );
  }
  const entry = listEntries(kernel.partition).find(({ fid }) => fid === zdev.facts.fid);
  if (entry !== undefined) binding.arrived(entry.fh);
  return false;
}

function notThat(state: string, symbol: string) {
  return vfsError(
    "EIO",
    "vfio.sysfs.slot",
    "slot state",
    `${HOTPLUG}: ${symbol}`,
    `The function is in the state ${state}`,
  );
}
