/** SIGKILL at any moment, of the program, of a child, of ism: nothing hangs, nothing stays, the host file is clean. */
import { assert, assertEquals } from "@std/assert";
import { splitMix64 } from "../../lib/base/random.ts";
import { CProgram } from "../support/c_program.ts";
import { Program } from "../support/program.ts";

const ROUNDS = Deno.env.get("ISM_SOAK") !== undefined ? 200 : 9;
/** A hang is one after so many milliseconds. */
const PATIENCE = 20_000;
const VICTIMS = ["program", "child", "ism"] as const;

async function first(stream: ReadableStream<Uint8Array>): Promise<string> {
  const reader = stream.getReader();
  const { value } = await reader.read();
  reader.releaseLock();
  return new TextDecoder().decode(value);
}

/** True while there is such a process that is no zombie. */
function isAlive(pid: number): boolean {
  const { stdout } = new Deno.Command("ps", { args: ["-o", "stat=", "-p", String(pid)], stderr: "null" })
    .outputSync();
  return /^[^Z\s]/.test(new TextDecoder().decode(stdout));
}

async function waitUntil(what: string, holds: () => boolean): Promise<void> {
  for (const end = performance.now() + PATIENCE; !holds();) {
    assert(performance.now() < end, `${what} takes too long`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

Deno.test(`killed at ${ROUNDS} moments`, async () => {
  using program = new Program();
  using c = new CProgram("tests/exec/busy.c", ["-O1", "-Wno-unused-result"]);
  await program.run(["host", "create"]);
  let random = 1n;
  for (let round = 0; round < ROUNDS; round++) {
    random = splitMix64(random);
    const victim = VICTIMS[round % VICTIMS.length]!;
    const exec = program.spawn(["exec", "--", c.path]);
    const [parent = 0, child = 0] = (await first(exec.stdout)).split(" ").map(Number);
    assert(parent > 0 && child > 0);
    await new Promise((resolve) => setTimeout(resolve, Number(random % 60n)));
    Deno.kill({ program: parent, child, ism: exec.pid }[victim], "SIGKILL");
    const timer = setTimeout(() => exec.kill("SIGKILL"), PATIENCE);
    const [status] = await Promise.all([
      exec.status,
      exec.stdout.cancel(),
      exec.stderr.cancel(),
      exec.stdin.close(),
    ]);
    clearTimeout(timer);
    const expected = { program: "SIGKILL", child: 7, ism: "SIGKILL" }[victim];
    assertEquals([round, victim, status.signal ?? status.code], [round, victim, expected]);
    await waitUntil(`${victim}: the end of the program`, () => !isAlive(parent) && !isAlive(child));
    assertEquals((await program.run(["host", "check"])).code, 0);
    const { result } = JSON.parse((await program.run(["status", "--json"])).stdout);
    assertEquals([result.descriptors, result.dmbs], [[], []]);
  }
});
