/**
 * What an audit sees of a program: its calls on simulated files after they were carried out, and what became of the
 * devices. Nothing here knows of processes or memory, so that recorded events are as good as a running program.
 */
import type { FindingName } from "./findings.ts";

/** Where a call was made. */
export interface Origin {
  readonly process: number;
  readonly thread: number;
  /** Name of the call: `pread64`, `ioctl`. */
  readonly call: string;
  /** Which of the program's calls it was, counted from 1. */
  readonly number: number;
  /** Looks up the place in the program; only while the call is carried out. */
  site(): Site;
}

/** A place in a program, as addresses of its files from the innermost call outwards. */
export interface Site {
  readonly frames: readonly Frame[];
}

/** An address of a program or library, as its symbols have it. */
export interface Frame {
  readonly module: string;
  readonly address: number;
}

/** All events of a device carry the number of its open: a device that is opened again has another one. */
export type AuditEvent =
  /** A device was opened; `userRecovers`: the kernel leaves errors to the program. */
  | {
    readonly kind: "opened";
    readonly device: number;
    readonly userRecovers: boolean;
    readonly origin: Origin;
  }
  /** One block that was read or written; region and offset are what the position means to the kernel. */
  | {
    readonly kind: "transfer";
    readonly device: number;
    readonly write: boolean;
    readonly position: number | bigint;
    readonly count: number;
    /** Bytes, or a negative error number. */
    readonly result: number;
    readonly region: number;
    readonly offset: number;
    /** The bytes, where they are commands and answers. */
    readonly data: Uint8Array | undefined;
    readonly origin: Origin;
  }
  | {
    readonly kind: "ioctl";
    readonly device: number;
    readonly request: number;
    /** The struct as the call left it. */
    readonly arg: Uint8Array;
    readonly result: number;
    readonly origin: Origin;
  }
  | { readonly kind: "mmap"; readonly device: number; readonly origin: Origin }
  /** ioctl of a container or an iommufd. `ranges`: what IOAS_IOVA_RANGES wrote elsewhere. */
  | {
    readonly kind: "iommu";
    readonly request: number;
    readonly arg: Uint8Array;
    readonly ranges: Uint8Array | undefined;
    readonly result: number;
    readonly origin: Origin;
  }
  /**
   * The SBA as it is before a call. `interrupted`: the program has not taken note of the last interrupt yet; asked for only
   * where it matters.
   */
  | {
    readonly kind: "sba";
    readonly device: number;
    readonly summary: boolean;
    readonly bits: boolean;
    readonly interrupted: () => boolean;
    readonly origin: Origin;
  }
  /** So many error blocks wait for the program. */
  | { readonly kind: "errors"; readonly device: number; readonly waiting: number; readonly origin: Origin }
  /** The last descriptor is closed. */
  | { readonly kind: "closed"; readonly device: number };

/** An event of one kind. */
export type EventOf<Kind extends AuditEvent["kind"]> = Extract<AuditEvent, { readonly kind: Kind }>;

/** Takes note of a finding. */
export type Report = (
  finding: FindingName,
  origin: Origin,
  message: string,
  /** The place, where it is another than that of the call. */
  site?: Site,
) => void;

/** Findings that belong together: sees every event, and keeps what it needs of them. */
export interface Group {
  see(event: AuditEvent, report: Report): void;
}

/** Keeps an origin's place, which can be looked up only while the call is carried out. */
export function pinned(origin: Origin): Origin {
  const site = origin.site();
  return { ...origin, site: () => site };
}
