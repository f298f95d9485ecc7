/**
 * The tables of both processors against the kernel's headers, which every machine has of both: arm64 takes its numbers and its
 * struct stat from asm-generic.
 */
import { assert, assertEquals } from "@std/assert";
import { ARCHITECTURES } from "../../lib/exec/calls.ts";
import { encodeStat } from "../../lib/exec/stat.ts";

/** What stands behind the words of a text when the preprocessor has seen it. */
function preprocess(text: string): string {
  const path = Deno.makeTempFileSync({ prefix: "ism-headers-", suffix: ".c" });
  try {
    Deno.writeTextFileSync(path, text);
    const { code, stdout, stderr } = new Deno.Command("gcc", { args: ["-E", "-P", path] }).outputSync();
    assertEquals([code, new TextDecoder().decode(stderr)], [0, ""]);
    return new TextDecoder().decode(stdout);
  } finally {
    Deno.removeSync(path);
  }
}

/** Numbers of calls by name; undefined for those that the headers do not have. */
function numbersOf(headers: string, names: readonly string[]): Map<string, number | undefined> {
  const text = preprocess(`${headers}\n${names.map((name) => `row ${name}: __NR_${name};`).join("\n")}`);
  return new Map(
    [...text.matchAll(/^row (\w+)\s*: (\w+);$/gm)].map(([, name, number]) => [
      name!,
      /^\d+$/.test(number!) ? Number(number) : undefined,
    ]),
  );
}

/** Headers of the numbers of each processor. What arm64 defines before them is in its own asm/unistd.h. */
const HEADERS: Partial<Record<keyof typeof ARCHITECTURES, string>> = {
  ...(Deno.build.arch === "x86_64" ? { x86_64: "#include <asm/unistd.h>" } : {}),
  aarch64: "#define __ARCH_WANT_NEW_STAT\n#include <asm-generic/unistd.h>",
};

/** Calls that a processor does not have although the other has. */
const OLD = "access creat dup2 eventfd getdents lstat open readlink stat".split(" ");

Deno.test("numbers of calls are those of the kernel's headers, and none is missing", () => {
  const names = ARCHITECTURES.x86_64.calls.map(({ name }) => name);
  for (const [architecture, headers] of Object.entries(HEADERS)) {
    const { calls, seccomp, pidfdOpen, pidfdGetfd } =
      ARCHITECTURES[architecture as keyof typeof ARCHITECTURES];
    const own = ["seccomp", "pidfd_open", "pidfd_getfd"];
    const real = numbersOf(headers!, [...names, ...own]);
    assertEquals(own.map((name) => real.get(name)), [seccomp, pidfdOpen, pidfdGetfd], architecture);
    for (const { name, number } of calls) assertEquals(number, real.get(name), `${architecture} ${name}`);
    const absent = names.filter((name) => real.get(name) === undefined);
    assertEquals(absent.toSorted(), architecture === "x86_64" ? [] : OLD);
    assertEquals(calls.length, names.length - absent.length);
  }
});

Deno.test("struct stat of arm64, and of this machine, is that of the headers", () => {
  const source = (header: string) => `
#include <stddef.h>
#include <stdio.h>
#include <${header}>
#define FIELD(name) printf(#name " %zu %zu\\n", offsetof(struct stat, name), sizeof(((struct stat *)0)->name))
int main(void)
{
	FIELD(st_ino); FIELD(st_mode); FIELD(st_nlink); FIELD(st_rdev); FIELD(st_size); FIELD(st_blksize);
	printf("all 0 %zu\\n", sizeof(struct stat));
	return 0;
}`;
  const status = { mode: 0o020666, inode: 7654321, size: 4660, major: 511, minor: 300 };
  const values: Readonly<Record<string, bigint>> = {
    st_ino: 7654321n,
    st_mode: 0o020666n,
    st_nlink: 1n,
    st_size: 4660n,
    st_blksize: 4096n,
  };
  const own = ARCHITECTURES[Deno.build.arch].stat;
  for (const [header, layout] of [["asm-generic/stat.h", "generic"], ["asm/stat.h", own]] as const) {
    const bytes = encodeStat(layout, status);
    let fields = 0;
    for (const [, name, at, size] of run(source(header)).matchAll(/^(\w+) (\d+) (\d+)$/gm)) {
      if (name === "all") assertEquals(bytes.length, Number(size), header);
      else if (name !== "st_rdev") {
        fields++;
        assertEquals(word(bytes, Number(at), Number(size)), values[name!], `${header} ${name}`);
      } else {
        fields++;
        // glibc's gnu_dev_major and gnu_dev_minor of what is there.
        const device = word(bytes, Number(at), Number(size));
        assertEquals(
          [device >> 8n & 0xfffn, device & 0xffn | device >> 12n & 0xfff00n],
          [511n, 300n],
          header,
        );
      }
    }
    assertEquals(fields, 6);
  }
});

Deno.test("open(2) flags of this machine are those of the headers", () => {
  const { directoryFlag, noFollowFlag, largeFileFlag } = ARCHITECTURES[Deno.build.arch];
  const text = preprocess("#include <asm/fcntl.h>\nrow O_DIRECTORY O_NOFOLLOW O_LARGEFILE");
  const [, ...flags] = /^row (\d+) (\d+) (\d+)$/m.exec(text) ?? [];
  assertEquals(flags.map((flag) => parseInt(flag, 8)), [directoryFlag, noFollowFlag, largeFileFlag]);
});

/** A little-endian number of `size` bytes. */
function word(bytes: Uint8Array, at: number, size: number): bigint {
  assert(size <= 8 && at + size <= bytes.length);
  return bytes.subarray(at, at + size).reduceRight((sum, byte) => sum << 8n | BigInt(byte), 0n);
}

/** What a C program prints. */
function run(source: string): string {
  const dir = Deno.makeTempDirSync({ prefix: "ism-headers-" });
  try {
    Deno.writeTextFileSync(`${dir}/print.c`, source);
    const built = new Deno.Command("gcc", { args: ["-o", `${dir}/print`, `${dir}/print.c`] }).outputSync();
    assertEquals([built.code, new TextDecoder().decode(built.stderr)], [0, ""]);
    return new TextDecoder().decode(new Deno.Command(`${dir}/print`).outputSync().stdout);
  } finally {
    Deno.removeSync(dir, { recursive: true });
  }
}
