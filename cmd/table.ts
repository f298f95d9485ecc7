/** The names of all commands, what each is for, and where it is defined: it is loaded when it is needed. */
import type { AnyCommand, CommandFacts, Commands, Group } from "./language/command.ts";

/** Modules of commands. Each import is literal, so that bundling and compiling see it. */
const FAMILIES = {
  list: () => import("./commands/list.ts"),
  info: () => import("./commands/info.ts"),
  status: () => import("./commands/status.ts"),
  sysfs: () => import("./commands/sysfs.ts"),
  config: () => import("./commands/config.ts"),
  access: () => import("./commands/access.ts"),
  send: () => import("./commands/send.ts"),
  recv: () => import("./commands/recv.ts"),
  ism: () => import("./commands/ism.ts"),
  dmb: () => import("./commands/dmb.ts"),
  events: () => import("./commands/events.ts"),
  recover: () => import("./commands/recover.ts"),
  exec: () => import("./commands/exec.ts"),
  conform: () => import("./commands/conform.ts"),
  fabric: () => import("./commands/fabric.ts"),
  view: () => import("./commands/view.ts"),
  host: () => import("./commands/host.ts"),
  life: () => import("./commands/life.ts"),
  dma: () => import("./commands/dma.ts"),
  dmaAtomic: () => import("./commands/dma_atomic.ts"),
  fd: () => import("./commands/fd.ts"),
  ioctl: () => import("./commands/ioctl.ts"),
  fdRead: () => import("./commands/fd_read.ts"),
  poll: () => import("./commands/poll.ts"),
  fdCalls: () => import("./commands/fd_calls.ts"),
  zpciClp: () => import("./commands/zpci_clp.ts"),
  zpci: () => import("./commands/zpci.ts"),
  zpciControls: () => import("./commands/zpci_controls.ts"),
  zpciAccess: () => import("./commands/zpci_access.ts"),
  fault: () => import("./commands/fault.ts"),
  sleep: () => import("./commands/sleep.ts"),
  script: () => import("./commands/script.ts"),
  help: () => import("./commands/help.ts"),
  about: () => import("./commands/about.ts"),
} as const satisfies Record<string, () => Promise<object>>;

type Family = keyof typeof FAMILIES;

/** All commands; the order within a group is the order of help. The tests compare them with their definitions. */
const FACTS: readonly (readonly [name: string, group: Group, family: Family, summary: string])[] = [
  ["list", "look", "list", "List the functions of the host"],
  ["info", "look", "info", "Show what the descriptor says: regions, interrupts, zPCI capabilities"],
  ["status", "look", "status", "Show open descriptors, DMA mappings, DMBs, SBA, IEQ and pending interrupts"],
  [
    "view",
    "look",
    "view",
    "Make a page, a sequence diagram, a Perfetto trace or text of a trace in a .jsonl file",
  ],
  ["fabric", "look", "fabric", "Show who is on which channel, and who may write whose DMB"],
  ["sysfs", "look", "sysfs", "Show the function's directory in sysfs, or one attribute of it"],
  ["config", "look", "config", "Show config space register by register"],
  ["config get", "look", "config", "Read registers of config space by name"],
  ["config set", "look", "config", "Write registers of config space by name, one pwrite each"],
  ["config dump", "look", "config", "Dump config space: hex, raw bytes, or as lspci -F reads it"],
  ["peek", "access", "access", "Read bytes of a region with one pread"],
  ["poke", "access", "access", "Write a value to a region with one pwrite"],
  ["stb", "access", "access", "Store a block with one pwrite: exactly one PCISTB on a BAR, never split"],
  [
    "write",
    "access",
    "access",
    "Write any number of bytes, split as a driver must: at 4 KiB lines and at the store-block limit",
  ],
  ["pread", "access", "access", "Read at a raw position of the descriptor"],
  ["pwrite", "access", "access", "Write at a raw position of the descriptor"],
  ["send", "ism", "send", "Send a file from one guest to another through DMBs, signals and interrupts"],
  ["recv", "ism", "recv", 'Receive a file that "ism send" sends in another process on the same host file'],
  ["cmd", "ism", "ism", "Send a raw command over BAR 2: payload, header, response"],
  ["gid", "ism", "ism", "Read the function's own GID (READ_GID)"],
  ["query", "ism", "ism", "Ask the function about itself (QUERY_INFO)"],
  ["rgid", "ism", "ism", "Ask whether a remote GID can be reached (QUERY_RGID)"],
  ["vlan add", "ism", "ism", "Join a VLAN (ADD_VLAN_ID)"],
  ["vlan del", "ism", "ism", "Leave a VLAN (DEL_VLAN_ID)"],
  ["vlan require", "ism", "ism", "Switch the need for a VLAN tag on or off (SET_VLAN, RESET_VLAN)"],
  ["vlan list", "ism", "ism", "List the VLANs that the driver joined"],
  ["dmb register", "ism", "dmb", "Allocate, map and register a DMB that one GID may write (REG_DMB)"],
  ["dmb unregister", "ism", "dmb", "Unregister a DMB and free its memory (UNREG_DMB)"],
  ["dmb list", "ism", "dmb", "List the DMBs that the driver registered"],
  ["dmb read", "ism", "dmb", "Read a DMB of the driver's own with plain loads"],
  ["move", "ism", "dmb", "Move bytes into a peer's DMB: split at 4 KiB lines, signal on the last store only"],
  ["signal", "ism", "events", "Send a software event to a peer (SIGNAL_IEQ)"],
  ["events", "ism", "events", "Take the events out of the IEQ"],
  ["irq", "ism", "events", "Handle interrupts: take the eventfd's count, DMB signals and events"],
  ["irq wait", "ism", "events", "Wait for an interrupt, then handle it"],
  [
    "recover",
    "ism",
    "recover",
    "Recover the function as a driver does: read the error blocks, reset, register again",
  ],
  [
    "exec",
    "exec",
    "exec",
    "Run a program on the simulated machine: its calls on VFIO nodes are answered by the guest",
  ],
  [
    "conform",
    "exec",
    "conform",
    "Run a program on every kind of machine, and tell where it ended well and where not",
  ],
  [
    "host create",
    "host",
    "host",
    "Create a host file: two guests with one ISM function each, or what a topology says",
  ],
  ["host show", "host", "host", "Print the host's topology as JSON, with every default filled in"],
  [
    "host check",
    "host",
    "host",
    "Verify the host file: the database, its checksums, and what must be true of any host",
  ],
  ["host export", "host", "host", "Write the whole host down as one JSON document: topology, state, memory"],
  ["host import", "host", "host", "Create the host file from a document that export wrote"],
  ["host reset", "host", "host", "Power the host off and on: the topology stays, all state is gone"],
  ["host delete", "host", "host", "Delete the host file"],
  ["bind", "host", "life", "Bind a driver to the function"],
  ["unbind", "host", "life", "Take the function from its driver; waits while it is open"],
  ["sysfs write", "host", "sysfs", "Write an attribute of sysfs"],
  ["open", "host", "life", "Open the function: container, group, IOMMU, device; the kernel resets it"],
  ["close", "host", "life", "Unregister everything and close the function; the kernel resets it"],
  ["reset", "host", "life", "Reset the function (VFIO_DEVICE_RESET); everything registered with it is gone"],
  ["feature", "host", "recover", "Call VFIO_DEVICE_FEATURE"],
  ["dma map", "host", "dma", "Allocate guest memory and map it for DMA"],
  ["dma unmap", "host", "dma", "Unmap DMA memory; what dma map allocated for an open function is freed"],
  ["dma list", "host", "dma", "List the DMA mappings of the function"],
  ["dma read", "host", "dma", "Read the guest's own memory behind a DMA address"],
  ["dma write", "host", "dma", "Write the guest's own memory behind a DMA address"],
  ["dma and", "host", "dmaAtomic", "Clear bits of DMA memory atomically: the old value AND VALUE is stored"],
  ["dma or", "host", "dmaAtomic", "Set bits of DMA memory atomically: the old value OR VALUE is stored"],
  ["dma swap", "host", "dmaAtomic", "Swap a value of DMA memory atomically: VALUE is stored"],
  ["fd list", "sys", "fd", "List the open descriptors of the guest's driver process"],
  ["fd open", "sys", "fd", "Open a device node"],
  ["fd eventfd", "sys", "fd", "Create an eventfd"],
  ["ioctl", "sys", "ioctl", "Call any ioctl on a descriptor of the driver process"],
  ["fd read", "sys", "fdRead", "Read from a descriptor: read, readv, pread or preadv"],
  ["fd write", "sys", "fd", "Write to a descriptor: write, writev, pwrite or pwritev"],
  ["fd lseek", "sys", "fd", "Move the position of a descriptor: no vfio descriptor can (ESPIPE)"],
  [
    "fd mmap",
    "sys",
    "fd",
    "Map a descriptor into memory: no region of ISM can be (EINVAL); or allocate memory",
  ],
  ["poll", "sys", "poll", "Wait until descriptors are ready: poll(2)"],
  [
    "fd flags",
    "sys",
    "fdCalls",
    "Ask for the access mode and the status flags of a descriptor: fcntl with F_GETFL",
  ],
  ["fd fsync", "sys", "fdCalls", "Write a descriptor's data back: no descriptor here has any (EINVAL)"],
  ["fd ftruncate", "sys", "fdCalls", "Change the length of a file: no descriptor here has one (EINVAL)"],
  ["fd close", "sys", "fd", "Close a descriptor"],
  [
    "zpci clp",
    "host",
    "zpciClp",
    "Execute a CLP request and show request and response blocks field by field",
  ],
  [
    "zpci configure",
    "host",
    "zpci",
    "Configure a function in standby (SCLP); the kernel takes it and looks for a driver",
  ],
  [
    "zpci deconfigure",
    "host",
    "zpci",
    "Ask for the function (event 0x0303), or take it away at once (--gone, event 0x0304)",
  ],
  ["zpci enable", "host", "zpciClp", "Enable the function by Set PCI Function; its handle changes"],
  [
    "zpci disable",
    "host",
    "zpciClp",
    "Disable the function behind the kernel's back: its handle is stale then",
  ],
  [
    "zpci event",
    "host",
    "zpci",
    "Let the machine report an error of the function, or a change of its availability",
  ],
  [
    "zpci recover",
    "host",
    "zpci",
    "Recover the function as sysfs recover does: remove the driver, disable, enable, probe",
  ],
  [
    "zpci controls",
    "host",
    "zpciControls",
    "Show the function controls (STPCIFC): enabled, error, blocked, what is registered",
  ],
  [
    "zpci mpcifc",
    "host",
    "zpciControls",
    "Modify function controls (MPCIFC) behind the kernel's back: leave an error state, register, deregister",
  ],
  [
    "zpci rpcit",
    "host",
    "zpciControls",
    "Refresh translations (RPCIT): over an address that the adapter still uses it is an error event",
  ],
  [
    "zpci pcilg",
    "host",
    "zpciAccess",
    "Load from an address space (PCILG) with any handle, space and length",
  ],
  [
    "zpci pcistg",
    "host",
    "zpciAccess",
    "Store a register into an address space (PCISTG) with any handle, space and length",
  ],
  [
    "zpci pcistb",
    "host",
    "zpciAccess",
    "Store a block into an address space (PCISTB) with any handle and space",
  ],
  ["fault add", "host", "fault", "Let the n-th matching access go wrong"],
  ["fault list", "host", "fault", "List the faults, with how many accesses matched so far"],
  ["fault clear", "host", "fault", "Remove a fault, or all of them"],
  ["sleep", "host", "sleep", "Let time pass on the simulated machine, at once"],
  [
    "run",
    "script",
    "script",
    "Run a script: one command a line, all lines understood before the first one runs",
  ],
  [
    "shell",
    "script",
    "script",
    "Take lines one after the other, as run does, with history and TAB on a terminal",
  ],
  [
    "source",
    "script",
    "script",
    "Run the lines of another script here: they are understood with those around them, before line 1 runs",
  ],
  ["echo", "script", "script", "Print words with a space between them"],
  ["expect", "script", "script", "Check a command's outcome: an errno, fail, ok, exit=CODE, =VALUE, or DATA"],
  ["let", "script", "script", "Keep a command's value under a name, for $NAME in later lines"],
  ["repeat", "script", "script", "Run a command several times"],
  [
    "explain",
    "help",
    "script",
    "Tell which layer would answer a command, by which rule, and what would be issued; do nothing",
  ],
  ["help", "help", "help", "Tell what there is, or all about one command"],
  [
    "completions",
    "help",
    "about",
    "Print the script that completes command lines of ism in bash, zsh or fish",
  ],
  ["man", "help", "about", "Show the manual page"],
  ["version", "help", "about", "Print the version, what it was made from, and what it runs on"],
];

/** A command was looked up that is there, but not loaded: {@linkcode CommandTable.loading} loads it. */
class NotLoadedError extends Error {
  override readonly name = "NotLoadedError";

  constructor(readonly command: string, readonly family: Family) {
    super(`The command "${command}" is not loaded`);
  }
}

/** The commands, none of them loaded at first. */
export class CommandTable implements Commands {
  readonly facts: readonly CommandFacts[] = FACTS.map(([name, group, , summary]) => ({
    name,
    group,
    summary,
  }));
  readonly #families: ReadonlyMap<string, Family> = new Map(FACTS.map(([name, , family]) => [name, family]));
  readonly #loaded = new Map<string, AnyCommand>();

  has(name: string): boolean {
    return this.#families.has(name);
  }

  keys(): Iterable<string> {
    return this.#families.keys();
  }

  get(name: string): AnyCommand | undefined {
    const command = this.#loaded.get(name);
    if (command !== undefined) return command;
    const family = this.#families.get(name);
    if (family !== undefined) throw new NotLoadedError(name, family);
    return undefined;
  }

  async need(words: readonly string[]): Promise<void> {
    const families = new Set<Family>();
    for (const [i, word] of words.entries()) {
      for (const name of [word, `${word} ${words[i + 1]}`]) {
        const family = this.#loaded.has(name) ? undefined : this.#families.get(name);
        if (family !== undefined) families.add(family);
      }
    }
    if (families.size > 0) await Promise.all([...families].map((family) => this.#load(family)));
  }

  async loading<Of>(work: () => Of): Promise<Of> {
    for (;;) {
      try {
        return work();
      } catch (error) {
        if (!(error instanceof NotLoadedError)) throw error;
        await this.#load(error.family);
        if (!this.#loaded.has(error.command)) throw error;
      }
    }
  }

  async all(): Promise<ReadonlyMap<string, AnyCommand>> {
    await Promise.all((Object.keys(FAMILIES) as Family[]).map((family) => this.#load(family)));
    return new Map(FACTS.map(([name]) => [name, this.get(name)!]));
  }

  async #load(family: Family): Promise<void> {
    for (const each of Object.values(await FAMILIES[family]())) {
      if (isCommand(each)) this.#loaded.set(each.name, each);
    }
  }
}

/** A module may export other things as well. */
function isCommand(value: unknown): value is AnyCommand {
  return typeof value === "object" && value !== null && "run" in value && "summary" in value;
}

/** All commands. */
export const COMMANDS: Commands = new CommandTable();
