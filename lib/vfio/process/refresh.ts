/** What a kernel takes over in place of that which another process of the machine that simulates it has changed. */
import type { Json } from "../../base/json.ts";
import type { Kernel } from "../kernel.ts";
import type { KernelState } from "../kernel_state.ts";
import type { FileState } from "./file.ts";
import { saveFile } from "./saved_files.ts";

/**
 * Takes over a row of a kernel: the count of an eventfd, the position of an open file.
 *
 * @param part what stands behind the kernel's own key
 * @returns false if it is any other row, or says more
 */
export function refreshKernel(kernel: Kernel, part: string, row: Json): boolean {
  if (/^eventfds\/\d+$/.test(part)) {
    const { id, count } = row as unknown as KernelState["eventfds"][number];
    kernel.eventfds.get(id).count = BigInt(count);
    return true;
  }
  if (!/^files\/\d+$/.test(part)) return false;
  const { fd, position } = row as unknown as FileState;
  const file = kernel.process.descriptors.find(fd);
  if (file === undefined || JSON.stringify({ ...saveFile(fd, file), position }) !== JSON.stringify(row)) {
    return false;
  }
  file.position = position;
  return true;
}
