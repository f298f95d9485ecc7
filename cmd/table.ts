/** All commands. The order within a group is the order of help. */
import type { AnyCommand } from "./language/command.ts";
import { peek, poke, pread, pwrite, stb, write } from "./commands/access.ts";
import { config, configDump, configGet, configSet } from "./commands/config.ts";
import { dmbList, dmbRead, dmbRegister, dmbUnregister, move } from "./commands/dmb.ts";
import { events, irq, irqWait, signal } from "./commands/events.ts";
import { faultAdd, faultClear, faultList } from "./commands/fault.ts";
import { exec } from "./commands/exec.ts";
import { fabric } from "./commands/fabric.ts";
import { fdClose, fdEventfd, fdList, fdLseek, fdMmap, fdOpen, fdWrite } from "./commands/fd.ts";
import { fdRead } from "./commands/fd_read.ts";
import { fdFlags, fdFsync, fdFtruncate } from "./commands/fd_calls.ts";
import { completions, help, man, version } from "./commands/help.ts";
import {
  hostCheck,
  hostCreate,
  hostDelete,
  hostExport,
  hostImport,
  hostReset,
  hostShow,
} from "./commands/host.ts";
import { info } from "./commands/info.ts";
import { cmd, gid, query, rgid, vlanAdd, vlanDel, vlanList, vlanRequire } from "./commands/ism.ts";
import { dmaList, dmaMap, dmaRead, dmaUnmap, dmaWrite } from "./commands/dma.ts";
import { dmaAnd, dmaOr, dmaSwap } from "./commands/dma_atomic.ts";
import { bind, close, open, reset, unbind } from "./commands/life.ts";
import { feature, recover } from "./commands/recover.ts";
import { ioctl } from "./commands/ioctl.ts";
import { list } from "./commands/list.ts";
import { expect, explain, let_, repeat, run, shell } from "./commands/script.ts";
import { poll } from "./commands/poll.ts";
import { recv } from "./commands/recv.ts";
import { send } from "./commands/send.ts";
import { sleep } from "./commands/sleep.ts";
import { sysfs, sysfsWrite } from "./commands/sysfs.ts";
import { view } from "./commands/view.ts";
import { status } from "./commands/status.ts";

import {
  zpciClp,
  zpciConfigure,
  zpciDeconfigure,
  zpciDisable,
  zpciEnable,
  zpciEvent,
  zpciRecover,
} from "./commands/zpci.ts";
import { zpciPcilg, zpciPcistb, zpciPcistg } from "./commands/zpci_access.ts";
import { zpciControls, zpciMpcifc, zpciRpcit } from "./commands/zpci_controls.ts";

const ALL: readonly AnyCommand[] = [
  list,
  info,
  status,
  view,
  fabric,
  sysfs,
  config,
  configGet,
  configSet,
  configDump,
  peek,
  poke,
  stb,
  write,
  pread,
  pwrite,
  send,
  recv,
  cmd,
  gid,
  query,
  rgid,
  vlanAdd,
  vlanDel,
  vlanRequire,
  vlanList,
  dmbRegister,
  dmbUnregister,
  dmbList,
  dmbRead,
  move,
  signal,
  events,
  irq,
  irqWait,
  recover,
  exec,
  hostCreate,
  hostShow,
  hostCheck,
  hostExport,
  hostImport,
  hostReset,
  hostDelete,
  bind,
  unbind,
  sysfsWrite,
  open,
  close,
  reset,
  feature,
  dmaMap,
  dmaUnmap,
  dmaList,
  dmaRead,
  dmaWrite,
  dmaAnd,
  dmaOr,
  dmaSwap,
  fdList,
  fdOpen,
  fdEventfd,
  ioctl,
  fdRead,
  fdWrite,
  fdLseek,
  fdMmap,
  poll,
  fdFlags,
  fdFsync,
  fdFtruncate,
  fdClose,
  zpciClp,
  zpciConfigure,
  zpciDeconfigure,
  zpciEnable,
  zpciDisable,
  zpciEvent,
  zpciRecover,
  zpciControls,
  zpciMpcifc,
  zpciRpcit,
  zpciPcilg,
  zpciPcistg,
  zpciPcistb,
  faultAdd,
  faultList,
  faultClear,
  sleep,
  run,
  shell,
  expect,
  let_,
  repeat,
  explain,
  help,
  completions,
  man,
  version,
];

/** Commands by name. */
export const COMMANDS: ReadonlyMap<string, AnyCommand> = new Map(
  ALL.map((command) => [command.name, command]),
);
