/** Systems that programs can be run on, and what is said of the others. */
import { assertEquals } from "@std/assert";
import { hindranceOf, type Reach, reachOf } from "./system.ts";

const WITHOUT_TRACE = "CapEff:\t000001fffff7ffff\n";
const WITH_TRACE = "CapEff:\t0000000000080000\n";

Deno.test("releases of the kernel", () => {
  const said = (release: string) => hindranceOf({ release, scope: undefined, status: "" });
  for (const release of ["5.19", "5.19.0-50-generic", "5.100", "6.0.1", "6.18.44-fc-v669", "10.1"]) {
    assertEquals([release, said(release)], [release, undefined]);
  }
  for (const release of ["5.18.19", "5.9", "4.20", "2.6.32-573.el6", "", "none"]) {
    assertEquals(
      said(release),
      `exec needs Linux 5.19 or newer, and this is ${release}: an older kernel may repeat a call that a signal ` +
        "interrupted after it was carried out",
    );
  }
});

Deno.test("whose memory Yama lets a process reach: scopes 0 to 3, with CAP_SYS_PTRACE and without", () => {
  const rows: readonly (readonly [scope: string | undefined, withoutIt: Reach, withIt: Reach])[] = [
    [undefined, "all", "all"],
    ["0", "all", "all"],
    ["1", "descendants", "all"],
    ["2", "none", "all"],
    ["3", "none", "none"],
  ];
  const release = "6.1.0-56-amd64";
  for (const [scope, withoutIt, withIt] of rows) {
    for (const [status, kind] of [[WITHOUT_TRACE, withoutIt], [WITH_TRACE, withIt]] as const) {
      assertEquals([scope, reachOf({ scope, status })], [scope, kind]);
      const text = hindranceOf({ release, scope, status });
      assertEquals([scope, text !== undefined], [scope, kind === "none"]);
      assertEquals(text?.includes("nobody until the next boot") ?? false, scope === "3");
    }
  }
});
