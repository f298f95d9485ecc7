/** A descriptor of a vfio-pci device: dispatch of its ioctls, read and write handed to the variant driver. */
import { type IoctlArg, notATty, OpenFile } from "./file.ts";
import type { VfioDevice } from "./device.ts";
import type { Kernel } from "./kernel.ts";
import { getDeviceInfo, getRegionInfo } from "./core/info.ts";
import { getIrqInfo, setIrqs } from "./core/irqs.ts";
import { coreError, structArgument } from "./refusal.ts";
import { DEVICE_IOCTL } from "./uapi.ts";

type Handler = (device: VfioDevice, arg: Uint8Array, kernel: Kernel) => number;

const IOCTLS: ReadonlyMap<number, Handler> = new Map<number, Handler>([
  [DEVICE_IOCTL.VFIO_DEVICE_GET_INFO, getDeviceInfo],
  [DEVICE_IOCTL.VFIO_DEVICE_GET_REGION_INFO, getRegionInfo],
  [DEVICE_IOCTL.VFIO_DEVICE_GET_IRQ_INFO, getIrqInfo],
  [DEVICE_IOCTL.VFIO_DEVICE_SET_IRQS, setIrqs],
  [DEVICE_IOCTL.VFIO_DEVICE_RESET, resetDevice],
]);

/** DEVICE_RESET takes no argument (VFIO sheet 8.1). */
function resetDevice(device: VfioDevice): number {
  if (!device.resetWorks) {
    throw coreError(
      "EINVAL",
      "no reset",
      "drivers/vfio/pci/vfio_pci_core.c: vfio_pci_ioctl_reset",
      "The device does not offer a reset",
    );
  }
  device.reset();
  return 0;
}

/** One descriptor of a device; several may share one device. */
export class DeviceFile extends OpenFile {
  override readonly kind = "device";
  override readonly positioned = true;
  readonly device: VfioDevice;
  readonly #kernel: Kernel;

  constructor(kernel: Kernel, device: VfioDevice) {
    super();
    this.#kernel = kernel;
    this.device = device;
  }

  override get id(): number {
    return this.device.zdev.facts.fid;
  }

  override read(buffer: Uint8Array, count: number, position: number, start: number): number {
    return this.device.variant.read(this.device, buffer, count, position, start);
  }

  override write(buffer: Uint8Array, count: number, position: number, start: number): number {
    return this.device.variant.write(this.device, buffer, count, position, start);
  }

  override ioctl(request: number, arg: IoctlArg): number {
    const handler = IOCTLS.get(request);
    if (handler === undefined) throw notATty();
    return handler(this.device, structArgument(arg), this.#kernel);
  }

  override release(): void {
    this.device.close();
  }
}
