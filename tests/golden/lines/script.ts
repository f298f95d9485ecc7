/** Scripts and what lines are made of, help, and what options make of any command. */
import { GID1, type GoldenTable, NOBODY, REGISTER, TOKEN } from "./table.ts";

export const SCRIPT: GoldenTable = {
  "run": {
    done: ["run {dir}/good.ism"],
    refused: [
      "run {dir}/refused.ism",
      "run {dir}/refused.ism --keep-going",
      "run {dir}/wrong.ism",
      "run {dir}/missing",
    ],
  },
  "shell": {
    shell: true,
    done: ["printf 'gid\\nlet g gid -d 1\\nrgid $g\\n' | ism{json} shell"],
    refused: [
      "printf 'gid\\nrgid 0x1\\nrgidd\\ngid\\n' | ism{json} shell",
      "ism{json} shell </dev/null surplus",
    ],
  },
  "expect": {
    done: [
      "expect EINVAL stb bar0 0xff8 seq:0*9",
      "expect RET:6 rgid 0x1",
      "expect hex:1410ed04 peek config 0 4",
      "expect ok gid",
    ],
    refused: ["expect EINVAL gid", "expect hex:00 peek config 0 4", "expect ESOMETHING gid"],
  },
  "let": {
    done: ["-c 'let g gid -d 1' -c 'rgid $g'"],
    refused: ["let g gid", "-c 'let g unbind'", `-c 'let g gid ${NOBODY}'`, "-c 'rgid $g'"],
  },
  "repeat": { done: ["repeat 2 gid"], refused: ["repeat 2 rgid 0x1", "repeat 0 gid"] },
  "explain": {
    before: [REGISTER],
    done: [
      "explain stb bar0 0xff8 seq:0*9",
      `explain move ${TOKEN} 0 text:hello --signal`,
      "explain rgid 0x1",
    ],
    refused: ["explain peek bar9 0", `explain gid ${NOBODY}`],
  },
};

export const HELP: GoldenTable = {
  // The table of all commands as data is longer than anybody reads; one command has all forms of its rows.
  "help": {
    done: ["help ioctl", "help vfio.write.boundary", "help vfio.mmap"],
    text: ["help", "help dmb", "help all", "help exit-codes"],
    refused: ["help nothing", "help vfio.wright"],
  },
  "completions": {
    done: ["completions bash", "completions zsh", "completions fish"],
    refused: ["completions csh"],
  },
  "man": { done: ["man"], refused: ["man 1"] },
  "version": { done: ["version", "--version"], refused: ["version 1"] },
};

/** Golden files that are no command's. */
export const OPTIONS: GoldenTable = {
  "options": {
    before: [REGISTER, "open"],
    done: [
      `move ${TOKEN} 0 text:hello --signal --trace`,
      "peek bar2 3 16 --dry-run",
      "events -d 1 --trace=insn",
      "peek config 0 8 -q",
      "stb --help",
    ],
    refused: [
      "stb bar0 0xff8 seq:0*9 -v",
      `rgid 0x1 --trace=device`,
      "pek bar0 0",
      "peek bar0",
      "peek bar0 010",
      "peek bar0 0 --widht 4",
      `gid ${NOBODY} --host {dir}/missing`,
      `-c gid -c 'rgid ${GID1}' list`,
    ],
  },
};
