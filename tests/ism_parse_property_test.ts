/** No line, however wild, makes the parser throw anything but a usage error. */
import { assert, assertEquals } from "@std/assert";
import fc from "fast-check";
import { type AnyCommand, isFlag, optionName, type Parameter } from "../cmd/language/command.ts";
import { GLOBAL_OPTIONS } from "../cmd/language/globals.ts";
import { literalWord } from "../cmd/language/options.ts";
import { bindGlobals, type Invocation } from "../cmd/language/invocation.ts";
import { parseLine } from "../cmd/language/parse.ts";
import { parseScript } from "../cmd/run/lines/compile.ts";
import { COMMANDS as TABLE } from "../cmd/table.ts";
import { FileError, UsageError } from "../cmd/language/usage_error.ts";

const COMMANDS = await TABLE.all();

const SEED = 20_260_101;
const ALL: readonly AnyCommand[] = [...COMMANDS.values()];
const NAMES = ALL.flatMap(({ name }) => name.split(" "));

/** Every option in the forms in which it may stand. */
const OPTIONS = [GLOBAL_OPTIONS, ...ALL.map(({ options }) => options)].flatMap((specs) =>
  Object.entries(specs).flatMap(([key, spec]) => {
    const long = `--${optionName(key)}`;
    return [long, `${long}=1`, ...(spec.short === undefined ? [] : [`-${spec.short}`, `-${spec.short}1`])];
  })
);
/** Words that some argument takes, and words that none does. */
const VALUES = [
  ..."0 1 8 4k 0x10 0778 1_ 0x -1 1e3 18446744073709551616 bar0 bar2 config bar9 6 4294967296".split(" "),
  ..."hex:00ff hex:0 text: text:a fill:0xa5*8 seq:0*256 rand:1*2 file:x@1+2 file: - -- = EINVAL EFOO fail ok =1"
    .split(" "),
  ..."$x ${x} $ x=1 COMMAND COMMAND=6 =6 on off all auto syscall,insn insn,x :memory: fid:1 uid: 0001:00:00.0"
    .split(" "),
  ..."__proto__ constructor toString hasOwnProperty -__proto__ --__proto__=1 --constructor".split(" "),
  ..."-nqv -nqvd -vd1 -n=1 -d= -d=1 -cgid -c= -1 -- --=1 ---x --json=false --no-json".split(" "),
  "",
  " ",
  "#",
  "'",
  "\\",
  "\0",
  "\n",
  "\ud800",
];
const word = fc.oneof(
  { weight: 4, arbitrary: fc.constantFrom(...NAMES) },
  { weight: 3, arbitrary: fc.constantFrom(...OPTIONS) },
  { weight: 4, arbitrary: fc.constantFrom(...VALUES) },
  { weight: 1, arbitrary: fc.string({ unit: "binary", maxLength: 12 }) },
);
/** Words that begin with a command and go on with likely words. */
const line = fc.oneof(
  fc.array(word, { maxLength: 8 }),
  fc.tuple(fc.constantFrom(...ALL), fc.array(word, { maxLength: 6 })).map(([{ name }, more]) => [
    ...name.split(" "),
    ...more,
  ]),
);

/** True if it worked, false after a usage error; anything else goes through. */
function understands(work: () => unknown): boolean {
  try {
    work();
    return true;
  } catch (error) {
    // `source` names a file, and there is none of a random name.
    assert(error instanceof UsageError || error instanceof FileError, `${error}`);
    assert(error.message !== "" && !/\bundefined\b|\[object|NaN/.test(error.message), error.message);
    return false;
  }
}

/** Values of all parameters of a line, its variables as given. */
function bind(invocation: Invocation, value: string): void {
  bindGlobals(invocation, () => value);
  if (invocation.command !== undefined && !invocation.globals.has("help")) {
    invocation.bind(() => value);
  }
  if (invocation.inner !== undefined) bind(invocation.inner, value);
}

Deno.test("ism understands any words of a command line, or says what is wrong with them", () => {
  let understood = 0;
  fc.assert(
    fc.property(line, fc.boolean(), word, (words, inScript, value) => {
      const literal = words.map((text, i) => literalWord(text, i + 1));
      let invocation: Invocation | undefined;
      if (!understands(() => invocation = parseLine(literal, COMMANDS, { inScript }))) return;
      understood++;
      understands(() => bind(invocation!, value));
    }),
    { numRuns: 20_000, seed: SEED },
  );
  assert(understood > 500, `${understood} lines were understood`);
});

Deno.test("ism understands any script, or says where it is wrong", () => {
  const text = fc.array(
    fc.oneof(line.map((words) => words.join(" ")), fc.string({ unit: "binary", maxLength: 40 })),
    { maxLength: 5 },
  ).map((lines) => lines.join("\n"));
  fc.assert(
    fc.property(text, word, (script, value) => {
      understands(() => {
        for (const { invocation, place } of parseScript(script, "fuzz.ism", COMMANDS)) {
          const { place: at } = place.locate(value);
          assert(at.line >= 1 && at.column >= 1);
          understands(() => bind(invocation, value));
        }
      });
    }),
    { numRuns: 5_000, seed: SEED },
  );
});

Deno.test("ism understands the usage of each command, filled in with its own choices", () => {
  const fill = ({ kind, value }: Parameter<unknown>): string => {
    const choices = Array.isArray(kind.choices) ? kind.choices as string[] : [];
    const candidates = [...choices, "1", "4096", "hex:00", "a=1", "x"];
    return candidates.find((text) => understands(() => kind.parse(text, "value"))) ?? String(value);
  };
  for (const { name, args, options, prefix } of ALL) {
    const words = [
      ...name.split(" "),
      ...Object.values(args).map(fill),
      ...Object.entries(options).flatMap(([key, option]) =>
        isFlag(option) ? [`--${optionName(key)}`] : [`--${optionName(key)}`, fill(option)]
      ),
      ...(prefix === true ? ["gid"] : []),
    ];
    const { command } = parseLine(words.map((text, i) => literalWord(text, i + 1)), COMMANDS, {
      inScript: false,
    });
    assertEquals(command?.name, name, words.join(" "));
  }
});
