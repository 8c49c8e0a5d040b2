// Lines of a stream of NDJSON, one at a time, however its bytes are cut; bounded in line and whole.

import type { Readable } from "node:stream";
import { Problem } from "./problem.js";

export interface Line {
  /** From 1. */
  number: number;
  /** The row, or undefined when the line is no JSON object. */
  row: Readonly<Record<string, unknown>> | undefined;
}

/** Longest line: an item with its regions, and some. */
const LINE_SIZE_MAX = 65_536;
const NEWLINE = 10;

/** Yields the rows of `stream`, empty lines left out. Throws a Problem (413) over `sizeMax`. */
export async function* readLines(stream: Readable, sizeMax: number): AsyncGenerator<Line> {
  let size = 0;
  let number = 0;
  let rest: Buffer = Buffer.alloc(0);
  for await (const chunk of stream as AsyncIterable<Buffer>) {
    size += chunk.length;
    if (size > sizeMax) throw tooLarge("the body is over control.importSizeMax");
    const bytes = rest.length === 0 ? chunk : Buffer.concat([rest, chunk]);
    let start = 0;
    for (let end = bytes.indexOf(NEWLINE); end >= 0; end = bytes.indexOf(NEWLINE, start)) {
      number += 1;
      if (end > start) yield { number, row: parse(bytes.subarray(start, end)) };
      start = end + 1;
    }
    rest = bytes.subarray(start);
    if (rest.length > LINE_SIZE_MAX) throw tooLarge("a line is over 65,536 bytes");
  }
  if (rest.length > 0) yield { number: number + 1, row: parse(rest) };
}

function parse(bytes: Buffer): Line["row"] {
  try {
    const value: unknown = JSON.parse(bytes.toString("utf8"));
    const isObject = typeof value === "object" && value !== null && !Array.isArray(value);
    return isObject ? (value as Record<string, unknown>) : undefined;
  } catch {
    return undefined;
  }
}

/** What was read before stays done: the message says so. */
function tooLarge(what: string): Problem {
  return new Problem(413, "BODY_TOO_LARGE", `${what}; rows before it may be in already`);
}
