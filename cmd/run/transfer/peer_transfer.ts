/** The sending half of a send whose other half is `ism recv` in another process: each step is a transaction. */
import type { Host, HostFunction } from "../../../lib/host/host.ts";
import type { Meeting } from "../../../lib/host/rendezvous.ts";
import { DriverError } from "../../../lib/ism/driver/errors.ts";
import type { DriverDmb } from "../../../lib/ism/driver/tables.ts";
import { CURSOR_DMB_BYTES, StreamWriter } from "../../../lib/ism/driver/stream.ts";
import type { Context, TransactOptions } from "../../language/command.ts";
import { Progress } from "../../output/progress.ts";
import { releaseDmb, Source, takenBack } from "./transfer.ts";
import { loadCrc32, newSha256 } from "./sha256.ts";
import { waitFor } from "../waiting/waiting.ts";

/** How long a peer may be silent if nobody says how long. */
const PATIENCE_MS = 10_000;

/** Parts that are written before Ctrl-C is looked for. */
const MOST_ROUNDS = 8;

/** Places of the functions on the host. */
interface Places {
  readonly sender: number;
  readonly receiver: number;
}

/** The functions of one transaction, and where they meet. */
interface Ends {
  readonly host: Host;
  readonly from: HostFunction;
  readonly to: HostFunction;
  /** Function id of the receiver. */
  readonly fid: number;
  readonly meeting: Meeting | undefined;
}

/** One send. A process that waits gets a new host whenever the file has changed, so nothing of one is kept. */
class PeerTransfer {
  readonly #context: Context;
  readonly #places: Places;
  readonly #patienceMs: number;
  /** Takes the cursors of the receiver. */
  #dmb: DriverDmb | undefined = undefined;

  constructor(context: Context, places: Places, patienceMs: number) {
    this.#context = context;
    this.#places = places;
    this.#patienceMs = patienceMs;
  }

  /** Carries a file. @throws {DriverError} @throws {InterruptedError}, nothing left of the transfer */
  async run(source: Source) {
    try {
      const writer = await this.#meet();
      await this.#carry(source, writer);
      const result = await this.#result(source.digest());
      return { ...result, stores: writer.stores, signals: writer.signals };
    } catch (error) {
      throw takenBack(error, "nothing of the transfer is left", () => this.#withdraw());
    }
  }

  /** One look, in a transaction of its own. */
  #look<Of>(look: (ends: Ends) => Of, options?: TransactOptions): Of {
    return this.#context.transact((_, host) => {
      const [from, to] = [host.functions[this.#places.sender]!, host.functions[this.#places.receiver]!];
      const { fid } = to.zdev.facts;
      return look({ host, from, to, fid, meeting: host.rendezvous.of(fid) });
    }, options);
  }

  #wait<Of>(what: string, look: () => Of | undefined): Promise<Of> {
    return waitFor(this.#context, what, this.#patienceMs, look);
  }

  async #meet(): Promise<StreamWriter> {
    const dmb = await this.#wait("ism recv", () => this.#look((ends) => this.#request(ends)));
    this.#dmb = dmb;
    return await this.#wait("The answer of ism recv", () =>
      this.#look(({ meeting }) => {
        const { accepted, size } = this.#stillThere(meeting);
        return accepted === null ? undefined : new StreamWriter(dmb, accepted.token, size);
      }));
  }

  /** Asks the receiver, if there is one that nobody else has asked. */
  #request({ host, from, to, fid, meeting }: Ends): DriverDmb | undefined {
    if (meeting === undefined || meeting.request !== null) return undefined;
    from.driver.start();
    const cursors = from.driver.registerDmb({ size: CURSOR_DMB_BYTES, rgid: to.adapter.gid });
    const request = { fid: from.zdev.facts.fid, gid: from.driver.registrations!.gid, token: cursors.token };
    host.rendezvous.set({ ...meeting, reader: fid, request });
    return cursors;
  }

  /** The meeting with the receiver that took the request, which another one may have followed. @throws {DriverError} */
  #stillThere(meeting: Meeting | undefined): Meeting {
    if (meeting?.request?.token === this.#dmb!.token) return meeting;
    throw new DriverError("ism recv has gone without a result");
  }

  async #carry(source: Source, writer: StreamWriter): Promise<void> {
    using progress = new Progress(this.#context.terminal, "bytes", source.size);
    const own = new Set([writer.dmb.index]);
    await this.#wait("A signal of ism recv", () => {
      // A part of the ring at a time, so that the receiver reads one while the next one is written.
      for (let round = 0; round < MOST_ROUNDS; round++) {
        source.readOn();
        this.#look(({ from: { driver }, meeting }) => {
          // Its signals may be there although it has gone since.
          this.#stillThere(meeting);
          if (driver.handleInterrupt(own).dmbs.length > 0) writer.acknowledge(driver);
          if (writer.room > 0 && !writer.finished) source.pushPart(driver, writer, writer.part);
        }, { forced: false });
        progress.tell(writer.produced);
        if (writer.room === 0 || writer.finished) break;
      }
      return writer.drained ? true : undefined;
    });
  }

  async #result(sha256: string) {
    const result = await this.#wait(
      "The result of ism recv",
      () =>
        this.#look(({ host, from, to, fid, meeting }) => {
          const { result } = this.#stillThere(meeting);
          if (result === null) return undefined;
          from.driver.unregisterDmb(this.#dmb!.token);
          host.rendezvous.remove(fid);
          return { from: from.zdev.name, to: to.zdev.name, ...result };
        }),
    );
    if (result.sha256 !== sha256) throw new DriverError("What arrived is not what was sent");
    return result;
  }

  /** Whoever offered to receive does not answer, or this end failed: nothing of the meeting is left. */
  #withdraw(): void {
    const token = this.#dmb?.token;
    if (token === undefined) return;
    this.#look(({ host, from, fid, meeting }) => {
      if (meeting?.request?.token === token && meeting.request.fid === from.zdev.facts.fid) {
        host.rendezvous.remove(fid);
      }
      releaseDmb(from.driver, token);
    });
  }
}

/**
 * Sends a file to an `ism recv`.
 *
 * @param waitMs how long the receiver may be silent
 * @throws {FileError} if the file cannot be read @throws {DriverError} if the receiver does not come or goes away
 */
export async function sendToPeer(context: Context, places: Places, path: string, waitMs = PATIENCE_MS) {
  await loadCrc32();
  const source = new Source(path, await newSha256());
  try {
    return await new PeerTransfer(context, places, waitMs).run(source);
  } finally {
    source.close();
  }
}
