// Import through a running server: the file's rows as NDJSON, some thousands to a request. What is
// in already is unchanged, so an import that was stopped is simply run again.

import type { ControlClient } from "../control/client.js";
import { type Block, BlockReader } from "../import/blocks.js";
import type { ImportProgress, ImportSummary } from "../import/import.js";
import { type ImportSort, type Lane, laneOf } from "../import/lanes.js";
import { type CsvHeader, readHeader, takeHeader, visitRows } from "../import/rows.js";
import { KeyVault } from "../vault.js";
import { CliError } from "./cli-error.js";

/** A request of this size is answered in well under a second. */
const REQUEST_SIZE = 512 * 1024;
const NO_KEYS = { tokenizationKey: new Uint8Array(16), wrappingKey: new Uint8Array(32) };

/** What the local import and this one have in common. */
export type ImportResult = Pick<
  ImportSummary,
  "rows" | "imported" | "unchanged" | "rejected" | "interrupted" | "ignoredColumns"
> & { rejections: { line: number; column?: string; cause: string }[] };

export interface ServerImportOptions {
  client: ControlClient;
  sort: ImportSort;
  path: string;
  signal: AbortSignal;
  onProgress(progress: ImportProgress): void;
}

/** Imports a file. Throws ControlError, BrokenFileError or what the disk says. */
export async function importThroughServer(options: ServerImportOptions): Promise<ImportResult> {
  const reader = await BlockReader.open(options.path);
  try {
    return await new ServerImport(options, reader).run();
  } finally {
    await reader.close();
  }
}

class ServerImport {
  private readonly options: ServerImportOptions;
  private readonly reader: BlockReader;
  private readonly lane: Lane;
  private readonly result: ImportResult;
  private header: CsvHeader | null;
  private rows: string[];
  private lines: number[];
  private size: number;

  constructor(options: ServerImportOptions, reader: BlockReader) {
    this.options = options;
    this.reader = reader;
    // Asked for its columns only: rows become commands in the server, under the server's keys.
    this.lane = laneOf(options.sort, { vault: new KeyVault(NO_KEYS), kek: null });
    this.result = {
      rows: 0,
      imported: 0,
      unchanged: 0,
      rejected: 0,
      interrupted: false,
      ignoredColumns: [],
      rejections: [],
    };
    this.header = null;
    this.rows = [];
    this.lines = [];
    this.size = 0;
  }

  async run(): Promise<ImportResult> {
    for await (const block of this.reader.blocks(0, 1)) {
      if (this.options.signal.aborted) break;
      this.take(block);
      if (!this.lane.whole && this.size >= REQUEST_SIZE) await this.send();
      const { rows, rejected } = this.result;
      const bytesTotal = this.reader.size;
      this.options.onProgress({ bytesDone: block.end, bytesTotal, rows, rejected });
    }
    this.result.interrupted = this.options.signal.aborted;
    if (!(this.result.interrupted && this.lane.whole)) await this.send();
    return this.result;
  }

  private take(block: Block): void {
    let rows = block;
    if (this.reader.format === "csv" && this.header === null) {
      const { path } = this.options;
      const { names, rest } = takeHeader(path, block);
      this.header = readHeader(path, names, this.lane.columns, this.lane.required);
      const { places } = this.header;
      this.result.ignoredColumns = this.header.names.filter((_, i) => places[i] === -1);
      rows = rest;
    }
    visitRows(rows, this.lane.columns, this.header, {
      row: (fields, line) => this.add(fields, line),
      malformed: (line, cause) => {
        this.result.rows++;
        this.result.rejected++;
        this.result.rejections.push({ line, cause });
      },
    });
  }

  private add(fields: readonly unknown[], line: number): void {
    const row: Record<string, unknown> = {};
    this.lane.columns.forEach((column, i) => {
      if (fields[i] !== undefined && fields[i] !== "") row[column] = fields[i];
    });
    const text = JSON.stringify(row);
    this.rows.push(text);
    this.lines.push(line);
    this.size += text.length + 1;
  }

  private async send(): Promise<void> {
    if (this.rows.length === 0) return;
    const { rows, lines } = this;
    this.rows = [];
    this.lines = [];
    this.size = 0;
    const text = `${rows.join("\n")}\n`;
    const report = await this.options.client.import(this.options.sort, text);
    if (report.rows !== rows.length && !this.lane.whole) {
      throw new CliError("the server read another number of rows than were sent: is it older?");
    }
    for (const key of ["rows", "imported", "unchanged", "rejected"] as const) {
      this.result[key] += report[key];
    }
    for (const rejection of report.rejections) {
      this.result.rejections.push({ ...rejection, line: lines[rejection.line - 1] ?? 0 });
    }
  }
}
