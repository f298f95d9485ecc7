/** Which function a word names. */
import type { Host, HostFunction } from "../../../lib/host/host.ts";
import { quoteText } from "../../language/quote.ts";
import { parseNumber } from "../../language/number.ts";
import { UsageError } from "../../language/usage_error.ts";

const FORMS = "an index such as 0, an address such as 0001:00:00.0, fid:0x10 or uid:1";

/** Finds a function by index, PCI address, `fid:` or `uid:`. @throws {UsageError} if none or several match */
export function findDevice(host: Host, which: string): HostFunction {
  const matches = host.functions.filter(matcher(which));
  if (matches.length === 1) return matches[0]!;
  if (matches.length === 0) {
    throw new UsageError(`There is no function ${quoteText(which)} on this host; name ${FORMS}`, {
      token: which,
      hint: 'see "ism list"',
    });
  }
  throw new UsageError(
    `${quoteText(which)} names ${matches.length} functions, in guests ${
      matches.map(({ guest }) => guest.name).join(", ")
    }; use an index or fid:`,
    { token: which },
  );
}

/** The function id of a function that a filter names: as {@linkcode findDevice}, or `#0`. @throws {UsageError} */
export function functionNamed(host: Host, word: string): number {
  return findDevice(host, word.replace(/^#/, "")).fn.identity.fid;
}

/** A PCI address with all its digits; undefined for a word of another form. `1:0:0.0` is `0001:00:00.0`. */
function addressOf(which: string): string | undefined {
  const [, domain, bus, device, fn] =
    /^([0-9a-f]{1,4}):([0-9a-f]{1,2}):([0-9a-f]{1,2})\.([0-7])$/i.exec(which) ?? [];
  if (domain === undefined) return undefined;
  const digits = (text: string, count: number) => text.toLowerCase().padStart(count, "0");
  return `${digits(domain, 4)}:${digits(bus!, 2)}:${digits(device!, 2)}.${fn}`;
}

function matcher(which: string): (fn: HostFunction) => boolean {
  const address = addressOf(which);
  if (address !== undefined) return ({ zdev }) => zdev.name === address;
  const [prefix = "", value = ""] = which.split(":", 2);
  if (prefix === "fid" || prefix === "uid") {
    const id = parseNumber(value, prefix);
    return ({ zdev }) => zdev.facts[prefix] === id;
  }
  if (!/^[0-9]/.test(which)) {
    throw new UsageError(`${quoteText(which)} is not a function; name ${FORMS}`, { token: which });
  }
  const index = parseNumber(which, "device");
  return (fn) => fn.index === index;
}
