/** lspci as an independent judge of our configuration space: what `config dump` writes, it must read as we mean it. */
import { assertEquals, assertMatch } from "@std/assert";
import { Program } from "./support/program.ts";

/** lspci is there on a machine with Debian's pciutils; CI installs it. */
const LSPCI = ["/usr/bin/lspci", "/usr/sbin/lspci", "/sbin/lspci"].find((path) => {
  try {
    return Deno.statSync(path).isFile;
  } catch {
    return false;
  }
});

Deno.test({
  name: "lspci -F reads ism config dump --format lspci, with the right ids and capabilities",
  ignore: LSPCI === undefined,
  async fn() {
    using program = new Program();
    const { code, stdout, stderr } = await program.run(["config", "dump", "--format", "lspci"]);
    assertEquals([code, stderr], [0, ""]);
    const path = program.write("dump", stdout);
    const lspci = await new Deno.Command(LSPCI!, { args: ["-F", path, "-vv", "-n", "-D"] }).output();
    assertEquals(lspci.code, 0);
    const text = new TextDecoder().decode(lspci.stdout);
    assertMatch(text, /^0001:00:00\.0 0000: 1014:04ed$/m);
    assertMatch(text, /Control: I\/O- Mem\+ BusMaster- .*DisINTx-/);
    assertMatch(text, /Region 0: Memory at .*\(64-bit, non-prefetchable\)/);
    assertMatch(text, /Region 2: Memory at .*\(64-bit, non-prefetchable\)/);
    assertMatch(text, /Capabilities: \[40\] MSI: Enable- Count=1\/1 Maskable- 64bit\+/);
    assertEquals(text.match(/Capabilities:/g)?.length, 1);
  },
});
