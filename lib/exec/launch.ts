/**
 * Starts the program behind the filter. A filter binds the thread that installs it and what that thread starts, so a
 * Worker does it, which then ends: the thread that answers must not be bound.
 */

/** What the Worker is told. */
export interface LaunchOrder {
  readonly argv: readonly string[];
  readonly filter: Uint8Array;
  /** Number of seccomp(2). */
  readonly seccomp: number;
  /** The program reads /dev/null. */
  readonly withoutInput: boolean;
}

/** What the Worker says: first the listener's descriptor, then what became of the program; or why there is none. */
export type LaunchReport =
  | { readonly kind: "listener"; readonly fd: number }
  | { readonly kind: "spawned"; readonly pid: number; readonly errno: number }
  | { readonly kind: "refused"; readonly call: string; readonly errno: number };

/** Runs as the Worker, from its own text: it can use nothing that is outside of it. */
function worker(): void {
  const scope = globalThis as unknown as {
    onmessage: (event: { readonly data: LaunchOrder }) => void;
    postMessage(report: LaunchReport): void;
    close(): void;
  };
  const PR_SET_NO_NEW_PRIVS = 38;
  const SECCOMP_SET_MODE_FILTER = 1n;
  const SECCOMP_FILTER_FLAG_NEW_LISTENER = 8n;
  const SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV = 0x20n;
  const POSIX_SPAWN_SETSIGDEF = 0x04;
  const SIGPIPE = 13;
  const SIGSET_BYTES = 128;
  /** More than posix_spawnattr_t and posix_spawn_file_actions_t have in any C library. */
  const ATTRIBUTES_BYTES = 1024;
  const library = Deno.dlopen("", {
    prctl: { parameters: ["i32", "u64", "u64", "u64", "u64"], result: "i32" },
    syscall: { parameters: ["i64", "i64", "i64", "buffer"], result: "i32" },
    posix_spawnp: {
      parameters: ["buffer", "buffer", "buffer", "buffer", "buffer", "buffer"],
      result: "i32",
    },
    posix_spawn_file_actions_init: { parameters: ["buffer"], result: "i32" },
    posix_spawn_file_actions_addopen: {
      parameters: ["buffer", "i32", "buffer", "i32", "u32"],
      result: "i32",
    },
    posix_spawnattr_init: { parameters: ["buffer"], result: "i32" },
    posix_spawnattr_setflags: { parameters: ["buffer", "i16"], result: "i32" },
    posix_spawnattr_setsigdefault: { parameters: ["buffer", "buffer"], result: "i32" },
    __errno_location: { parameters: [], result: "pointer" },
    environ: { type: "pointer" },
  });
  const c = library.symbols;
  const pinned = (length: number) => new Uint8Array(new ArrayBuffer(length));
  const addressOf = (bytes: Uint8Array<ArrayBuffer>) =>
    BigInt(Deno.UnsafePointer.value(Deno.UnsafePointer.of(bytes)));
  const errno = () => new Deno.UnsafePointerView(c.__errno_location()!).getInt32();
  const cString = (text: string) => {
    const bytes = new TextEncoder().encode(text);
    const terminated = pinned(bytes.length + 1);
    terminated.set(bytes);
    return terminated;
  };

  /** The environment; what a form of ism has changed in it for Deno alone (`_ISM_ENVIRONMENT`) is as it was before. */
  const environmentOfProgram = () => {
    const first = new Deno.UnsafePointerView(c.environ!).getBigUint64();
    const strings: { readonly at: bigint; readonly text: string }[] = [];
    for (let place = first;; place += 8n) {
      const at = new Deno.UnsafePointerView(Deno.UnsafePointer.create(place)!).getBigUint64();
      if (at === 0n) break;
      const text = new Deno.UnsafePointerView(Deno.UnsafePointer.create(at)!).getCString();
      // Deno itself sets that one.
      if (!text.startsWith("DENO_NODE_SHIM_ACTIVE=")) strings.push({ at, text });
    }
    const isChanged = strings.some(({ text }) => text === "_ISM_ENVIRONMENT=1");
    const kept = !isChanged ? strings : strings
      .filter(({ text }) => !/^(DENO_DIR|DENO_NO_UPDATE_CHECK|_ISM_ENVIRONMENT)=/.test(text))
      .map(({ at, text }) => ({ at: /^_ISM_DENO_/.test(text) ? at + BigInt("_ISM_".length) : at, text }));
    const pointers = new BigUint64Array(new ArrayBuffer((kept.length + 1) * 8));
    kept.forEach(({ at }, i) => pointers[i] = at);
    return new Uint8Array(pointers.buffer);
  };

  scope.onmessage = ({ data: { argv, filter, seccomp, withoutInput } }) => {
    const strings = argv.map(cString);
    const vector = new BigUint64Array(new ArrayBuffer((argv.length + 1) * 8));
    strings.forEach((bytes, i) => vector[i] = addressOf(bytes));
    const environment = environmentOfProgram();
    // What the runtime ignores the program would ignore, too.
    const attributes = pinned(ATTRIBUTES_BYTES);
    const defaults = pinned(SIGSET_BYTES);
    defaults[(SIGPIPE - 1) >> 3] = 1 << ((SIGPIPE - 1) & 7);
    c.posix_spawnattr_init(attributes);
    c.posix_spawnattr_setsigdefault(attributes, defaults);
    c.posix_spawnattr_setflags(attributes, POSIX_SPAWN_SETSIGDEF);
    const actions = pinned(ATTRIBUTES_BYTES);
    const nothing = cString("/dev/null");
    c.posix_spawn_file_actions_init(actions);
    if (withoutInput) c.posix_spawn_file_actions_addopen(actions, 0, nothing, 0, 0);
    const program = pinned(filter.length);
    program.set(filter);
    const header = pinned(16);
    const view = new DataView(header.buffer);
    view.setUint16(0, filter.length / 8, true);
    view.setBigUint64(8, addressOf(program), true);
    const pid = pinned(4);

    if (c.prctl(PR_SET_NO_NEW_PRIVS, 1n, 0n, 0n, 0n) !== 0) {
      scope.postMessage({ kind: "refused", call: "prctl(PR_SET_NO_NEW_PRIVS)", errno: errno() });
      return scope.close();
    }
    const flags = SECCOMP_FILTER_FLAG_NEW_LISTENER | SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV;
    const fd = c.syscall(BigInt(seccomp), SECCOMP_SET_MODE_FILTER, flags, header);
    if (fd < 0) {
      scope.postMessage({ kind: "refused", call: "seccomp(SECCOMP_SET_MODE_FILTER)", errno: errno() });
      return scope.close();
    }
    scope.postMessage({ kind: "listener", fd });
    const file = strings[0]!;
    const error = c.posix_spawnp(pid, file, actions, attributes, new Uint8Array(vector.buffer), environment);
    const number = new DataView(pid.buffer).getInt32(0, true);
    scope.postMessage({ kind: "spawned", pid: number, errno: error });
    scope.close();
  };
}

let prepared: Worker | undefined = undefined;

/** Starts the Worker, which takes some time to come up: the earlier, the less of it is waited for. */
export function prepareLaunch(): void {
  prepared ??= newWorker();
}

/**
 * The text of the Worker is that of {@linkcode worker}: a file of its own would have to be found beside a bundle or inside
 * a compiled binary, and allowed to be read.
 */
function newWorker(): Worker {
  return new Worker(`data:text/javascript,${encodeURIComponent(`(${worker})()`)}`, { type: "module" });
}

/** Starts a program. */
export function launch(order: LaunchOrder, listen: (report: LaunchReport) => void): void {
  const starter = prepared ?? newWorker();
  prepared = undefined;
  starter.onmessage = ({ data }: MessageEvent<LaunchReport>) => listen(data);
  starter.postMessage(order);
}
