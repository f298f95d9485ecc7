/** Forms of a trace in a file, by the ending of its name; each is loaded when it is wanted. */
import type { TraceRecord } from "./record.ts";

/** Forms that a trace can have. */
export const TRACE_FORMATS = ["json", "jsonl", "svg", "html", "txt"] as const;
export type TraceFormat = (typeof TRACE_FORMATS)[number];

/** Makes a file of a trace, piece by piece. */
export type Renderer = (records: readonly TraceRecord[]) => Iterable<string>;

/** The form that the ending of a name stands for: Chrome Trace Event JSON where it stands for none. */
export function formatOf(path: string): TraceFormat {
  return knownFormatOf(path) ?? "json";
}

/** The form that the ending of a name stands for; undefined for none. */
export function knownFormatOf(path: string): TraceFormat | undefined {
  const ending = /\.([a-z]+)$/i.exec(path)?.[1]?.toLowerCase();
  return TRACE_FORMATS.find((format) => format === ending);
}

/** What makes a file of a form. */
export async function rendererOf(format: TraceFormat): Promise<Renderer> {
  switch (format) {
    case "json":
      return (await import("./chrome.ts")).renderChrome;
    case "jsonl":
      return (await import("./lines.ts")).renderLines;
    case "svg":
      return (await import("./svg.ts")).renderSvg;
    case "html":
      return (await import("./html/page.ts")).renderPage;
    case "txt":
      return (await import("./lines.ts")).renderText;
  }
}
