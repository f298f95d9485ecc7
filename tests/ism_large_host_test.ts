/**
 * The largest host that there can be, through the program: 64 functions in 9 guests on 3 channels. Who reaches whom
 * follows from the channel alone (ism.gid.channel).
 */
import { assertEquals } from "@std/assert";
import { documentsOf, Program } from "./support/program.ts";

const FUNCTIONS = 64;
const GUESTS = 9;
const CHANNELS = ["0x7e1", "0x7e2", "0x7e3"];

interface Place {
  readonly guest: number;
  readonly chid: string;
  readonly gid: string;
}

/** Where function `i` of the topology is; channels and guests do not divide each other. */
const place = (i: number): Place => ({
  guest: i % GUESTS,
  chid: CHANNELS[i % CHANNELS.length === 0 ? 0 : (i * 7) % CHANNELS.length]!,
  gid: `0xa${String(i).padStart(3, "0")}`,
});

/** The topology, and the places in the order of the host's list: guest by guest. */
function largest() {
  const all = Array.from({ length: FUNCTIONS }, (_, i) => ({ i, ...place(i) }));
  const guests = Array.from({ length: GUESTS }, (_, guest) => ({
    name: `guest${guest}`,
    functions: all.filter((each) => each.guest === guest)
      .map(({ i, chid, gid }) => ({ fid: 0x100 + i, uid: 1 + i, vfn: 1 + i, chid, gid })),
  }));
  const places = guests.flatMap(({ functions }) => functions);
  return { guests, places };
}

Deno.test("ism holds 64 functions in 9 guests on 3 channels, and channels keep them apart", async () => {
  using program = new Program();
  const { guests, places } = largest();
  program.write("large.json", JSON.stringify({ guests }));
  await program.result("host", "create", "--from", "large.json");
  const { functions } = await program.result("list");
  assertEquals(
    functions.map(({ index, gid, chid }: { index: number; gid: string; chid: string }) => [index, gid, chid]),
    places.map(({ gid, chid }, index) => [index, gid, chid]),
  );
  assertEquals(new Set(places.map(({ chid }) => chid)).size, 3);

  // Everybody asks for everybody whose number is a few further on, on whatever channel that is.
  const asked = places.flatMap((_, from) =>
    [0, 1, 3, 10, 31].map((step) => [from, (from + step) % FUNCTIONS] as const)
  );
  const queries = asked.map(([from, to]) => `rgid ${places[to]!.gid} -d ${from}`);
  const answers = documentsOf(await program.script(queries, "--json", "--keep-going"));
  for (const [n, [from, to]] of asked.entries()) {
    const { ok, error } = answers[n]!;
    assertEquals(
      [ok, error?.["ret"]],
      places[from]!.chid === places[to]!.chid ? [true, undefined] : [false, 6],
    );
  }
  assertEquals((await program.run(["host", "check"])).code, 0);
});

Deno.test("ism moves data inside each channel of a large host, and none between them", async () => {
  using program = new Program();
  const { guests, places } = largest();
  program.write("large.json", JSON.stringify({ guests }));
  await program.result("host", "create", "--from", "large.json");
  const peers = places.map(({ chid }, from) =>
    places.findIndex((other, to) => to > from && other.chid === chid)
  );
  const strangers = places.map(({ chid }) => places.findIndex((other) => other.chid !== chid));
  const pairs = [...peers.entries()].filter(([, to]) => to >= 0);
  const run = async (lines: readonly string[]) =>
    documentsOf(await program.script(lines, "--json", "--keep-going"));
  const registered = await run(
    pairs.map(([from, to]) => `dmb register --size 4k --rgid ${places[from]!.gid} -d ${to}`),
  );
  const tokens = registered.map(({ result }) => result.token);
  // Tokens are unique on a channel; on another one the same token is another DMB, or none.
  const moves = pairs.flatMap(([from], n) => [
    `move ${tokens[n]} 0 text:${text(from)} --signal -d ${from}`,
    `move ${tokens[n]} 100 text:intruder -d ${strangers[from]}`,
  ]);
  const moved = await run(moves);
  assertEquals(moved.filter(({ ok }, n) => n % 2 === 0 && !ok), []);
  const reads = await run(pairs.map(([, to], n) => `dmb read ${tokens[n]} 0 120 -d ${to}`));
  const walks = await run(pairs.map(([, to]) => `irq -d ${to}`));
  for (const [n, [from, to]] of pairs.entries()) {
    const data = Uint8Array.fromHex(reads[n]!.result.data);
    assertEquals(new TextDecoder().decode(data.slice(0, 8)), text(from));
    const others = pairs.filter(([each], i) => strangers[each] === from && tokens[i] === tokens[n]);
    const intruded = new TextDecoder().decode(data.slice(100, 108)) === "intruder";
    assertEquals(
      intruded,
      others.length > 0,
      "only a store by the authorised writer, on this channel, arrives",
    );
    const { interrupts, dmbs } = walks[n]!.result;
    assertEquals([interrupts, dmbs.map(({ token }: { token: string }) => token)], [1, [tokens[n]]], `${to}`);
  }
});

Deno.test("a host has at most 64 functions", async () => {
  using program = new Program();
  const { guests } = largest();
  guests[0]!.functions.push({ ...guests[0]!.functions[0]!, fid: 0x999, uid: 0x999, gid: "0xaaaa" });
  program.write("large.json", JSON.stringify({ guests }));
  const { code, stderr } = await program.run(["host", "create", "--from", "large.json"]);
  assertEquals([code, stderr.includes("at most 64 functions, not 65")], [4, true]);
});

/** What function `from` writes: 8 characters. */
function text(from: number): string {
  return `from-${String(from).padStart(3, "0")}`;
}
