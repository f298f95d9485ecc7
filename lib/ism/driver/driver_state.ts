/** A driver in the host file. */
import type { Journal } from "../../base/journal.ts";
import type { DescriptorState } from "./descriptor.ts";
import type { MappedMemory, Registrations } from "./registration.ts";
import type { DriverDmb } from "./tables.ts";

/** State of a driver, for the host file. */
export interface DriverState {
  readonly descriptor: DescriptorState | null;
  readonly registrations: Registrations | null;
  readonly dmbs: readonly DriverDmb[];
  /** Memory mapped by hand. */
  readonly memory: readonly MappedMemory[];
  readonly vlans: readonly number[];
  /** Eventfd with which the kernel asks for the device, null if the driver does not listen. */
  readonly requests: number | null;
  /** Eventfd with which the kernel tells of errors, null if the driver does not listen. */
  readonly errorEvents: number | null;
}

/** A driver that has nothing open. */
export const NEW_DRIVER: DriverState = {
  descriptor: null,
  registrations: null,
  dmbs: [],
  memory: [],
  vlans: [],
  requests: null,
  errorEvents: null,
};

/** Where a driver's state goes. */
export interface DriverPlace {
  readonly journal: Journal;
  /** Key of its row in the saved state. */
  readonly key: string;
}
