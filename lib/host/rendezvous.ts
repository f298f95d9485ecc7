/**
 * Where two driver processes find each other: what the TCP connection of an SMC handshake is on a real machine. A
 * reader offers itself, a writer asks, the reader answers with the token of its DMB. Everything after that goes
 * through DMBs, signals and interrupts.
 */

import { Kept, type PutRow } from "../base/journal.ts";

/** One reader, and the writer that has come to it. */
export interface Meeting {
  /** Function id of the reader. */
  readonly reader: number;
  /** Size in bytes of the DMB that it offers. */
  readonly size: number;
  /** The writer: its function id, its GID as `0x…`, the token of the DMB that takes the reader's cursors. */
  readonly request: { readonly fid: number; readonly gid: string; readonly token: number } | null;
  /** The reader's answer: the token of its DMB. */
  readonly accepted: { readonly token: number } | null;
  /** What arrived, once everything has. */
  readonly result: { readonly bytes: number; readonly sha256: string } | null;
}

/** State for the host file. */
export type RendezvousState = readonly Meeting[];

/** All meetings of a host, at most one per reader. */
export class Rendezvous extends Kept {
  #meetings: Meeting[] = [];

  /** The meeting of a reader. */
  of(reader: number): Meeting | undefined {
    return this.#meetings.find((meeting) => meeting.reader === reader);
  }

  /** Enters a meeting, or changes the one of the same reader. */
  set(meeting: Meeting): void {
    this.remove(meeting.reader);
    this.#meetings.push(meeting);
  }

  remove(reader: number): void {
    this.touch();
    this.#meetings = this.#meetings.filter((meeting) => meeting.reader !== reader);
  }

  get rows(): this {
    return this;
  }

  writeRows(put: PutRow): void {
    put("rendezvous", this.save());
  }

  protected override remember(): () => void {
    const meetings = [...this.#meetings];
    return () => this.#meetings = meetings;
  }

  save(): RendezvousState {
    return this.#meetings;
  }

  restore(state: RendezvousState): void {
    this.#meetings = [...state];
  }
}
