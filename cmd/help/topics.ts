/** Topics of help: what goes for many commands. */
import type { TopicName } from "../language/topics.ts";
import { definitions, paragraph } from "../output/wrap.ts";

type Row = readonly [term: string, meaning: string];

/** A topic: paragraphs, terms with what they mean, examples. */
interface Topic {
  readonly title: string;
  readonly text: readonly string[];
  readonly terms?: readonly Row[];
  readonly examples?: readonly string[];
}

/** How words are written that many commands take. */
export const WORD_FORMS: readonly Row[] = [
  ["Numbers", "4096, 0x1000, 0b101, 4k, 4KiB, 4M, 4G, 256T (powers of 1024), 1_000_000"],
  ["Times", "seconds: 10, 0.5; or 500us, 500ms, 2s, 3m, 1h"],
  ["DATA", "hex:00ff, text:hello, fill:0xa5*4096, seq:0*256, rand:1*4096, file:PATH[@OFFSET[+LENGTH]], -"],
  ["REGION", "bar0 to bar5, config, or an index"],
];

/** Exit codes of the contract. */
export const EXIT_CODES: readonly Row[] = [
  ["0", "done as asked"],
  ["1", "the simulated kernel, machine or device refused"],
  ["2", "usage: unknown command or option, bad number, bad data"],
  ["3", "an expect did not hold"],
  ["4", "a file could not be used: script, input, output, host file"],
  ["5", "a bug in ism"],
  ["130", "interrupted"],
];

/** Variables of the environment that are read. */
export const ENVIRONMENT: readonly Row[] = [
  ["ISM_HOST", "the host file where --host names none"],
  ["ISM_DEVICE", "the function that acts where --device names none"],
  [
    "XDG_STATE_HOME",
    "where the default host file and the history are, in the directory ism; ~/.local/state if unset",
  ],
  ["NO_COLOR", "no colours, unless --color says otherwise"],
  ["COLUMNS", "how wide tables and help may be, on a terminal and in a pipe"],
  ["LC_ALL, LC_CTYPE, LANG", "pictures are drawn in Unicode where the locale is UTF-8, in ASCII elsewhere"],
  ["MANPAGER, PAGER", "what ism man shows the manual page with"],
];

/** Files that are used where none is named. */
export const FILES: readonly Row[] = [
  ["~/.local/state/ism/host.db", "the default host file, created at first use"],
  ["~/.local/state/ism/history", "lines that were typed in the shell"],
];

const TOPICS: Readonly<Partial<Record<TopicName, Topic>>> = {
  numbers: {
    title: "Numbers",
    text: [
      `${
        WORD_FORMS[0]![1]
      }. A leading zero is refused, because in some languages it would make the number octal; a
sign is, too. Offsets and tokens may have all 64 bits.`,
    ],
  },
  times: { title: "Times", text: [`${WORD_FORMS[1]![1]}. At most a day.`] },
  data: {
    title: "DATA",
    text: ["Bytes, wherever a command takes some. The form is the word in front of the colon:"],
    terms: [
      ["hex:00ff", "bytes in hexadecimal; hex: alone is no byte at all"],
      ["text:hello", "the text in UTF-8, without a newline"],
      ["fill:0xa5*4096", "one byte, so many times"],
      ["seq:0*256", "rising bytes from a first one on, so many; behind 255 comes 0"],
      ["rand:1*4096", "bytes of a generator, by its seed: the same ones each time"],
      ["file:PATH[@OFFSET[+LENGTH]]", "a file, or a part of it"],
      ["-", "standard input"],
    ],
    examples: ["stb bar2 8 seq:0*16", "write bar2 8 text:hello"],
  },
  region: { title: "REGION", text: [`${WORD_FORMS[3]![1]}. "ism info" says which there are.`] },
  "exit-codes": {
    title: "Exit codes",
    text: ["The errno is in the message and in JSON, never in the exit code."],
    terms: [
      ...EXIT_CODES,
      ["143", "asked to end (SIGTERM)"],
      ["exec", "the program's own; 127 if there is none, 126 if it cannot be run"],
    ],
  },
  environment: {
    title: "Environment",
    text: ["Variables that are read, where they are set and not empty:"],
    terms: ENVIRONMENT,
  },
  host: {
    title: "The host",
    text: [
      `A host is a file: topology, state and memory of a simulated machine. --host FILE names it, else ISM_HOST, else it
is ~/.local/state/ism/host.db, which the first command creates: two guests with one ISM function each, on one channel. A
file that is named has to be there: "ism --host FILE host create" makes one; --host :memory: is a host that lives as long as
the process.`,
      `A command is one transaction: what it printed is kept, whatever happens then, and a command that is killed has
changed nothing. Several processes may use one file; a command waits up to 5 seconds for another.`,
    ],
  },
  script: {
    title: "Scripts",
    text: [
      `A script has a command a line, without ism in front; # begins a comment, quotes are as in a shell, a backslash at
the end continues the line. All of it is understood before its first line runs, and it is one transaction unless
--commit-each is given. It stops at the first failure unless --keep-going is given.`,
    ],
    terms: [
      ["let NAME COMMAND…", "keeps a command's value as $NAME"],
      ["expect WHAT COMMAND…", "holds the command to what it should come to: ok, an errno, =VALUE, bytes"],
      ["repeat N COMMAND…", "runs it several times"],
      ["explain COMMAND…", "tells what would happen, and does nothing"],
    ],
    examples: ["run examples/tour.ism", "help expect"],
  },
  json: {
    title: "JSON",
    text: [
      `--json prints one document a command on standard output, also when it fails: {"schema":1,"command":…,"ok":true,
"result":{…}} or "ok":false with "error":{"code":…,"message":…}. In scripts each has "file" and "line", with --trace an array
"trace".`,
      `Positions, addresses, tokens, GIDs and register values are "0x…" texts; counts, lengths and flags are numbers; bytes
are hexadecimal under "data". Fields that you do not know are to be ignored. --format=json of a command that lists is
another thing: the rows of its table. "ism help --json" is the table of commands itself.`,
    ],
    examples: ["list --json", "list --format=json"],
  },
};

/** The text of a topic; undefined if there is none of that name. */
export function topicText(
  name: string,
  { columns, style }: { readonly columns: number; readonly style: { bold(text: string): string } },
): string | undefined {
  const topic = TOPICS[name.toLowerCase() as TopicName];
  if (topic === undefined) return undefined;
  const { title, text, terms, examples } = topic;
  return `${style.bold(title)}\n${text.map((part) => paragraph(part, columns)).join("\n")}` +
    (terms === undefined ? "" : `\n${definitions(terms, columns)}`) +
    (examples === undefined
      ? ""
      : `\n${style.bold("Examples")}\n${examples.map((line) => `  ism ${line}\n`).join("")}`);
}
