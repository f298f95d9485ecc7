/**
 * How much a full host slows a command down: `peek bar2 0` from a cold start, on a host with 1,888 DMBs of 16 KiB and on
 * an empty one, in pairs. `deno task bench` prints the median of the ratios; the aim is at most 1.3.
 */
import { permissionFlags } from "../build/permissions.ts";
import { HostStore } from "../lib/host/file/store.ts";
import { defaultTopology } from "../lib/host/topology.ts";

const PAIRS = 21;
const DMBS = 1888;

/** Milliseconds that the program takes for one peek. */
async function peek(host: string): Promise<number> {
  const started = performance.now();
  const { success } = await new Deno.Command(Deno.execPath(), {
    args: [
      ...["run", "--quiet", ...permissionFlags()],
      ...[new URL("../main.ts", import.meta.url).pathname, "--host", host, "peek", "bar2", "0"],
    ],
    stdout: "null",
  }).output();
  if (!success) throw new Error("peek failed");
  return performance.now() - started;
}

function median(numbers: readonly number[]): number {
  return [...numbers].sort((a, b) => a - b)[numbers.length >> 1]!;
}

const directory = Deno.makeTempDirSync({ prefix: "ism-bench-" });
try {
  const [empty, full] = [`${directory}/empty.db`, `${directory}/full.db`];
  for (const path of [empty, full]) {
    using store = HostStore.create(path, defaultTopology());
    const host = store.begin("write");
    const [owner, writer] = host.functions;
    owner!.driver.start();
    for (let i = 0; path === full && i < DMBS; i++) {
      owner!.driver.registerDmb({ size: 16 * 1024, rgid: writer!.adapter.gid });
    }
    store.commit(host);
  }
  const pairs: [number, number][] = [];
  for (let i = 0; i < PAIRS; i++) pairs.push([await peek(empty), await peek(full)]);
  const ratio = median(pairs.map(([a, b]) => b / a));
  const [a, b] = [median(pairs.map(([time]) => time)), median(pairs.map(([, time]) => time))];
  console.log(
    `cold start of peek: ${a.toFixed(0)} ms on an empty host, ${b.toFixed(0)} ms with ${DMBS} DMBs`,
  );
  console.log(`median of ${PAIRS} paired ratios: ${ratio.toFixed(2)} (at most 1.3)`);
} finally {
  Deno.removeSync(directory, { recursive: true });
}
