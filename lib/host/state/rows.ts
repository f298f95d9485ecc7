/**
 * How the state of a host is cut into rows, and put together again. Parts of a host save themselves as documents, one
 * a key (schema.ts); a host file has a row for each thing in them that changes by itself, so that a command writes what
 * it changed. docs/host-file.md has the table of rows.
 */
import type { Json } from "../../base/json.ts";
import type { PutRow } from "../../base/journal.ts";

/** A field of a document that has rows of its own. */
type Cut =
  /** An object, in a row unless it is null. */
  | { readonly kind: "part"; readonly of: Shape }
  /** Elements that are read with the host; numbered by a field of theirs, or by their position. */
  | { readonly kind: "list"; readonly by: string | undefined; readonly of: Shape }
  /** Elements that are read when somebody looks at them; where they were is their number. */
  | { readonly kind: "members"; readonly by: string };
type Shape = Readonly<Record<string, Cut>>;

const part = (of: Shape = {}): Cut => ({ kind: "part", of });
const list = (by?: string, of: Shape = {}): Cut => ({ kind: "list", by, of });
const members = (by: string): Cut => ({ kind: "members", by });

const DOMAIN = { domain: part({ mappings: members("iova") }) };

/** The documents that are cut, by what their keys look like. */
const SHAPES: readonly (readonly [key: RegExp, shape: Shape])[] = [
  [/^guest\/\d+\/storage$/, { buffers: members("address") }],
  [/^guest\/\d+\/kernel$/, {
    zdevs: list(),
    bindings: list(),
    groups: list(),
    defaultDomains: list(),
    devices: list("fid"),
    eventfds: list("id"),
    files: list("fd"),
    containers: list("id", DOMAIN),
    iommufds: list("id", { ioases: list("id", DOMAIN) }),
  }],
  [/^adapter\/\d+$/, { dmbs: members("sbaIndex") }],
  [/^driver\/\d+$/, { dmbs: members("vaddr"), memory: members("vaddr") }],
];

const NO_SHAPE: Shape = {};

function shapeOf(key: string): Shape {
  return SHAPES.find(([pattern]) => pattern.test(key))?.[1] ?? NO_SHAPE;
}

type Fields = Readonly<Record<string, Json>>;

/** Array.isArray, which forgets that lists may be read-only. */
function isList(value: Json): value is readonly Json[] {
  return Array.isArray(value);
}

/** Cuts documents into rows. What should be a list and is none stays where it is. */
export function splitRows(documents: Iterable<readonly [key: string, document: Json]>, put: PutRow): void {
  for (const [key, document] of documents) split(key, document, shapeOf(key), put);
}

function split(key: string, document: Json, shape: Shape, put: PutRow): void {
  const cuts = Object.entries(shape);
  if (cuts.length === 0) return put(key, document);
  if (document === null || typeof document !== "object" || isList(document)) return put(key, document);
  const head: Record<string, Json> = { ...document as Fields };
  for (const [field, cut] of cuts) {
    const value = head[field]!;
    const place = `${key}/${field}`;
    if (cut.kind === "part") {
      if (value === null) continue;
      delete head[field];
      split(place, value, cut.of, put);
    } else if (cut.kind === "members") {
      if (!isList(value)) continue;
      head[field] = value.length;
      for (const element of value) put(place, element, Number((element as Fields)[cut.by]));
    } else {
      if (!isList(value)) continue;
      delete head[field];
      value.forEach((element, position) => {
        const id = cut.by === undefined ? position : Number((element as Fields)[cut.by]);
        split(`${place}/${id}`, element, cut.of, put);
      });
    }
  }
  put(key, head);
}

/**
 * Puts documents together. Lists of members are read when somebody looks at them.
 *
 * @param rows every row that is no member of a list
 * @param membersOf reads the members of a list, by rising number
 * @param fail makes the error of a row that is missing or surplus, also when somebody looks at a list
 */
export function joinRows(
  rows: ReadonlyMap<string, Json>,
  membersOf: (list: string) => readonly Json[],
  fail: (reason: string) => Error,
): Map<string, Json> {
  const ids = new Map<string, number[]>();
  const documents = new Map<string, Json>();
  for (const key of rows.keys()) {
    const [list, id] = [key.slice(0, key.lastIndexOf("/")), Number(key.slice(key.lastIndexOf("/") + 1))];
    if (key.includes("/") && Number.isInteger(id)) {
      const known = ids.get(list);
      if (known === undefined) ids.set(list, [id]);
      else known.push(id);
    }
  }
  const join = (key: string, shape: Shape): Json => {
    const row = rows.get(key);
    if (row === undefined) throw fail(`the row ${key} is missing`);
    const cuts = Object.entries(shape);
    if (cuts.length === 0 || row === null || typeof row !== "object") return row;
    const document: Record<string, Json> = { ...row as Fields };
    for (const [field, cut] of cuts) {
      const place = `${key}/${field}`;
      if (cut.kind === "part") document[field] ??= document[field] === null ? null : join(place, cut.of);
      else if (cut.kind === "list") {
        if (field in document) continue;
        const sorted = ids.get(place)?.sort((a, b) => a - b) ?? [];
        document[field] = sorted.map((id) => join(`${place}/${id}`, cut.of));
      } else readLater(document, field, place, membersOf, fail);
    }
    return document;
  };
  for (const key of rows.keys()) if (isDocument(key)) documents.set(key, join(key, shapeOf(key)));
  return documents;
}

/** Makes a count of members the list of them, read when somebody looks at it. */
function readLater(
  document: Record<string, Json>,
  field: string,
  place: string,
  membersOf: (list: string) => readonly Json[],
  fail: (reason: string) => Error,
): void {
  const count = document[field];
  if (typeof count !== "number") return;
  let read: readonly Json[] | undefined;
  Object.defineProperty(document, field, {
    enumerable: true,
    configurable: true,
    get: () => {
      if (read !== undefined) return read;
      read = membersOf(place);
      if (read.length !== count) {
        throw fail(`rows of ${place} are missing or surplus: ${read.length} are there, ${count} were stored`);
      }
      return read;
    },
  });
}

/** A row of this key is a whole document or its head. */
function isDocument(key: string): boolean {
  return !/^guest\/\d+\/kernel\//.test(key);
}
