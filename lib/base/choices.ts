/** Choices as tables: what may be chosen and what is chosen by default are said once. */

/** Names, each with the values that it may have; the first is the default. */
export type Choices = Readonly<Record<string, readonly [string | number, ...(string | number)[]]>>;

/** One value for each name of a table. */
export type Chosen<Table extends Choices> = { readonly [Name in keyof Table]: Table[Name][number] };

/** The default of every choice of a table. */
export function defaultsOf<const Table extends Choices>(table: Table): Chosen<Table> {
  const defaults = Object.entries(table).map(([name, [value]]) => [name, value]);
  return Object.fromEntries(defaults) as Chosen<Table>;
}
