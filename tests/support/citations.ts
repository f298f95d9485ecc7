/** Where names of rules are cited: comments, refusals, tests, scripts, documents. */

const ROOT = new URL("../../", import.meta.url);
const PLACES = ["lib/", "cmd/", "tests/", "examples/", "bench/", "docs/", "types/"];
const FILES = ["main.ts", "README.md", "CONTRIBUTING.md", "CHANGELOG.md"];
/** A list of all names cites none of them. */
const LISTS = ["lib/base/rule_names.ts"];

/**
 * Three words with dots between them, the first of which is one of the reference's, or `*` as the last for all rules
 * of a topic; not a call, and not a file.
 */
const NAME =
  /(?<![\w./$-])(?:zpci|ism|vfio|recovery)\.[a-z][a-z0-9]*\.(?:[a-z][a-z0-9]*|\*(?!\/))(?![\w(]|\.[\w])/g;

/** A name in a line of a file. */
export interface Citation {
  readonly file: string;
  readonly line: number;
  readonly name: string;
}

/** Paths of the project's texts. */
export function* textFiles(directories: readonly string[] = PLACES): Generator<string> {
  if (directories === PLACES) yield* FILES;
  for (const directory of directories) {
    for (const { name, isDirectory } of Deno.readDirSync(new URL(directory, ROOT))) {
      const path = `${directory}${name}`;
      if (isDirectory) yield* textFiles([`${path}/`]);
      else if (/\.(ts|md|ism|snap|sh|json)$/.test(path)) yield path;
    }
  }
}

/** The text of a file of the project. */
export function readFile(path: string): string {
  return Deno.readTextFileSync(new URL(path, ROOT));
}

/** Every citation of the project. */
export function citations(): Citation[] {
  return [...textFiles()].filter((file) => !LISTS.includes(file)).flatMap((file) =>
    readFile(file).split("\n").flatMap((text, i) =>
      [...text.matchAll(NAME)].map(([name]) => ({ file, line: i + 1, name }))
    )
  );
}
