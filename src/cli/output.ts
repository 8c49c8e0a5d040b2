// Where a command's words go: data to standard output, messages to standard error, so that
// `tongka ... --json | jq` works whatever there is to say. Tables are for people; --json is for
// programs, one document or one object a line.

import type { Writable } from "node:stream";

export type Cell = string | number | boolean | null | undefined;
export type Row = readonly Cell[];

/** Characters that take two columns of a terminal: East Asian wide and fullwidth. */
const WIDE = /[\u1100-\u115f\u2e80-\ua4cf\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff00-\uff60]/g;

export class Output {
  private readonly data: Writable;
  private readonly messages: Writable;

  constructor(data: Writable, messages: Writable) {
    this.data = data;
    this.messages = messages;
  }

  /** One line for the person, on standard error. */
  message(text: string): void {
    this.messages.write(`${text}\n`);
  }

  /** Text of data, as it is. */
  text(text: string): void {
    this.data.write(`${text}\n`);
  }

  /** A document as JSON, indented. */
  json(value: unknown): void {
    this.data.write(`${JSON.stringify(value, null, 2)}\n`);
  }

  /** One object of many as a line of JSON (NDJSON). */
  jsonLine(value: unknown): void {
    this.data.write(`${JSON.stringify(value)}\n`);
  }

  /** Rows under headings, columns aligned; numbers to the right. */
  table(headings: readonly string[], rows: readonly Row[]): void {
    const texts = [headings, ...rows.map((row) => row.map(cellText))];
    const widths = headings.map((_, i) => Math.max(...texts.map((row) => columns(row[i] ?? ""))));
    const right = headings.map((_, i) => rows.every((row) => typeof row[i] === "number"));
    for (const row of texts) {
      const cells = widths.map((width, i) =>
        pad(row[i] ?? "", width, right[i]! && rows.length > 0),
      );
      this.text(cells.join("  ").trimEnd());
    }
  }

  /** Names and values below each other, values aligned. */
  fields(pairs: readonly (readonly [string, Cell])[]): void {
    const width = Math.max(...pairs.map(([name]) => columns(name)));
    for (const [name, value] of pairs) {
      this.text(`${pad(name, width, false)}  ${cellText(value)}`.trimEnd());
    }
  }
}

function cellText(cell: Cell): string {
  return cell === null || cell === undefined || cell === "" ? "-" : String(cell);
}

function pad(text: string, width: number, right: boolean): string {
  const space = " ".repeat(Math.max(0, width - columns(text)));
  return right ? space + text : text + space;
}

function columns(text: string): number {
  return text.length + (text.match(WIDE)?.length ?? 0);
}
