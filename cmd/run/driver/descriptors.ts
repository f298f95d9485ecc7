/** Descriptors of the driver process, as the user names them: by number, or by what they are of. */
import type { HostFunction } from "../../../lib/host/host.ts";
import type { FileKind } from "../../../lib/vfio/process/file.ts";
import type { Kind } from "../../language/command.ts";
import { quoteText } from "../../language/quote.ts";
import { parseNumber } from "../../language/number.ts";
import { UsageError } from "../../language/usage_error.ts";

/** What a descriptor can be of. */
export const DESCRIPTOR_KINDS: readonly FileKind[] = [
  "device",
  "container",
  "group",
  "iommufd",
  "eventfd",
  "fault-queue",
  "clp",
];

/** A number, or a kind: the first such descriptor then, the driver's own before others. */
export type DescriptorName = number | FileKind;

export const DESCRIPTOR: Kind<DescriptorName> = {
  placeholder: "FD",
  choices: DESCRIPTOR_KINDS,
  parse(text, what) {
    const kind = DESCRIPTOR_KINDS.find((each) => each === text);
    if (kind !== undefined) return kind;
    if (/^[-+0-9]/.test(text)) return parseNumber(text, what, { max: 0x7fff_ffff });
    throw new UsageError(
      `${what}: ${quoteText(text)} is no descriptor; name a number or one of ${DESCRIPTOR_KINDS.join(", ")}`,
      { token: text },
    );
  },
};

/** The number of a descriptor; whether a number is open is for the call to say. @throws {UsageError} */
export function findDescriptor({ driver, guest }: HostFunction, which: DescriptorName): number {
  if (typeof which === "number") return which;
  const open = [...guest.kernel.process.files()];
  // Signals and events come by this one; others tell of errors and requests.
  const own = driver.isOpen ? [driver.registrations?.eventfd, ...driver.descriptor.fds] : [];
  const matching = open.filter(([, { kind }]) => kind === which);
  const found = matching.find(([fd]) => own.includes(fd)) ?? matching[0];
  if (found !== undefined) return found[0];
  const there = open.map(([fd, { kind }]) => `${fd} (${kind})`).join(", ") || "none";
  throw new UsageError(`There is no descriptor ${quoteText(which)}; open are ${there}`, { token: which });
}
