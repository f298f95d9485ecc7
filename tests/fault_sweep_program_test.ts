/**
 * The fault sweep through the command layer of the program: what a user sees when the n-th instruction of a session
 * fails. A refusal is exit code 1 with the errno of vfio.cc.errno, never 5; the session can be closed and used again.
 */
import { assert, assertEquals } from "@std/assert";
import { InProcess, type LineOutcome } from "./support/in_process.ts";

/** Register, move, signal, walk, unregister; `$t` is the token of the DMB, `$g` and `$h` are the two GIDs. */
const SCRIPT = [
  "gid",
  "gid -d 1",
  "events",
  "dmb register --size 16k --rgid $g -d 1",
  "move $t 100 fill:0x07*9000 --signal",
  "signal $h --code 0x80 --info 1",
  "irq -d 1",
  "dmb unregister $t -d 1",
];
/** How each kind of fault fails a line; none for those that nobody notices. */
const KINDS: Readonly<Record<string, readonly string[]>> = {
  "busy:3": [],
  "cc1:40": ["EIO", "ENODEV"],
  "cc3": ["EIO", "ENODEV"],
  "exception:operand": ["EIO", "ENODEV", "ENXIO"],
  "event:0x3a": ["EIO", "ENODEV"],
  "event:0x2b": [],
  "flip:0": ["EIO", "ENODEV", "ENXIO", "EINVAL", "RET", "DRIVER"],
  "flip:20": ["EIO", "ENODEV", "ENXIO", "EINVAL", "RET", "DRIVER"],
  "flip:47": ["EIO", "ENODEV", "ENXIO", "EINVAL", "RET", "DRIVER"],
};
/** Runs the script up to its first failure. */
async function live(program: InProcess): Promise<LineOutcome> {
  const values = new Map<string, string>();
  let last: LineOutcome | undefined;
  for (const line of SCRIPT) {
    last = await program.run(line.replace(/\$[a-z]/, (name) => values.get(name)!));
    if (last.code !== 0) return last;
    const { result } = last.document;
    if (line === "gid") values.set("$g", result.gid);
    else if (line === "gid -d 1") values.set("$h", result.gid);
    else if (line.startsWith("dmb register")) values.set("$t", result.token);
  }
  return last!;
}

/** Instructions that the script takes, as the fault plan counts them. */
async function countInstructions(): Promise<number> {
  using program = new InProcess();
  await program.run("fault add cc3 --any --at 1000000");
  assertEquals((await live(program)).code, 0);
  return (await program.run("fault list")).document.result.faults[0].seen;
}

for (const [kind, codes] of Object.entries(KINDS)) {
  Deno.test(`ism with ${kind} at any instruction of a session refuses with exit code 1, and goes on`, async () => {
    const instructions = await countInstructions();
    assert(instructions > 200);
    let refused = 0;
    let operated = 0;
    for (let at = 1; at <= instructions; at++) {
      const where = `${kind} at instruction ${at}`;
      using program = new InProcess();
      await program.run(`fault add ${kind} --any --at ${at}`);
      const { code, document, stderr } = await live(program);
      assert(code === 0 || code === 1, `${where}: exit code ${code}, ${stderr}`);
      if (code === 1) {
        refused++;
        assert(codes.includes(document.error!.code), `${where}: ${stderr}`);
        assert(stderr.startsWith("ism: ") && stderr.endsWith("\n"), stderr);
      }
      for (const line of ["fault clear", "close", "close -d 1"]) {
        const outcome = await program.run(line);
        assertEquals(outcome.code, 0, `${where}, then ${line}: ${outcome.stderr}`);
      }
      for (const device of ["", " -d 1"]) {
        const { state, dmbs, mappings, descriptors } = (await program.run(`status${device}`)).document.result;
        assertEquals([dmbs, mappings, descriptors], [[], [], []], where);
        // Until the next open's reset: a reset whose translation is refused leaves the function disabled, and an event
        // in an open that fails because of it leaves it in the error state.
        const left = codes.length === 0 ? [] : ["disabled", ...(kind.startsWith("event") ? ["error"] : [])];
        assert(["enabled", ...left].includes(state), `${where}: ${state}`);
      }
      if ((await live(program)).code === 0) continue;
      // A registration that the machine did not take back keeps the next one out: for an operator.
      operated++;
      for (const line of ["close", "close -d 1", "zpci recover", "zpci recover -d 1"]) {
        await program.run(line);
      }
      assertEquals((await live(program)).code, 0, `${where}: a second life`);
    }
    assert(operated <= 6, `${operated} times an operator was needed`);
    assertEquals(refused > 0, codes.length > 0);
  });
}
