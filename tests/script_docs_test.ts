/** docs/script.md: its grammar makes lines that are split, its script runs, and so do its programs in other languages. */
import { assert, assertEquals } from "@std/assert";
import { splitLines } from "../cmd/language/lines.ts";
import { splitWords } from "../cmd/language/words.ts";
import { Program } from "./support/program.ts";

const DOCUMENT = Deno.readTextFileSync(new URL("../docs/script.md", import.meta.url));

/** The text of the only block of a language. */
function block(language: string): string {
  const found = [...DOCUMENT.matchAll(new RegExp("^```" + language + "\\n([^]*?)^```$", "gm"))];
  assertEquals(found.length, 1, language);
  return found[0]![1]!;
}

/** What the document says of the names that its grammar does not explain. */
const CHARACTERS: Readonly<Record<string, string>> = {
  letter: "abzAZ",
  digit: "0189",
  nonzero: "19",
  hex: "09afAF",
  tab: "\t",
  newline: "\n",
  sign: ":=*/,.;-+@%^&|<>[]()~?!",
  other: "a1 \t#:=*(){}天",
  any: "a1 \"'\\$#\t",
};

/** An expression of the grammar, as a tree. */
type Node =
  | { readonly kind: "text" | "name"; readonly text: string }
  | { readonly kind: "choice" | "sequence"; readonly of: readonly Node[] }
  | { readonly kind: "many" | "maybe"; readonly of: readonly [Node] };

/** Reads EBNF as ISO 14977 has it, as far as the document uses it. */
function readGrammar(text: string): ReadonlyMap<string, Node> {
  const tokens = [...text.matchAll(/"[^"]+"|'[^']+'|[a-z]+|[=;,|{}[\]()]/g)].map(([token]) => token);
  let at = 0;
  const take = (wanted: string) => assertEquals(tokens[at++], wanted, `token ${at}`);
  const alternatives = (): Node => {
    const of = [sequence()];
    while (tokens[at] === "|") {
      at++;
      of.push(sequence());
    }
    return { kind: "choice", of };
  };
  const sequence = (): Node => {
    const of = [item()];
    while (tokens[at] === ",") {
      at++;
      of.push(item());
    }
    return { kind: "sequence", of };
  };
  const item = (): Node => {
    const token = tokens[at++]!;
    const closing = { "{": "}", "[": "]", "(": ")" }[token];
    if (closing === undefined) {
      return /^["']/.test(token) ? { kind: "text", text: token.slice(1, -1) } : { kind: "name", text: token };
    }
    const inner = alternatives();
    take(closing);
    return token === "(" ? inner : { kind: token === "{" ? "many" : "maybe", of: [inner] };
  };
  const rules = new Map<string, Node>();
  while (at < tokens.length) {
    const name = tokens[at++]!;
    take("=");
    rules.set(name, alternatives());
    take(";");
  }
  return rules;
}

/** Makes texts of a grammar by chance, from a seed. */
class Maker {
  readonly #rules: ReadonlyMap<string, Node>;
  #state: number;

  constructor(rules: ReadonlyMap<string, Node>, seed: number) {
    this.#rules = rules;
    this.#state = seed;
  }

  #below(count: number): number {
    this.#state = (Math.imul(this.#state, 1664525) + 1013904223) >>> 0;
    return Math.floor(this.#state / 2 ** 32 * count);
  }

  make(node: Node, depth = 0): string {
    // Deep down the first alternative, and nothing that can be left out.
    const deep = depth > 40;
    switch (node.kind) {
      case "text":
        return node.text;
      case "name": {
        const rule = this.#rules.get(node.text);
        if (rule !== undefined) return this.make(rule, depth + 1);
        const characters = [...CHARACTERS[node.text] ?? ""];
        assert(characters.length > 0, `${node.text} is explained`);
        return characters[this.#below(characters.length)]!;
      }
      case "choice":
        return this.make(node.of[deep ? 0 : this.#below(node.of.length)]!, depth + 1);
      case "sequence":
        return node.of.map((each) => this.make(each, depth + 1)).join("");
      case "maybe":
        return deep || this.#below(2) === 0 ? "" : this.make(node.of[0], depth + 1);
      case "many": {
        let text = "";
        while (!deep && this.#below(3) > 0) text += this.make(node.of[0], depth + 1);
        return text;
      }
    }
  }
}

const RULES = readGrammar(block("ebnf"));

/** What is an error of its value and not of its form. */
const OF_VALUE =
  /division by zero|a shift by|the exponent|does not fit in 64 bits|leading zero|too deep|is too long for a number/;

Deno.test("every line that the grammar of docs/script.md makes is split into words", () => {
  let split = 0;
  let sums = 0;
  for (let seed = 1; seed <= 20_000; seed++) {
    const line = new Maker(RULES, seed).make({ kind: "name", text: "line" }) + "\n";
    try {
      for (const logical of splitLines(line)) {
        const words = splitWords(logical, { file: "made", line: 1 });
        split += words.length;
        for (const { text } of words) if (text.includes("$((")) sums++;
      }
    } catch (error) {
      assert(error instanceof Error && OF_VALUE.test(error.message), `${JSON.stringify(line)}: ${error}`);
    }
  }
  assert(split > 10_000 && sums > 500, `${split} words, ${sums} with arithmetic`);
});

Deno.test("the script of docs/script.md does what it says", async () => {
  using program = new Program();
  program.write("ring.ism", block("ism"));
  const { code, stdout, stderr } = await program.run(["--host", ":memory:", "run", "ring.ism"]);
  assertEquals([code, stderr, stdout], [0, "", "a ring of 4 pages\n"]);
});

/** How a program of each language is started. */
const LANGUAGES: readonly (readonly [language: string, ...command: readonly string[]])[] = [
  ["python", "/usr/bin/python3"],
  ["ts", Deno.execPath(), "run", "--quiet", "--no-config", "--allow-run"],
  ["bash", "/bin/bash"],
];

function isThere(path: string): boolean {
  try {
    return Deno.statSync(path).isFile;
  } catch {
    return false;
  }
}

for (const [language, command, ...args] of LANGUAGES) {
  const missing = !isThere(command!);
  const title = `the ${language} program of docs/script.md drives the shell, in 20 lines`;
  Deno.test({
    name: missing ? `${title} (there is no ${command})` : title,
    ignore: missing,
    fn: async () => {
      using program = new Program();
      const text = block(language);
      assert(text.trimEnd().split("\n").length <= 20, "20 lines");
      const file = program.write(`drive.${language}`, text);
      const { code, stdout, stderr } = await new Deno.Command(command!, {
        args: [...args, file],
        cwd: program.dir,
        env: { PATH: program.install() },
      }).output();
      const decoder = new TextDecoder();
      assertEquals([code, decoder.decode(stderr), decoder.decode(stdout)], [0, "", "16384 EIO\n"]);
    },
  });
}
