// Lines of CSV (RFC 4180) as fields. Records without quotes are parted here at commas, a slice
// each; those with quotes go through csv-parse, which is right and ten times as slow.

import { parse } from "csv-parse/sync";

const NEWLINE = 10;
const RETURN = 13;
const QUOTE = 34;
const COMMA = 44;

/** A record's place in a text: without its line end. */
export interface RecordSpan {
  start: number;
  end: number;
  /** Where the next begins. */
  next: number;
  /** Line ends within and after it. */
  lines: number;
  quoted: boolean;
  /** Whether the text ends within quotes. */
  open: boolean;
}

/** Finds the record that begins at `start`, in a text that may have quotes. */
export function findRecord(text: string, start: number, span: RecordSpan): void {
  let inQuotes = false;
  let quoted = false;
  let fieldStart = true;
  let closedAt = -2;
  let lines = 0;
  let i = start;
  for (; i < text.length; i++) {
    const code = text.charCodeAt(i);
    if (code === NEWLINE) {
      lines++;
      if (!inQuotes) break;
    } else if (code === QUOTE) {
      quoted = true;
      // Within quotes two are one: leaving and entering again comes to the same.
      if (inQuotes) closedAt = i;
      inQuotes = !inQuotes && (fieldStart || closedAt === i - 1);
    }
    fieldStart = code === COMMA && !inQuotes;
  }
  span.start = start;
  span.end = trimReturn(text, start, i);
  span.next = Math.min(i + 1, text.length);
  span.lines = lines;
  span.quoted = quoted;
  span.open = inQuotes;
}

/** The same for a text without quotes. */
export function findLine(text: string, start: number, span: RecordSpan): void {
  const newline = text.indexOf("\n", start);
  const end = newline === -1 ? text.length : newline;
  span.start = start;
  span.end = trimReturn(text, start, end);
  span.next = Math.min(end + 1, text.length);
  span.lines = 1;
  span.quoted = false;
  span.open = false;
}

function trimReturn(text: string, start: number, end: number): number {
  return end > start && text.charCodeAt(end - 1) === RETURN ? end - 1 : end;
}

/**
 * Parts a record without quotes into `fields`: the i-th column goes to fields[places[i]], or
 * nowhere when that is -1. Returns how many columns the record has.
 */
export function splitRecord(record: string, places: readonly number[], fields: unknown[]): number {
  let count = 0;
  let from = 0;
  for (;;) {
    const comma = record.indexOf(",", from);
    const to = comma === -1 ? record.length : comma;
    const place = places[count] ?? -1;
    if (place !== -1) fields[place] = record.slice(from, to);
    count++;
    if (comma === -1) return count;
    from = comma + 1;
  }
}

/** The columns of a record with quotes; null when its quotes do not stand right. */
export function parseQuotedRecord(record: string): string[] | null {
  try {
    // The error's message holds a piece of the input: it is dropped.
    return parse(record, { relax_column_count: true })[0] ?? [];
  } catch {
    return null;
  }
}
