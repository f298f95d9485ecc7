/**
 * What public sources leave open about the adapter: each is a choice of the topology, and named by the
 * rule of docs/reference that it is about. docs/fidelity.md lists them all.
 */
import { type Chosen, defaultsOf } from "../../base/choices.ts";

/** Choices between named behaviours, the default first. */
export const ISM_CHOICES = {
  /** ism.vlan.version: hardware version. 2 accepts the reserved VLAN id 0x1FFF, 1 refuses it. */
  version: [2, 1],
  /** ism.cmd.codes: a failed command answers a code of the private set, or 0x000a whatever the reason. */
  returnCodes: ["private", "one"],
  /** ism.cmd.length: a header must have the command's documented length, or any from 8 to `maxLength`. */
  headerLength: ["documented", "any"],
  /** ism.cmd.area: bytes of BAR 2 that no command has written yet. */
  bar2Initial: ["zeros", "ones"],
  /** ism.cmd.whole: a store over header and payload starts the command, or only leaves its bytes. */
  wholeCommandStores: ["execute", "store-only"],
  /** ism.cmd.partial: a store over a part of the header leaves its bytes, or is refused. */
  partialHeaderStores: ["store", "refuse"],
  /** ism.cmd.area: accesses to BAR 2 behind the command area. */
  bar2Outside: ["ignore", "refuse"],
  /** ism.cmd.pcistg: PCISTG to BAR 2 is refused, or treated as a store block of its length. */
  bar2Stores: ["refuse", "accept"],
  /** ism.cmd.serial: a command that overlaps another one mixes with it, or is an error event. */
  concurrency: ["mix", "fail"],
  /** ism.data.load: loads of BAR 0 are refused, or give zeros. */
  bar0Loads: ["refuse", "zeros"],
  /**
   * ism.data.refused: a refused store to BAR 0 is a status code, or also puts the writer into the error state (PEC
   * 0x02).
   */
  bar0Failure: ["status", "error-state"],
  /** ism.data.element: the element mask of idx is 0x1000 rotated right, or 0x8000 shifted right. */
  elementMask: ["rotate", "msb-first"],
  /** ism.token.format: tokens count up, or come in an order that looks random. */
  tokens: ["sequential", "random"],
  /** ism.msi.when: a signal raises the MSI when it sets `s` from 0 to 1, or every time. */
  msiOn: ["summary", "every-signal"],
  /** ism.event.trigger: an event with trigger_irq 0 waits for the next trigger, or notifies like any other. */
  untriggeredEvents: ["queue", "notify"],
  /** ism.ieq.overflow: an event that finds 15 others unread takes the oldest one's place, or is lost. */
  ieqOverflow: ["overwrite", "drop"],
  /** ism.event.time: the time in an event is the TOD clock, or 0. */
  eventTime: ["tod", "zero"],
  /** ism.sba.register: UNREG_SBA while DMBs are registered. */
  unregSbaWithDmbs: ["refuse", "allow"],
  /** ism.dmb.writer: REG_DMB for a GID that does not exist. */
  unknownWriter: ["accept", "refuse"],
  /** ism.gid.self: a function may reach its own GID and write its own DMBs, or not. */
  selfCommunication: ["allow", "refuse"],
  /** ism.vlan.required: SET_VLAN makes QUERY_RGID and REG_DMB want a VLAN, or only shows in QUERY_INFO. */
  vlanRequired: ["enforced", "ignored"],
  /** ism.reset.events: peers are told of a disable or reset. */
  resetEvents: ["send", "none"],
  /** ism.error.events: peers are told of an error state. */
  errorEvents: ["send", "none"],
  /** ism.dmb.unregister: the writer of a DMB is told when it is unregistered. */
  unregisterEvents: ["send", "none"],
  /** ism.vlan.leave: the other end of a tagged DMB is told when one end leaves the VLAN. */
  vlanEvents: ["send", "none"],
  /** vfio.dma.busmaster: device writes need the bus-master bit in COMMAND. */
  busMaster: ["enforced", "ignored"],
} as const;

/** The adapter's options: one of each choice, and those that are numbers. */
export interface IsmOptions extends Chosen<typeof ISM_CHOICES> {
  /** ism.config.bars: size of BAR 2 in bytes, a power of two. */
  readonly bar2Size: number;
  /** ism.cmd.length: longest command in bytes; a longer one is refused. */
  readonly maxLength: number;
  /** ism.info.layout: what QUERY_INFO tells as ism_state. */
  readonly ismState: number;
  /** ism.cmd.start: loads of BAR 2 that answer busy after each command. */
  readonly responseDelay: number;
  /** ism.data.refused: status code of a refused store to BAR 0. */
  readonly bar0Status: number;
  /** ism.cmd.before: REG_DMB needs a registered SBA. */
  readonly dmbNeedsSba: boolean;
}

export const DEFAULT_ISM_OPTIONS: IsmOptions = {
  ...defaultsOf(ISM_CHOICES),
  bar2Size: 64 * 1024,
  maxLength: 4096,
  ismState: 0,
  responseDelay: 0,
  bar0Status: 36,
  dmbNeedsSba: true,
};
