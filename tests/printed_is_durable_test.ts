/** Nothing is printed before it is durable: on a full disk a command that changes something prints its error alone. */
import { assert, assertEquals, assertMatch } from "@std/assert";
import { NO_MOUNTS, OWN_MOUNTS, title, TMPFS, transcript } from "./support/disks.ts";
import { Program } from "./support/program.ts";

const IOVA = "0x100002000";
const FILL = `dma write ${IOVA} fill:1*1M`;

/** Every one changes a mebibyte and prints: in a transaction, in text, JSON, bytes and traces. */
const LINES: readonly string[] = [
  `-c '${FILL}' -c 'dma read ${IOVA} 16'`,
  `-c '${FILL}' -c 'dma read ${IOVA} 16' --raw`,
  `-c '${FILL}' -c 'dma read ${IOVA} 16' --json`,
  `-c '${FILL}' -c 'expect EIO gid' --keep-going`,
  `-c '${FILL}' -c 'repeat 3 gid'`,
  `-c '${FILL}' -c 'stb bar2 8 hex:00' --trace`,
  `--json ${FILL}`,
  `--trace ${FILL}`,
  `repeat 2 ${FILL}`,
  `--json repeat 2 ${FILL}`,
  `--raw repeat 2 expect ok ${FILL}`,
  `-c '${FILL}' -c 'send file -o -'`,
  `run script`,
  `run script --commit-each --json`,
];

Deno.test(title("on a full disk nothing is printed but the error", NO_MOUNTS), async () => {
  using program = new Program();
  await program.script([`dma map --size 1M --iova ${IOVA}`]);
  program.write("file", new Uint8Array(10_000));
  program.write("script", `${FILL}\ndma read ${IOVA} 16\nrepeat 3 gid\n`);
  const before = program.state();
  // Room for the file and the index of its log, not for the log.
  const size = `${Math.ceil(program.read("host.db").length / 4096) * 4 + 40}k`;
  const all = [
    ...LINES.map((line) => `--host disk/host.db ${line}`),
    "version; cp disk/host.db kept.db; true",
  ];
  const outcomes = await transcript(program, OWN_MOUNTS, `${TMPFS(size)}; cp host.db disk/`, all);
  for (const [i, line] of LINES.entries()) {
    const { code, out, err } = outcomes[i]!;
    assertEquals(code, 4, `${line}: ${err}`);
    // A document that tells of the failure is no claim.
    const claims = out.split("\n").filter((each) => each !== "" && !each.includes('"ok":false'));
    assertEquals(claims, [], line);
    assertMatch(err, /^ism: [^\n]*disk is full[^\n]*\n$|^script:1:1: [^\n]*disk is full[^]*$/, line);
  }
  assertEquals(program.state(program.path("kept.db")), before);
});

Deno.test(title("results that find no room to be held back undo their transaction", NO_MOUNTS), async () => {
  using program = new Program();
  await program.script([`dma map --size 4M --iova ${IOVA}`]);
  const [full, fits] = await transcript(program, OWN_MOUNTS, `${TMPFS("6m")}; export TMPDIR=disk`, [
    `repeat 2 dma read ${IOVA} 4M --raw`,
    `-c 'vlan add 7' -c 'dma read ${IOVA} 4M --raw'`,
  ]);
  // A look changes nothing, and streams.
  assertEquals([full!.code, full!.err, full!.out.length], [0, "", 8 * 2 ** 20]);
  assertEquals([fits!.code, fits!.err], [0, ""]);
  const [none] = await transcript(program, OWN_MOUNTS, `rmdir disk; ${TMPFS("6m")}; export TMPDIR=disk`, [
    `-c 'vlan add 8' -c 'repeat 3 dma read ${IOVA} 4M --raw'`,
  ]);
  assertEquals([none!.code, none!.out], [4, ""]);
  assertMatch(none!.err, /^-c:2:1: Results are held back in a temporary file [^\n]*set TMPDIR [^\n]*\n/);
  const { ids } = await program.result("vlan", "list");
  assert(!ids.includes(8) && ids.includes(7), JSON.stringify(ids));
});

Deno.test(title("what arrives and finds no room leaves no part of a file", NO_MOUNTS), async () => {
  using program = new Program();
  await program.result("host", "create");
  program.write("big", new Uint8Array(3 * 2 ** 20));
  const [alone, , left, ok] = await transcript(program, OWN_MOUNTS, TMPFS("1m"), [
    "send big -o disk/copy",
    "recv -d 1 -o disk/copy --timeout 30 2>received & ism send big --wait 30 2>sent; echo $? >sent.code; wait $!",
    "version; ls -A disk >listed; true",
    "host check",
  ]);
  assertEquals([alone!.code, alone!.out], [4, ""], alone!.err);
  assertMatch(alone!.err, /^ism: send: "disk\/copy" cannot be used: [^\n]*(full|space)[^\n]*\n$/);
  const text = (name: string) => new TextDecoder().decode(program.read(name));
  assertMatch(text("sent"), /^ism: send: ism recv has gone without a result\n$/);
  assertMatch(text("received"), /^ism: recv: "disk\/copy" cannot be used: the disk is full\n$/);
  assertEquals([text("sent.code"), text("listed"), left!.code, ok!.code], ["1\n", "", 0, 0]);
  for (const device of ["0", "1"]) assertEquals((await program.result("dmb", "list", "-d", device)).dmbs, []);
});
