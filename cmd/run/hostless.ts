/** Commands that need no host, no transaction and no trace: `help`, `version`, `man`, `completions`. */
import type { AnyCommand, Commands, Context, Result } from "../language/command.ts";
import { type Globals, type Invocation, NO_VALUES } from "../language/invocation.ts";
import type { Terminal } from "../language/terminal.ts";
import { propose } from "../output/proposal.ts";

/** What a command comes to, and what people read of it. @throws {UsageError} */
export async function runHostless(
  command: AnyCommand,
  invocation: Invocation,
  globals: Globals,
  { terminal, commands }: Pick<Context, "terminal" | "commands">,
): Promise<{ readonly result: Result; readonly text: string }> {
  const context = new Hostless(terminal, commands, globals);
  const result = await command.run(context, invocation.bind(NO_VALUES));
  const asTyped = (sentence: string) => propose(sentence, globals);
  const text = command.text?.(result, {
    terminal,
    verbose: globals.verbose,
    wide: globals.verbose,
    propose: asTyped,
  }) ?? "";
  return { result, text: text === "" || text.endsWith("\n") ? text : `${text}\n` };
}

function noHost(): never {
  throw new Error("The command declares no access to the host");
}

/** Surroundings in which there is no host. */
class Hostless implements Context {
  readonly terminal: Terminal;
  readonly commands: Commands;
  readonly verbose: boolean;
  readonly json: boolean;
  readonly globals: Globals;
  readonly deviceWord = "0";
  readonly trace = undefined;
  readonly interrupted = undefined;
  readonly dryRun = false;
  readonly stdinIsLines = false;
  readonly isDefaultHost = false;
  readonly shared = false;
  readonly device = noHost;
  readonly load = noHost;
  readonly look = noHost;
  readonly transact = noHost;
  readonly transactLong = noHost;

  constructor(terminal: Terminal, commands: Commands, globals: Globals) {
    this.terminal = terminal;
    this.commands = commands;
    this.verbose = globals.verbose;
    this.json = globals.json;
    this.globals = globals;
  }

  get host(): never {
    return noHost();
  }

  get target(): never {
    return noHost();
  }

  get hostPath(): never {
    return noHost();
  }

  get store(): never {
    return noHost();
  }
}
