#!/usr/bin/env node
/**
 * Starts ism on the Deno that npm has installed beside it. Where Node can, this process becomes Deno; elsewhere it stays
 * between them, and hands on signals, stops and the exit code.
 */
import { spawn } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { constants } from "node:os";
import { dirname, join } from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";

const FLAGS = [/* written here by build/npm.ts */];

const program = join(dirname(fileURLToPath(import.meta.url)), "..", "lib", "ism.js");
const deno = findDeno();
const args = ["run", ...FLAGS, program, ...process.argv.slice(2)];
// What is changed for Deno alone: programs that ism starts get back what was there.
const { DENO_DIR, DENO_NO_UPDATE_CHECK } = process.env;
const env = {
  ...process.env,
  DENO_NO_UPDATE_CHECK: "1",
  _ISM_ENVIRONMENT: "1",
  ...(DENO_DIR === undefined ? {} : { _ISM_DENO_DIR: DENO_DIR }),
  ...(DENO_NO_UPDATE_CHECK === undefined ? {} : { _ISM_DENO_NO_UPDATE_CHECK: DENO_NO_UPDATE_CHECK }),
};

if (typeof process.execve === "function" && process.platform !== "win32") {
  // Node says that this is experimental; that is no news for the users of ism.
  process.emitWarning = () => {};
  process.execve(deno, [deno, ...args], env);
}
stayBetween(spawn(deno, args, { env, stdio: "inherit" }));

/** The binary that the package `deno` holds, or finds when its install script was not allowed to run. */
function findDeno() {
  const require = createRequire(import.meta.url);
  try {
    const folder = dirname(require.resolve("deno/package.json"));
    const binary = join(folder, process.platform === "win32" ? "deno.exe" : "deno");
    return existsSync(binary) ? binary : require(join(folder, "install_api.cjs")).runInstall();
  } catch (error) {
    process.stderr.write(
      `ism: Deno is not beside it; install the package again (${error?.message ?? error})\n`,
    );
    process.exit(4);
  }
}

/** Behaves towards whoever started this process as the child does. */
function stayBetween(child) {
  // The terminal tells the whole group of an interrupt, and twice would be once too often.
  const told = [process.stdin, process.stdout, process.stderr].some((stream) => stream.isTTY);
  const signals = ["SIGINT", "SIGQUIT", "SIGTERM", "SIGHUP", "SIGUSR1", "SIGUSR2", "SIGWINCH"];
  const listen = (signal, handler) => {
    try {
      process.on(signal, handler);
    } catch {
      // A signal that this system does not have.
    }
  };
  for (const signal of signals) {
    const byTerminal = signal === "SIGINT" || signal === "SIGQUIT" || signal === "SIGWINCH";
    listen(signal, () => {
      if (!(told && byTerminal)) child.kill(signal);
    });
  }
  listen("SIGCHLD", () => {
    if (!isStopped(child.pid)) return;
    process.kill(process.pid, "SIGSTOP");
    // Goes on here when somebody has brought this process back.
    child.kill("SIGCONT");
  });
  child.on("error", ({ message }) => {
    process.stderr.write(`ism: Deno does not start (${message})\n`);
    process.exit(4);
  });
  child.on("exit", (code, signal) => {
    if (signal === null) process.exit(code);
    process.removeAllListeners(signal);
    process.kill(process.pid, signal);
    // A signal that does not end Node, or not at once.
    setTimeout(() => process.exit(128 + (constants.signals[signal] ?? 0)), 100);
  });
}

/** True if a process was stopped, as by Ctrl-Z; never where there is no /proc. */
function isStopped(pid) {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
    return stat.slice(stat.lastIndexOf(")") + 2, stat.lastIndexOf(")") + 3) === "T";
  } catch {
    return false;
  }
}
