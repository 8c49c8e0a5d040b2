// The way in for files: read in blocks, rows checked, commands handed to the sink with a few
// batches in flight, and a mark kept from which an import that was stopped goes on.
//
// A bad row is reported and skipped. A broken file, a failing sink or a full disk stops the import
// with one line; everything up to the mark is in, and the same call goes on from there.

import { rmSync } from "node:fs";
import type { CommandSink } from "../command-sink.js";
import type { KeyVault } from "../vault.js";
import type { LinedBatch } from "./batches.js";
import { BlockReader, BrokenFileError } from "./blocks.js";
import {
  type ImportState,
  type ImportTotals,
  readState,
  removeState,
  statePaths,
  writeState,
} from "./import-state.js";
import { type CatalogueHead, goesWhole, type ImportSort } from "./lanes.js";
import { type BlockEntry, Ledger } from "./ledger.js";
import { readBeside } from "./read-beside.js";
import { type ReadBlock, type ReadOrder, readRows } from "./read-rows.js";
import type { CsvHeader } from "./rows.js";

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
  /** Files of so many bytes are read by a thread beside; 4 MiB when left out. */
  besideSizeMin?: number | undefined;
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
/** Smaller files are in before a thread has started. */
const BESIDE_SIZE_MIN = 4 * 1024 * 1024;

/**
 * Imports a file. Throws ImportStoppedError when the file is broken, the sink fails or the disk
 * is full; calling again goes on where this one stopped.
 */
export async function importFile(options: ImportOptions): Promise<ImportSummary> {
  const inFlight = options.batchesInFlight ?? BATCHES_IN_FLIGHT;
  if (!(Number.isInteger(inFlight) && inFlight >= 1 && inFlight <= BATCHES_IN_FLIGHT_MAX)) {
    throw new RangeError("batchesInFlight is not 1 to 64");
  }
  let size: number;
  try {
    const reader = await BlockReader.open(options.path);
    ({ size } = reader);
    await reader.close();
  } catch (error) {
    throw stopped(options.path, error);
  }
  return new FileImport(options, size, inFlight).run();
}

class FileImport {
  private readonly options: ImportOptions;
  private readonly size: number;
  private readonly whole: boolean;
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

  constructor(options: ImportOptions, size: number, inFlightMax: number) {
    this.options = options;
    this.size = size;
    this.whole = goesWhole(options.sort);
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
    for await (const block of this.read()) {
      if (this.stopping()) return false;
      await this.importBlock(block);
      this.tell(block.end);
    }
    await this.flightBelow(1);
    return !this.stopping();
  }

  /** The blocks that are not done, read here or beside. */
  private read(): AsyncGenerator<ReadBlock> {
    const { sort, path, vault, kek = null, catalogue = null } = this.options;
    const { offset, line, header } = this.ledger.state;
    const order: ReadOrder = { sort, path, offset, line, header, catalogue };
    const beside = this.size - offset >= (this.options.besideSizeMin ?? BESIDE_SIZE_MIN);
    return beside ? readBeside(order, vault, kek) : readRows(order, { vault, kek });
  }

  private async importBlock(block: ReadBlock): Promise<void> {
    const entry = this.ledger.begin(block);
    this.header = block.header;
    this.ledger.state.header = block.header?.names ?? null;
    entry.totals.rows += block.rows;
    for (const { line, column, cause, rows } of block.faults) {
      entry.reject(line, column, cause, rows);
    }
    this.rowsSeen += entry.totals.rows;
    this.rejectedSeen += entry.totals.rejected;
    await this.send(entry, block.batches);
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
    if (!this.ledger.book() || this.whole) return;
    if (performance.now() - this.stateWrittenMs < STATE_INTERVAL_MS) return;
    this.keepState(false);
  }

  private keepState(finished: boolean): void {
    if (finished) removeState(this.statePath);
    if (finished || this.whole || this.ledger.state.offset === 0) return;
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

  private stopping(): boolean {
    return this.failure !== null || this.options.signal?.aborted === true;
  }

  private tell(bytesDone: number): void {
    const { rowsSeen: rows, rejectedSeen: rejected } = this;
    this.options.onProgress?.({ bytesDone, bytesTotal: this.size, rows, rejected });
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
