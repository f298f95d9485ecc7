/** Foreign functions are for `exec` alone, starting programs for `man`: every other command gives the permission back. Looks into the source's process. */
import { assertEquals } from "@std/assert";
import { Program } from "./support/program.ts";

const FILE = new URL("support/ffi_state.ts", import.meta.url).pathname;

Deno.test("what runs no program gives the permissions for FFI and programs back before it does anything", async () => {
  using program = new Program();
  program.write("exec.ism", "expect exit=0 exec -- /bin/true\n");
  const rows: readonly (readonly [args: readonly string[], ffi: string])[] = [
    [["--version"], "prompt"],
    [["list"], "prompt"],
    [["expect", "ok", "list"], "prompt"],
    [["run", "-"], "prompt"],
    [["-c", "gid"], "prompt"],
    [["host", "show"], "prompt"],
    [["run", program.path("exec.ism")], "granted"],
    [["-c", "exec -- /bin/true"], "granted"],
    [["repeat", "2", "exec", "--", "/bin/true"], "granted"],
    // Any line of it may be an exec.
    [["shell"], "granted"],
  ];
  for (const [args, ffi] of rows) {
    const { code, stdout } = await program.spawnFile(FILE, args).output();
    const text = new TextDecoder().decode(stdout);
    assertEquals([args, code, text.split("\n").at(-2)], [args, 0, `ffi: ${ffi}, run: prompt`]);
  }
});

Deno.test("man keeps the permission to start a pager, and no other", async () => {
  using program = new Program();
  const { code, stdout } = await program.spawnFile(FILE, ["man"]).output();
  assertEquals([code, new TextDecoder().decode(stdout).split("\n").at(-2)], [0, "ffi: prompt, run: granted"]);
});
