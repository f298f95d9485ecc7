/** Hands events to all groups of findings, and puts equal findings together. */
import { Addresses } from "./addresses.ts";
import { Commands } from "./commands.ts";
import type { AuditEvent, Group, Origin, Report, Site } from "./event.ts";
import type { FindingName } from "./findings.ts";
import { Results, StoreLimits } from "./lengths.ts";
import { Recoveries } from "./recovery.ts";
import { Regions } from "./regions.ts";
import { Signals } from "./signals.ts";

/** Places of one finding that are looked up; where there are more, the others count for the first one. */
const MOST_SITES = 32;
/** After so many times a finding's place is not looked up any more. */
const MOST_LOOKS = 1000;

/** A finding: something that the program did at one place, once or several times. */
export interface Found {
  readonly finding: FindingName;
  /** What was seen the first time. */
  readonly message: string;
  readonly call: string;
  /** The first of the program's calls that did it. */
  readonly number: number;
  readonly process: number;
  readonly site: Site;
  times: number;
}

/** All findings of a run. */
export class Auditor {
  readonly #commands = new Commands();
  readonly #groups: readonly Group[] = [
    new Regions(),
    new StoreLimits(),
    new Results(),
    this.#commands,
    new Signals(),
    new Addresses(),
    new Recoveries(),
  ];
  readonly #found = new Map<string, Found>();
  readonly #looks = new Map<FindingName, number>();

  /** Takes note of an event. */
  see(event: AuditEvent): void {
    for (const group of this.#groups) group.see(event, this.#report);
  }

  /** DMA address of the SBA that a device has; undefined if it has none. */
  sbaOf(device: number): number | undefined {
    return this.#commands.sbaOf(device);
  }

  /** What was found, in the order in which it was seen first. */
  get found(): readonly Found[] {
    return [...this.#found.values()];
  }

  readonly #report: Report = (finding, origin, message, site) => {
    const looks = (this.#looks.get(finding) ?? 0) + 1;
    this.#looks.set(finding, looks);
    const place = site ?? (looks <= MOST_LOOKS ? origin.site() : undefined);
    const known = place === undefined
      ? this.#first(finding)
      : this.#found.get(keyOf(finding, origin, message, place));
    if (known !== undefined) known.times++;
    else this.#add(finding, origin, message, place ?? { frames: [] });
  };

  #add(finding: FindingName, origin: Origin, message: string, site: Site): void {
    const first = this.#first(finding);
    const sites = this.found.filter((each) => each.finding === finding).length;
    if (first !== undefined && sites >= MOST_SITES) {
      first.times++;
      return;
    }
    const { call, number, process } = origin;
    this.#found.set(keyOf(finding, origin, message, site), {
      finding,
      message,
      call,
      number,
      process,
      site,
      times: 1,
    });
  }

  #first(finding: FindingName): Found | undefined {
    return this.found.find((each) => each.finding === finding);
  }
}

/**
 * Findings at one place of one process are one; where nothing is known of the place, those by one call. What is left
 * registered is told one by one.
 */
function keyOf(finding: FindingName, { process, call }: Origin, message: string, { frames }: Site): string {
  const what = finding === "left-registered" ? message : "";
  return [finding, what, process, call, ...frames.map(({ module, address }) => `${module}+${address}`)].join(
    " ",
  );
}
