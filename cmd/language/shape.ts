/** What the parser asks of a command's definition again and again, worked out once. */
import { type AnyCommand, type Flag, optionName, type Parameter } from "./command.ts";
import type { OptionSpecs } from "./options.ts";
import { GLOBAL_OPTIONS, type GlobalName, LINE_OPTIONS, VALUE_OPTIONAL } from "./globals.ts";
import { impliedValues } from "./watching.ts";

/** A parameter and how errors name it. */
export interface NamedParameter {
  readonly key: string;
  readonly what: string;
  readonly spec: Parameter<unknown> | Flag;
}

/** A command as the parser sees it. */
export interface Shape {
  /** Arguments, then options. */
  readonly parameters: readonly NamedParameter[];
  readonly args: readonly (readonly [key: string, spec: Parameter<unknown>])[];
  /** Its own options and those that go with any command: on a command line, and in a script. */
  readonly onLine: OptionSpecs;
  readonly inScript: OptionSpecs;
  /** Values of options that may be left out, by key. */
  readonly implied: Readonly<Record<string, string>>;
}

const SHAPES = new WeakMap<AnyCommand, Shape>();

/** Global options of a script line. */
export const SCRIPT_OPTIONS: OptionSpecs = Object.fromEntries(
  Object.entries(GLOBAL_OPTIONS).filter(([key]) => LINE_OPTIONS.includes(key as GlobalName)),
);

/** How an error names a parameter. */
export function parameterName(key: string, spec: Parameter<unknown> | Flag): string {
  return "kind" in spec && spec.kind.placeholder === key.toUpperCase() ? key : optionName(key);
}

/** The shape of a command. */
export function shapeOf(command: AnyCommand): Shape {
  const known = SHAPES.get(command);
  if (known !== undefined) return known;
  const parameters = Object.entries({ ...command.args, ...command.options })
    .map(([key, spec]) => ({ key, what: parameterName(key, spec), spec }));
  const shape = {
    parameters,
    args: Object.entries(command.args),
    onLine: { ...GLOBAL_OPTIONS, ...command.options },
    inScript: { ...SCRIPT_OPTIONS, ...command.options },
    implied: { ...VALUE_OPTIONAL, ...impliedValues(command.options) },
  };
  SHAPES.set(command, shape);
  return shape;
}
