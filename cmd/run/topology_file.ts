/** Files that hold JSON documents, topologies among them. */
import { TopologyError } from "../../lib/host/errors.ts";
import { parseTopology, type Topology } from "../../lib/host/topology.ts";
import { MAX_DOCUMENT_BYTES } from "../language/limits.ts";
import { FileError } from "../language/usage_error.ts";
import { quoteText } from "../language/quote.ts";
import { readText } from "./files.ts";

/** Reads a JSON document. @throws {FileError} if it cannot be read or is no JSON */
export function readJson(path: string): unknown {
  try {
    return JSON.parse(readText(path, MAX_DOCUMENT_BYTES));
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
    throw new FileError(path, `${quoteText(path, 200)} is not JSON: ${error.message}`);
  }
}

/** Reads a topology. @throws {FileError} */
export function readTopology(path: string): Topology {
  try {
    return parseTopology(readJson(path));
  } catch (error) {
    if (!(error instanceof TopologyError)) throw error;
    throw new FileError(path, `${quoteText(path, 200)} is no topology: ${error.message}`);
  }
}
