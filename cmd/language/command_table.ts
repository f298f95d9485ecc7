/** A table of commands whose modules are loaded when they are needed. */
import type { AnyCommand, CommandFacts, Commands, Group } from "./command.ts";

/** A command was looked up that is there, but not loaded: {@linkcode CommandTable.loading} loads it. */
class NotLoadedError extends Error {
  override readonly name = "NotLoadedError";

  constructor(readonly command: string, readonly family: string) {
    super(`The command "${command}" is not loaded`);
  }
}

/** What is known of a command before it is loaded: its name, its group in help, its family, its summary. */
export type CommandRow<Family extends string = string> = readonly [
  name: string,
  group: Group,
  family: Family,
  summary: string,
];

/** Loads the module of each family of commands. */
export type Families = Readonly<Record<string, () => Promise<object>>>;

/** Commands, none of them loaded at first. */
export class CommandTable implements Commands {
  readonly facts: readonly CommandFacts[];
  readonly #modules: Families;
  readonly #families: ReadonlyMap<string, string>;
  readonly #loaded = new Map<string, AnyCommand>();

  /** @param rows in the order of help */
  constructor(rows: readonly CommandRow[], modules: Families) {
    this.facts = rows.map(([name, group, , summary]) => ({ name, group, summary }));
    this.#modules = modules;
    this.#families = new Map(rows.map(([name, , family]) => [name, family]));
  }

  has(name: string): boolean {
    return this.#families.has(name);
  }

  keys(): Iterable<string> {
    return this.#families.keys();
  }

  get(name: string): AnyCommand | undefined {
    const command = this.#loaded.get(name);
    if (command !== undefined) return command;
    const family = this.#families.get(name);
    if (family !== undefined) throw new NotLoadedError(name, family);
    return undefined;
  }

  async need(words: readonly string[]): Promise<void> {
    const families = new Set<string>();
    for (const [i, word] of words.entries()) {
      for (const name of [word, `${word} ${words[i + 1]}`]) {
        const family = this.#loaded.has(name) ? undefined : this.#families.get(name);
        if (family !== undefined) families.add(family);
      }
    }
    if (families.size > 0) await Promise.all([...families].map((family) => this.#load(family)));
  }

  async loading<Of>(work: () => Of): Promise<Of> {
    for (;;) {
      try {
        return work();
      } catch (error) {
        if (!(error instanceof NotLoadedError)) throw error;
        await this.#load(error.family);
        if (!this.#loaded.has(error.command)) throw error;
      }
    }
  }

  async all(): Promise<ReadonlyMap<string, AnyCommand>> {
    await Promise.all(Object.keys(this.#modules).map((family) => this.#load(family)));
    return new Map(this.facts.map(({ name }) => [name, this.get(name)!]));
  }

  async #load(family: string): Promise<void> {
    for (const each of Object.values(await this.#modules[family]!())) {
      if (isCommand(each)) this.#loaded.set(each.name, each);
    }
  }
}

/** A module may export other things as well. */
function isCommand(value: unknown): value is AnyCommand {
  return typeof value === "object" && value !== null && "run" in value && "summary" in value;
}
