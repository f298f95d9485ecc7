/** Lines of a script that are ready to run, of which a long script has more than should be kept understood. */
import type { AnyCommand } from "../../language/command.ts";
import type { Invocation } from "../../language/invocation.ts";
import type { LinePlace } from "../../output/report.ts";
import type { ScriptPlace } from "./script_place.ts";

/** A line that is ready to run. */
export interface ScriptLine {
  /** The command that it begins with. */
  readonly command: AnyCommand;
  /** The command behind all prefixes. */
  readonly innermost: AnyCommand;
  readonly place: LinePlace;
  /** May be understood anew each time: whoever runs it asks once. */
  readonly invocation: Invocation;
}

/** Understands a line again that was understood before. */
export type Again = (place: ScriptPlace) => Invocation;

/** A line whose text is a part of its script's, and that is understood again from there where it is not kept. */
export class PlacedLine implements ScriptLine {
  readonly place: ScriptPlace;
  readonly command: AnyCommand;
  readonly innermost: AnyCommand;
  readonly #how: Invocation | Again;

  /** @param again instead of the invocation, for a line that is not kept */
  constructor(place: ScriptPlace, invocation: Invocation, again: Again | undefined) {
    this.place = place;
    this.command = invocation.command!;
    this.innermost = invocation.innermost.command!;
    this.#how = again ?? invocation;
  }

  get invocation(): Invocation {
    const how = this.#how;
    return typeof how === "function" ? how(this.place) : how;
  }
}
