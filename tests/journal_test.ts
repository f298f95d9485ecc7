/**
 * The journal of a transaction tells of every change, and takes every change back: what each commit stored is compared
 * with all of the host, and each host after a rollback with what it was (lib/host/file/comparison.ts). The scripts are
 * those of tests/scripts, one line a transaction, and before and after as one transaction that is rolled back. Some of
 * them here; `deno task soak` runs all.
 */
import { assertEquals } from "@std/assert";
import { main } from "../cmd/main.ts";
import { ProcessTerminal } from "../cmd/output/terminal.ts";
import { compareTransactions } from "../lib/host/file/comparison.ts";
import { exportHost } from "../lib/host/file/export.ts";
import { HostStore } from "../lib/host/file/store.ts";
import { parseTopology } from "../lib/host/topology.ts";
import { FULL_TOPOLOGY, furnish } from "./support/full_host.ts";

const SOAK = (Deno.env.get("ISM_SOAK") ?? "") !== "";
const SOME =
  /both_sides|ism_commands|recovery_reset\.|recovery_mark\.|vfio_(binding|cdev|iommufd|interrupts|type1|attach|group|sysfs|config)|iommufd_container|device_lock|machine_events|zpci_mpcifc/;
/** Lines that wait for somebody who is not there. */
const WAITS = /\bwait\b|recv|sleep|poll|timeout/;

/** Keeps what is said of failures. */
class Quiet extends ProcessTerminal {
  said = "";

  override outBytes(): void {}

  override err(text: string): void {
    this.said += text;
  }

  override progress(): void {}
}

const folder = new URL("scripts/", import.meta.url);
const scripts = [...Deno.readDirSync(folder)].map(({ name }) => name).filter((name) =>
  name.endsWith(".ism") && (SOAK || SOME.test(name))
).toSorted();

/** Runs `work` in a folder of its own while every transaction is compared. */
async function compared(work: (dir: string) => Promise<void> | void): Promise<void> {
  const dir = Deno.makeTempDirSync({ prefix: "ism-journal-" });
  compareTransactions(true);
  try {
    await work(dir);
  } finally {
    compareTransactions(false);
    Deno.removeSync(dir, { recursive: true });
  }
}

/** Runs the program in this process; only a bug ends with exit code 5. */
async function run(...args: string[]): Promise<void> {
  const terminal = new Quiet();
  const code = await main(args, terminal);
  assertEquals(code === 5 ? terminal.said : "", "", args.join(" "));
}

for (const name of scripts) {
  Deno.test(`what ${name} changes is stored line by line, and undone as a whole`, () =>
    compared(async (dir) => {
      const text = Deno.readTextFileSync(new URL(name, folder));
      const [host, script] = [`${dir}/host.db`, `${dir}/script.ism`];
      Deno.writeTextFileSync(script, text.split("\n").filter((line) => !WAITS.test(line)).join("\n"));
      const topology = /^# topology: (.*)$/m.exec(text)?.[1];
      if (topology !== undefined) Deno.writeTextFileSync(`${dir}/topology.json`, topology);
      const from = topology === undefined ? [] : ["--from", `${dir}/topology.json`];
      await run("--host", host, "host", "create", ...from);
      await run("--host", host, "-n", "run", script, "--keep-going");
      await run("--host", host, "run", script, "--commit-each", "--keep-going");
      await run("--host", host, "-n", "run", script, "--keep-going");
      await run("--host", host, "host", "check");
    }));
}

Deno.test("a transaction that fills every corner is undone, then stored, and loaded as it was", () =>
  compared((dir) => {
    using store = HostStore.create(`${dir}/full.db`, parseTopology(FULL_TOPOLOGY));
    const everything = () => {
      const text = JSON.stringify(exportHost(store.begin("read"), store.pagePlaces()));
      store.rollback();
      return text;
    };
    const before = everything();
    furnish(store.begin("write"));
    store.rollback();
    assertEquals(everything(), before);
    const host = store.begin("write");
    furnish(host);
    store.commit(host);
    using again = HostStore.open(`${dir}/full.db`);
    const loaded = JSON.stringify(exportHost(again.begin("read"), again.pagePlaces()));
    assertEquals(JSON.parse(loaded), JSON.parse(everything()));
    assertEquals(again.damages(), []);
    again.rollback();
  }));
