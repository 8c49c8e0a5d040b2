// The way in for files: read in blocks, rows checked, commands handed to the sink with a few
// batches in flight, and a mark kept from which an import that was stopped goes on.
//
// A bad row is reported and skipped. A broken file, a failing sink or a full disk stops the import
// with one line; everything up to the mark is in, and the same call goes on from there.

import { rmSync } from "node:fs";
import type { CommandSink } from "../command-sink.js";
import type { KeyVault } from "../vault.js";
import type { LinedBatch } from "./batches.js";
import { type Block, BlockReader, BrokenFileError } from "./blocks.js";
import {
  type ImportState,
  type ImportTotals,
  readState,
  removeState,
  statePaths,
  writeState,
} from "./import-state.js";
import { type CatalogueHead, type ImportSort, type Lane, laneOf } from "./lanes.js";
import { type BlockEntry, Ledger } from "./ledger.js";
import { type CsvHeader, readHeader, takeHeader, visitRows } from "./rows.js";

export interface ImportOptions {
  sort: ImportSort;
  /** The file: CSV with a header line, or NDJSON, in UTF-8. */
  path: string;
  sink: CommandSink;
  vault: KeyVault;
  /** Folder for the state of the import and the report of rejected rows. */
  stateFolder: string;
  /** Key-exchange key for terminal master keys. */
  kek?: Uint8Array | undefined;
  /** Version of a catalogue whose file does not begin with one. */
  catalogue?: CatalogueHead | undefined;
  /** Forget how far an earlier import of this file came. */
  restart?: boolean | undefined;
  /** Batches in flight, 1..64; 4 when left out. */
  batchesInFlight?: number | undefined;
  /** Stops the import cleanly. */
  signal?: AbortSignal | undefined;
  onProgress?: ((progress: ImportProgress) => void) | undefined;
}

export interface ImportProgress {
  bytesDone: number;
  bytesTotal: number;
  rows: number;
  rejected: number;
}

export interface ImportSummary extends ImportTotals {
  seconds: number;
  /** Stopped by the signal: the same import goes on from there. */
  interrupted: boolean;
  /** Line from which this run went on; 1 when it began at the beginning. */
  fromLine: number;
  /** Report of rejected rows, NDJSON {line, column, cause}; null when there are none. */
  reportPath: string | null;
  /** Columns of a CSV file that were not used. */
  ignoredColumns: string[];
}

/** An import that had to stop. Its message is one line and holds nothing of a row. */
class ImportStoppedError extends Error {
  override name = "ImportStoppedError";
}

const BATCHES_IN_FLIGHT = 4;
const BATCHES_IN_FLIGHT_MAX = 64;
const STATE_INTERVAL_MS = 500;

/**
 * Imports a file. Throws ImportStoppedError when the file is broken, the sink fails or the disk
 * is full; calling again goes on where this one stopped.
 */
export async function importFile(options: ImportOptions): Promise<ImportSummary> {
  const inFlight = options.batchesInFlight ?? BATCHES_IN_FLIGHT;
  if (!(Number.isInteger(inFlight) && inFlight >= 1 && inFlight <= BATCHES_IN_FLIGHT_MAX)) {
    throw new RangeError("batchesInFlight is not 1 to 64");
  }
  let reader: BlockReader;
  try {
    reader = await BlockReader.open(options.path);
  } catch (error) {
    throw stopped(options.path, error);
  }
  try {
    return await new FileImport(options, reader, inFlight).run();
  } finally {
    await reader.close();
  }
}

class FileImport {
  private readonly options: ImportOptions;
  private readonly reader: BlockReader;
  private readonly lane: Lane;
  private readonly statePath: string;
  private readonly ledger: Ledger;
  private readonly fromLine: number;
  private readonly secondsBefore: number;
  private readonly startMs: number;
  private readonly inFlightMax: number;
  private inFlight: number;
  private wake: () => void;
  private header: CsvHeader | null;
  private failure: unknown;
  private stateWrittenMs: number;
  private rowsSeen: number;
  private rejectedSeen: number;

  constructor(options: ImportOptions, reader: BlockReader, inFlightMax: number) {
    this.options = options;
    this.reader = reader;
    const context = { vault: options.vault, kek: options.kek ?? null };
    this.lane = laneOf(options.sort, context, options.catalogue);
    const paths = statePaths(options.stateFolder, options.path);
    this.statePath = paths.state;
    const known = options.restart ? null : readState(paths.state, options.sort);
    const state = known ?? newState(options.sort);
    if (known === null) rmSync(paths.report, { force: true });
    this.ledger = new Ledger(state, paths.report);
    this.fromLine = state.line;
    this.secondsBefore = state.seconds;
    this.startMs = performance.now();
    this.inFlightMax = inFlightMax;
    this.inFlight = 0;
    this.wake = () => undefined;
    this.header = null;
    this.failure = null;
    this.stateWrittenMs = this.startMs;
    this.rowsSeen = state.totals.rows;
    this.rejectedSeen = state.totals.rejected;
  }

  async run(): Promise<ImportSummary> {
    let finished = false;
    try {
      finished = await this.readAll();
    } catch (error) {
      this.failure ??= error;
    }
    await this.flightBelow(1);
    try {
      this.ledger.close();
      this.keepState(finished && this.failure === null);
    } catch (error) {
      this.failure ??= error;
    }
    if (this.failure !== null)
      throw stopped(this.options.path, this.failure, this.ledger.state.line);
    return this.summary(!finished);
  }

  /** Whether the file was read to its end. */
  private async readAll(): Promise<boolean> {
    const { state } = this.ledger;
    if (state.header !== null) this.useHeader(state.header);
    for await (const block of this.reader.blocks(state.offset, state.line)) {
      if (this.stopping()) return false;
      await this.importBlock(block);
      this.tell(block.end);
    }
    if (this.reader.format === "csv" && this.header === null) {
      throw new BrokenFileError(`${this.options.path} is empty: it lacks even a header line`);
    }
    if (this.stopping()) return false;
    await this.importEnd();
    await this.flightBelow(1);
    return this.failure === null;
  }

  private async importBlock(block: Block): Promise<void> {
    const entry = this.ledger.begin(block);
    const batches: LinedBatch[] = [];
    let rows = block;
    if (this.reader.format === "csv" && this.header === null) {
      const { names, rest } = takeHeader(this.options.path, block);
      this.useHeader(names);
      rows = rest;
    }
    visitRows(rows, this.lane.columns, this.header, {
      row: (fields, line) => {
        entry.totals.rows++;
        const fault = this.lane.take(fields, line, batches);
        if (fault !== null) entry.reject(line, fault.column, fault.cause);
      },
      malformed: (line, cause) => {
        entry.totals.rows++;
        entry.reject(line, "", cause);
      },
    });
    this.lane.endBlock(batches);
    this.rowsSeen += entry.totals.rows;
    this.rejectedSeen += entry.totals.rejected;
    await this.send(entry, batches);
  }

  private async importEnd(): Promise<void> {
    const { line } = this.ledger.state;
    const entry = this.ledger.begin({ end: this.reader.size, endLine: line });
    const batches: LinedBatch[] = [];
    const fault = this.lane.endFile(batches);
    if (fault !== null) entry.reject(1, fault.column, fault.cause, 0);
    await this.send(entry, batches);
  }

  private async send(entry: BlockEntry, batches: readonly LinedBatch[]): Promise<void> {
    entry.pending += batches.length;
    for (const lined of batches) {
      await this.flightBelow(this.inFlightMax);
      if (this.failure !== null) return;
      this.inFlight++;
      this.options.sink.execute(lined.batch).then(
        (result) => this.settle(() => entry.answered(lined, result)),
        (error) => this.settle(() => this.fail(error)),
      );
    }
    entry.pending--;
    this.book();
  }

  private settle(what: () => void): void {
    this.inFlight--;
    try {
      what();
      this.book();
    } catch (error) {
      this.fail(error);
    }
    this.wake();
  }

  private fail(error: unknown): void {
    this.failure ??= error;
  }

  private book(): void {
    if (!this.ledger.book() || this.lane.whole) return;
    if (performance.now() - this.stateWrittenMs < STATE_INTERVAL_MS) return;
    this.keepState(false);
  }

  private keepState(finished: boolean): void {
    if (finished) removeState(this.statePath);
    if (finished || this.lane.whole || this.ledger.state.offset === 0) return;
    this.ledger.state.seconds = this.seconds();
    writeState(this.statePath, this.ledger.state);
    this.stateWrittenMs = performance.now();
  }

  private async flightBelow(count: number): Promise<void> {
    while (this.inFlight >= count) {
      await new Promise<void>((resolve) => {
        this.wake = resolve;
      });
    }
  }

  private useHeader(names: string[]): void {
    const { columns, required } = this.lane;
    this.header = readHeader(this.options.path, names, columns, required);
    this.ledger.state.header = this.header.names;
  }

  private stopping(): boolean {
    return this.failure !== null || this.options.signal?.aborted === true;
  }

  private tell(bytesDone: number): void {
    const { rowsSeen: rows, rejectedSeen: rejected } = this;
    this.options.onProgress?.({ bytesDone, bytesTotal: this.reader.size, rows, rejected });
  }

  private seconds(): number {
    return this.secondsBefore + (performance.now() - this.startMs) / 1000;
  }

  private summary(interrupted: boolean): ImportSummary {
    const { state, reportPath } = this.ledger;
    const unused = (_name: string, column: number) => this.header!.places[column] === -1;
    return {
      ...state.totals,
      seconds: this.seconds(),
      interrupted,
      fromLine: this.fromLine,
      reportPath: state.reportSize > 0 ? reportPath : null,
      ignoredColumns: this.header === null ? [] : this.header.names.filter(unused),
    };
  }
}

function newState(sort: ImportSort): ImportState {
  return {
    format: 1,
    sort,
    offset: 0,
    line: 1,
    header: null,
    totals: { rows: 0, imported: 0, unchanged: 0, rejected: 0 },
    seconds: 0,
    reportSize: 0,
  };
}

function stopped(path: string, error: unknown, line?: number): ImportStoppedError {
  const message = error instanceof Error ? error.message : "unknown error";
  if (error instanceof BrokenFileError && (line ?? 1) === 1) return new ImportStoppedError(message);
  if (line === undefined) return new ImportStoppedError(`${path} cannot be read: ${message}`);
  const where = error instanceof BrokenFileError ? message : `${path}: ${message}`;
  return new ImportStoppedError(
    `${where}; what stands before line ${line} is in: import again to go on from there`,
  );
}
