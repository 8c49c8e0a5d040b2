// The rows of a block, whatever the file's format: fields in the order of the sort's columns,
// with the line they begin on.

import { type Block, BrokenFileError } from "./blocks.js";
import { findLine, findRecord, parseQuotedRecord, type RecordSpan, splitRecord } from "./csv.js";

/** Told each row; `fields` is reused for the next. */
export interface RowVisitor {
  row(fields: unknown[], line: number): void;
  malformed(line: number, cause: string): void;
}

/** Which column of a CSV file goes where. */
export interface CsvHeader {
  names: string[];
  /** For each column of the file the place in the sort's columns; -1 for one that is not used. */
  places: number[];
}

/** Reads a header line. Throws BrokenFileError when a required column is missing. */
export function readHeader(
  path: string,
  names: readonly string[],
  columns: readonly string[],
  required: readonly string[],
): CsvHeader {
  const trimmed = names.map((name) => name.trim());
  const missing = required.filter((name) => !trimmed.includes(name));
  if (missing.length > 0) {
    throw new BrokenFileError(`${path}: the header line lacks ${missing.join(", ")}`);
  }
  if (new Set(trimmed).size < trimmed.length) {
    throw new BrokenFileError(`${path}: the header line names a column twice`);
  }
  return { names: trimmed, places: trimmed.map((name) => columns.indexOf(name)) };
}

/** The first record of a CSV block, as a header's names, and the block without it. */
export function takeHeader(path: string, block: Block): { names: string[]; rest: Block } {
  const span = newSpan();
  if (block.hasQuotes) findRecord(block.text, 0, span);
  else findLine(block.text, 0, span);
  const record = block.text.slice(span.start, span.end);
  const names = span.quoted ? parseQuotedRecord(record) : record.split(",");
  if (names === null) throw new BrokenFileError(`${path}: the header line has misplaced quotes`);
  const text = block.text.slice(span.next);
  return { names, rest: { ...block, text, line: block.line + Math.max(1, span.lines) } };
}

/** Visits the rows of a block in order. `header` is null for NDJSON. */
export function visitRows(
  block: Block,
  columns: readonly string[],
  header: CsvHeader | null,
  visitor: RowVisitor,
): void {
  const span = newSpan();
  const find = block.hasQuotes ? findRecord : findLine;
  const fields: unknown[] = new Array(columns.length).fill(undefined);
  let line = block.line;
  for (let at = 0; at < block.text.length; at = span.next) {
    find(block.text, at, span);
    if (span.end > span.start) {
      const fault =
        header !== null
          ? readCsv(block.text, span, header, fields)
          : readJson(block.text, span, columns, fields);
      if (fault === "") visitor.row(fields, line);
      else visitor.malformed(line, fault);
    }
    line += span.lines;
  }
}

function newSpan(): RecordSpan {
  return { start: 0, end: 0, next: 0, lines: 0, quoted: false, open: false };
}

function readCsv(text: string, span: RecordSpan, header: CsvHeader, fields: unknown[]): string {
  const { places } = header;
  const record = text.slice(span.start, span.end);
  let count: number;
  if (span.quoted) {
    const values = parseQuotedRecord(record);
    if (values === null) return "has misplaced quotes";
    count = values.length;
    for (let i = 0; i < count; i++) if ((places[i] ?? -1) !== -1) fields[places[i]!] = values[i];
  } else {
    count = splitRecord(record, places, fields);
  }
  return count === places.length ? "" : "has more or fewer columns than the header";
}

function readJson(
  text: string,
  span: RecordSpan,
  columns: readonly string[],
  fields: unknown[],
): string {
  let value: unknown;
  try {
    value = JSON.parse(text.slice(span.start, span.end));
  } catch {
    // The error's message holds a piece of the input: it is dropped.
    return "is not JSON";
  }
  if (typeof value !== "object" || value === null || Array.isArray(value))
    return "is no JSON object";
  const object = value as Record<string, unknown>;
  for (let i = 0; i < columns.length; i++) {
    fields[i] = Object.hasOwn(object, columns[i]!) ? object[columns[i]!] : undefined;
  }
  return "";
}
