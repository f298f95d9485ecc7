/** The command channel: one command at a time, and everything that was registered is taken back. */
import { hex } from "../../base/hex.ts";
import { DEVICE_IOCTL } from "../../vfio/uapi.ts";
import { type AuditEvent, type EventOf, type Group, type Origin, pinned, type Report } from "./event.ts";

const COMMAND_BAR = 2;
const HEADER_BYTES = 8;
const RET_AT = 4;
/** As much of the command area as any command here has. */
const AREA_BYTES = 64;
/** A driver that got no answer counts an UNREG as done (ism.cmd.preset). */
const NO_ANSWER = 0xffff;

/** Codes of the commands that register and unregister (ism.cmd.table). */
const CODE = {
  REG_SBA: 1,
  REG_IEQ: 2,
  REG_DMB: 0x0a,
  UNREG_DMB: 0x0b,
  UNREG_SBA: 0x11,
  UNREG_IEQ: 0x12,
} as const;

/** A command whose header was stored. */
interface Command {
  readonly code: number;
  /** What follows the header. */
  readonly payload: DataView;
  readonly origin: Origin;
}

/** The channel of one open device. */
class Channel {
  readonly area = new Uint8Array(AREA_BYTES);
  /** The last command, until its response was read. */
  running: Command | undefined = undefined;
  /** The last command whose response was good; what it answered may be read in a call of its own. */
  answered: Command | undefined = undefined;
  /** What is registered, by name. */
  readonly registered = new Map<string, Origin>();
  sba: number | undefined = undefined;
  /** The last access failed: whoever closes then cannot unregister. */
  failing = false;
}

/** Findings about the command channel. */
export class Commands implements Group {
  readonly #channels = new Map<number, Channel>();

  /** DMA address of the SBA that a device has; undefined if it has none. */
  sbaOf(device: number): number | undefined {
    return this.#channels.get(device)?.sba;
  }

  see(event: AuditEvent, report: Report): void {
    if (event.kind === "transfer" && event.region >= 0) {
      const channel = this.#of(event.device);
      channel.failing = event.result < 0;
      if (event.region !== COMMAND_BAR || event.result <= 0 || event.data === undefined) return;
      if (event.write) this.#written(channel, event, event.data, report);
      else this.#read(channel, event.offset, event.data);
    } else if (event.kind === "ioctl") {
      // A reset takes away whatever the adapter had (ism.reset.forgets).
      if (event.request === DEVICE_IOCTL.VFIO_DEVICE_RESET && event.result === 0) {
        this.#channels.delete(event.device);
      }
    } else if (event.kind === "closed") {
      this.#closed(event.device, report);
    }
  }

  #of(device: number): Channel {
    let found = this.#channels.get(device);
    if (found === undefined) this.#channels.set(device, found = new Channel());
    return found;
  }

  #written(
    channel: Channel,
    { offset, origin }: EventOf<"transfer">,
    data: Uint8Array,
    report: Report,
  ): void {
    if (offset >= AREA_BYTES) return;
    if (channel.running !== undefined) {
      const message = `the response of command ${hex(channel.running.code)} was not read`;
      report("response-not-read", origin, message);
      channel.running = undefined;
    }
    channel.area.set(data.subarray(0, AREA_BYTES - offset), offset);
    if (offset > 0 || data.length < HEADER_BYTES) return;
    const area = channel.area.slice();
    const code = new DataView(area.buffer).getUint32(0);
    const registers = code === CODE.REG_SBA || code === CODE.REG_IEQ || code === CODE.REG_DMB;
    channel.running = {
      code,
      payload: new DataView(area.buffer, HEADER_BYTES),
      origin: registers ? pinned(origin) : origin,
    };
    channel.answered = undefined;
  }

  #read(channel: Channel, offset: number, data: Uint8Array): void {
    const view = new DataView(data.buffer, data.byteOffset, data.length);
    if (offset <= RET_AT && offset + data.length >= RET_AT + 2 && channel.running !== undefined) {
      const ret = view.getUint16(RET_AT - offset);
      const command = channel.running;
      channel.running = undefined;
      if (ret === 0) {
        channel.answered = command;
        done(channel, command);
      } else if (ret === NO_ANSWER) undone(channel, command);
    }
    const isToken = channel.answered?.code === CODE.REG_DMB && offset <= HEADER_BYTES &&
      offset + data.length >= 2 * HEADER_BYTES;
    if (!isToken) return;
    channel.registered.set(dmbName(view.getBigUint64(HEADER_BYTES - offset)), channel.answered!.origin);
    channel.answered = undefined;
  }

  #closed(device: number, report: Report): void {
    const channel = this.#channels.get(device);
    this.#channels.delete(device);
    if (channel === undefined || channel.failing) return;
    for (const [name, origin] of channel.registered) {
      report(
        "left-registered",
        origin,
        `${name} is registered when the last descriptor is closed`,
        origin.site(),
      );
    }
  }
}

const dmbName = (token: bigint) => `DMB with token ${hex(token)}`;

/** A command was carried out. */
function done(channel: Channel, command: Command): void {
  const { code, payload, origin } = command;
  if (code === CODE.REG_SBA) {
    channel.registered.set("SBA", origin);
    channel.sba = Number(payload.getBigUint64(0));
  } else if (code === CODE.REG_IEQ) channel.registered.set("IEQ", origin);
  else undone(channel, command);
}

/** Something is not registered any more. */
function undone(channel: Channel, { code, payload }: Command): void {
  if (code === CODE.UNREG_SBA) {
    channel.registered.delete("SBA");
    channel.sba = undefined;
  } else if (code === CODE.UNREG_IEQ) channel.registered.delete("IEQ");
  else if (code === CODE.UNREG_DMB) channel.registered.delete(dmbName(payload.getBigUint64(0)));
}
