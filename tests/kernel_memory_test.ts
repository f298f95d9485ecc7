/** What the kernel has in a guest's storage is no memory of its processes. */
import { assertEquals, assertThrows } from "@std/assert";
import { Host } from "../lib/host/host.ts";
import { defaultTopology } from "../lib/host/topology.ts";
import { ErrnoError } from "../lib/vfio/errno.ts";
import { DMA_MAP, DMA_MAP_FLAGS } from "../lib/vfio/uapi.ts";

const VFIO_IOMMU_MAP_DMA = 0x3b71;

Deno.test("translation tables and the interrupt page cannot be mapped for DMA, read or unmapped", () => {
  const { guest: { kernel, partition }, driver } = Host.create(defaultTopology()).functions[0]!;
  driver.start();
  const { process } = kernel;
  const [container] = [...process.files()].find(([, { kind }]) => kind === "container")!;
  const refused = (work: () => unknown) => assertThrows(work, ErrnoError).code;
  const map = (vaddr: number) =>
    process.ioctl(
      container,
      VFIO_IOMMU_MAP_DMA,
      DMA_MAP.encode({
        argsz: DMA_MAP.size,
        flags: DMA_MAP_FLAGS.READ,
        vaddr: BigInt(vaddr),
        iova: 0x1_7000_0000n,
        size: 4096n,
      }),
    );
  const { interruptPage, containers, defaultDomains } = kernel.save();
  const own = [interruptPage, containers[0]!.domain!.origin, defaultDomains[0]!.origin!];
  for (const address of own) {
    assertEquals(partition.storage.find(address, 4096)?.address, address);
    assertEquals(refused(() => map(address)), "EFAULT");
    assertEquals(refused(() => process.memory(address, 8, false)), "EFAULT");
    assertEquals(refused(() => process.munmap(address)), "EINVAL");
  }
  assertEquals(map(process.mmapAnonymous(4096)), 0);
});
