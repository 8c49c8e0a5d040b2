// Lines of a stream of NDJSON, as many at a time as come in a chunk, however its bytes are cut;
// bounded in line and whole. One at a time would cost each its own turn of promises.

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

/**
 * Yields the lines of `stream`, empty ones left out. Throws a Problem (413) over `sizeMax`. What is
 * left of the stream is let pass unread: in its connection the next request waits behind it.
 */
export async function* readLines(stream: Readable, sizeMax: number): AsyncGenerator<Line[]> {
  try {
    yield* linesOf(stream.iterator({ destroyOnReturn: false }), sizeMax);
  } finally {
    stream.resume();
  }
}

async function* linesOf(stream: AsyncIterable<Buffer>, sizeMax: number): AsyncGenerator<Line[]> {
  let size = 0;
  let number = 0;
  // The pieces of a line that has not ended are put together once, when it has.
  let rest: Buffer[] = [];
  let restSize = 0;
  for await (const chunk of stream) {
    size += chunk.length;
    if (size > sizeMax) throw tooLarge("the body is over control.importSizeMax");
    const lines: Line[] = [];
    let start = 0;
    for (let end = chunk.indexOf(NEWLINE); end >= 0; end = chunk.indexOf(NEWLINE, start)) {
      number += 1;
      const piece = chunk.subarray(start, end);
      const line = rest.length === 0 ? piece : Buffer.concat([...rest, piece]);
      if (line.length > 0) lines.push({ number, row: parse(line) });
      rest = [];
      restSize = 0;
      start = end + 1;
    }
    if (lines.length > 0) yield lines;
    if (start < chunk.length) rest.push(chunk.subarray(start));
    restSize += chunk.length - start;
    if (restSize > LINE_SIZE_MAX) throw tooLarge("a line is over 65,536 bytes");
  }
  if (restSize > 0) yield [{ number: number + 1, row: parse(Buffer.concat(rest)) }];
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
