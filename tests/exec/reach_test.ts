/** Processes whose parent has ended: exec becomes their parent, for Yama may let it reach its descendants alone. */
import { assertEquals } from "@std/assert";
import { Program } from "../support/program.ts";

/** Says who the parent is, and how many children of it have ended and are still there. */
const TELL =
  `export PATH=/usr/bin:/bin; echo "parent $PPID"; grep -l "^PPid:.$PPID$" /proc/[0-9]*/status | xargs grep -c "^State:.Z"`;

Deno.test("an orphan's parent is ism, which keeps no dead ones; exit code of the program", async () => {
  using program = new Program();
  program.write("tell", TELL);
  // The program leaves two behind: one that ends soon, and one that tells when that has ended.
  const script =
    `export PATH=/usr/bin:/bin; echo "parent $PPID"; (sleep 0.1; exit 5) & (sleep 0.6; exec /bin/sh ${
      program.path("tell")
    }) & exit 3`;
  for (const rounds of [1, 2]) {
    const { code, stdout, stderr } = await program.run(["exec", "--", "/bin/sh", "-c", script]);
    assertEquals([code, stderr], [3, ""], `round ${rounds}`);
    const [parent, later, ...dead] = stdout.trimEnd().split("\n");
    assertEquals(later, parent);
    // The orphan that counts is the only child.
    assertEquals(dead, ["0"]);
  }
});

Deno.test("many orphans of several programs: the last one that ends ends exec", async () => {
  using program = new Program();
  await program.run(["host", "create"]);
  const many = (code: number) =>
    `export PATH=/usr/bin:/bin; for i in 1 2 3 4 5 6 7 8; do (sleep 0.$i; echo $i) & done; exit ${code}`;
  const { code, stdout, stderr } = await program.run(
    ["exec", "--", "/bin/sh", "-c", many(0), ":", "-d", "1", "/bin/sh", "-c", many(7)],
  );
  assertEquals([code, stderr], [7, ""]);
  assertEquals(stdout.trimEnd().split("\n").toSorted().join(""), "1122334455667788");
});
