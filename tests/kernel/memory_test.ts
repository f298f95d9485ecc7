/** Memory of a driver's process, and which driver a function has at boot. */
import { assertEquals } from "@std/assert";
import { errnoOf, hostOf } from "../support/host.ts";

const MIB = 2 ** 20;

Deno.test("a process has as much memory as the topology says, and frees what it mapped (vfio.mmap.memory)", () => {
  const { process } = hostOf(1, { memory: 64 * MIB }).functions[0]!.guest.kernel;
  const address = process.mmapAnonymous(60 * MIB);
  assertEquals(errnoOf(() => process.mmapAnonymous(5 * MIB)), "ENOMEM");
  assertEquals(errnoOf(() => process.munmap(address + 4096)), "EINVAL");
  process.munmap(address);
  process.munmap(process.mmapAnonymous(60 * MIB));
});

Deno.test("at boot every function is bound to ism_vfio_pci (vfio.bind.boot)", () => {
  const { functions } = hostOf(2);
  const drivers = functions.map(({ guest, zdev }) => guest.kernel.binding(zdev).driver);
  assertEquals(drivers, ["ism_vfio_pci", "ism_vfio_pci"]);
});
