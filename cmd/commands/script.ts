/** What makes lines a script. `run` is performed by run/verdict, the prefixes by run/lines/prefixes.ts; here is what they look like. */
import { NAMES } from "../language/assign.ts";
import { argument, defineCommand, flag, optional, rest } from "../language/command.ts";
import { EXPECTATION } from "../run/lines/expectation.ts";
import { bigNumber, FILE, number, OUTPUT, text } from "../language/kinds.ts";
import { MAX_JOBS, MAX_REPEATS } from "../language/limits.ts";
import type { Explanation } from "../run/lines/explanation.ts";
import { renderText } from "../reference/render.ts";

function notDirectly(): never {
  throw new Error("This command is performed by the session");
}

export const run = defineCommand({
  name: "run",
  group: "script",
  summary: "Run a script: one command a line, all lines understood before the first one runs",
  details:
    `A script is one transaction unless --commit-each is given. It stops at the first failure unless --keep-going is
given, and ends with the first failure's exit code. Several scripts run one after the other, each as if it ran alone, whatever
the others come to; of a directory all that end in .ism, by name. With --jobs each has a host in memory of its own, with
the topology of the host that --host names.

--tap and --junit tell of each line: "expect" that held or did not, other lines that were done or not, named by the comment
behind or above them, with file, line, time, and the rule of a refusal. How many held, how many did not, and where, is told
on standard error then, and for several scripts; -q keeps it quiet.`,
  args: { file: rest(FILE, "the scripts, or directories of them; - for standard input") },
  options: {
    tap: flag("print verdicts as TAP version 14, in place of results"),
    junit: optional(OUTPUT, "write verdicts as JUnit XML"),
    jobs: optional(
      number("N", { min: 1, max: MAX_JOBS }),
      "run N scripts at a time, each on a host of its own",
      "j",
    ),
    filter: optional(text("TEXT"), "only scripts with TEXT in their path, or that /TEXT/ describes"),
    shuffle: flag("run the scripts in an order by chance"),
    seed: optional(bigNumber("N"), "the order of --shuffle: the same for the same seed"),
  },
  access: "none",
  examples: [
    "run examples/tour.ism",
    "run - --json",
    "run examples/tour.ism --tap",
    "run examples --jobs 2 --keep-going",
  ],
  run: notDirectly,
});

export const shell = defineCommand({
  name: "shell",
  group: "script",
  summary: "Take lines one after the other, as run does, with history and TAB on a terminal",
  details:
    `Each line is a transaction of its own: other processes can use the host between two lines, and the shell
sees what they did. Names that let sets live as long as the shell; options before or behind "shell" go for every line.

On a terminal: TAB completes commands, options, regions, registers, devices, names and files; the arrow keys bring
earlier lines back; an empty line after peek shows the next block; Ctrl-C drops the line or ends a wait;
Ctrl-D, exit or quit ends with exit code 0. Lines are kept in the file "history" beside the default host file, but for
those that begin with a space, and not with --host :memory:.

Where standard input is no terminal there is no prompt and no history. Each line runs when it has arrived; a failure
does not end the shell, and the exit code is that of the first failure.`,
  args: {},
  options: {},
  access: "none",
  examples: ["shell", "shell -d 1"],
  run: notDirectly,
});

export const source = defineCommand({
  name: "source",
  group: "script",
  summary:
    "Run the lines of another script here: they are understood with those around them, before line 1 runs",
  details:
    `Names that either script sets are known in the other one from there on. FILE is found from where ism runs, as all
files on a line are. Outside of scripts it is "run FILE". In the shell each of its lines is a transaction of its own, up to the first failure.`,
  args: { file: argument(FILE, "the other script") },
  options: {},
  access: "none",
  examples: ["source examples/tour.ism"],
  run: notDirectly,
});

export const echo = defineCommand({
  name: "echo",
  group: "script",
  summary: "Print words with a space between them",
  args: { text: rest(text("TEXT"), "the words; none print an empty line", { optional: true }) },
  options: {},
  access: "none",
  verbatim: true,
  examples: ["echo ring of $((64k/4k)) pages"],
  run: (_, { text }) => ({ text: text.join(" ") }),
  text: ({ text }) => `${text}\n`,
  value: ({ text }) => text,
});

export const expect = {
  ...defineCommand({
    name: "expect",
    group: "script",
    summary: "Check a command's outcome: an errno, fail, ok, exit=CODE, =VALUE, or DATA",
    details:
      `EINVAL and its like: the command is refused with that errno; EINVAL:RULE also names the rule that "explain" and
--json show, or its name in the reference, where several have the same errno. RET: the adapter answers a return code;
RET:6 this one. MACHINE: the machine refuses an instruction outside of the kernel; "MACHINE:status 24", "MACHINE:function handle",
"MACHINE:response 0x0102" or "MACHINE:operand exception" in this way. DRIVER: the driver process itself; HANG: the
kernel would not return. exit=3, exit=SIGKILL: how the program of exec ends; ok is exit code 0. hex:… and the other
forms of DATA: the bytes that the command yields. Exit code 3 if it does not hold.`,
    args: { what: argument(EXPECTATION, "the expected outcome") },
    options: {},
    access: "none",
    examples: [
      "expect EINVAL stb bar0 0xff8 seq:0*9",
      "expect 'EINVAL:4 KiB boundary' stb bar0 0xff8 seq:0*9",
      "expect hex:1410ed04 peek config 0 4",
      "expect 'MACHINE:status 24' zpci mpcifc reset-error",
      "expect RET:6 rgid 0x1",
      "expect exit=0 exec -- /bin/true",
    ],
    run: notDirectly,
  }),
  prefix: true,
};

const letCommand = {
  ...defineCommand({
    name: "let",
    group: "script",
    summary: "Keep a command's value under a name, for $NAME in later lines",
    details:
      `"let NAME COMMAND…" keeps the value that matters most of the result: a token, a GID, the bytes. "let NAME=FIELD
COMMAND…" keeps a field of the result as --json shows it, a field within a field as regions.0.offset; with commas,
"let a=FIELD,b=FIELD COMMAND…", several of them. "let NAME = WORD" keeps a word, which may be $((…)).`,
    args: { name: argument(NAMES, "the name, or NAME=FIELD, several with commas") },
    options: {},
    access: "none",
    examples: ["let g gid -d 1", "let owned=dmbs_owned,gid=my_gid query -d 1", "let size = $((4k*4))"],
    run: notDirectly,
  }),
  prefix: true,
};
export { letCommand as let_ };

export const explain = {
  ...defineCommand({
    name: "explain",
    group: "help",
    summary: "Tell which layer would answer a command, by which rule, and what would be issued; do nothing",
    args: {},
    options: {},
    access: "none",
    examples: ["explain stb bar0 0xff8 seq:0*9", "explain peek bar2 3 16"],
    run: (): Explanation => notDirectly(),
    text({ outcome, error, refused_by, reference, hint, lines }, { terminal }) {
      const { style } = terminal;
      let text = outcome === "done"
        ? style.green("would be done")
        : style.red(`would be refused with ${error!["code"]}`);
      if (error !== null) text += `: ${error["message"]}`;
      text += "\n";
      if (error?.["rule"] !== undefined) text += `  rule: ${error["rule"]}\n`;
      if (refused_by !== null) text += `  refused by: ${refused_by}\n`;
      if (hint !== null) text += `  hint: ${hint}\n`;
      text += lines.length === 0 ? "  issued: nothing\n" : `  issued:\n${lines.join("\n")}\n`;
      return reference === null ? text : `${text}\n${renderText(reference, terminal)}`;
    },
  }),
  prefix: true,
};

export const repeat = {
  ...defineCommand({
    name: "repeat",
    group: "script",
    summary: "Run a command several times",
    details:
      `Behind it $i is the number of the run, from 0, and $n how many there are: "repeat 4 stb bar2 $((8+8*i)) fill:0*8".`,
    args: { count: argument(number("N", { min: 1, max: MAX_REPEATS }), "how often") },
    options: {},
    access: "none",
    examples: ["repeat 3 stb bar2 8 fill:0*8", "repeat 4 echo run $i of $n"],
    run: notDirectly,
  }),
  prefix: true,
};
