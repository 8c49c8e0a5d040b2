// What an import keeps count of: blocks on their way, in the order of the file. A block is done
// when all its batches are answered; done blocks at the head of the queue are booked: their
// rejected rows go to the report and the mark from which to go on moves behind them.
//
// The invariant: totals, report and mark always speak of the same blocks.

import { closeSync, ftruncateSync, openSync, writeSync } from "node:fs";
import { COMMAND_OUTCOMES } from "../../engine/commands.js";
import { assert } from "../../protocol/assert.js";
import type { CommandResult } from "../command-sink.js";
import type { LinedBatch } from "./batches.js";
import type { Block } from "./blocks.js";
import type { ImportState, ImportTotals } from "./import-state.js";

/** Outcomes 0 and 1 are success (engine/commands.ts). */
const OUTCOME_SUCCESS_MAX = 1;

interface RejectedRow {
  line: number;
  column?: string;
  cause: string;
}

/** A block's own count until it is booked. */
export class BlockEntry {
  readonly end: number;
  readonly endLine: number;
  readonly totals: ImportTotals;
  readonly rejected: RejectedRow[];
  /** Batches without answer, and one more until the block is parsed. */
  pending: number;

  constructor(block: Pick<Block, "end" | "endLine">) {
    this.end = block.end;
    this.endLine = block.endLine;
    this.totals = { rows: 0, imported: 0, unchanged: 0, rejected: 0 };
    this.rejected = [];
    this.pending = 1;
  }

  reject(line: number, column: string, cause: string, rows = 1): void {
    this.rejected.push(column === "" ? { line, cause } : { line, column, cause });
    this.totals.rejected += rows;
  }

  /** Counts the rows of an answered batch; a row is refused when any of its commands is. */
  answered({ batch, lines, rowsPerCommand }: LinedBatch, result: CommandResult): void {
    assert(result.outcomes.length === batch.count, "a batch is answered whole");
    for (let i = 0; i < batch.count; ) {
      const line = lines[i]!;
      let changed = false;
      let refused = 0;
      for (; i < batch.count && lines[i] === line; i++) {
        const outcome = result.outcomes[i]!;
        if (outcome > OUTCOME_SUCCESS_MAX) refused ||= outcome;
        changed ||= outcome === 0;
      }
      if (refused !== 0) {
        this.reject(line, "", COMMAND_OUTCOMES[refused] ?? "COMMAND_INVALID", rowsPerCommand);
      } else if (changed) this.totals.imported += rowsPerCommand;
      else this.totals.unchanged += rowsPerCommand;
    }
    this.pending--;
  }
}

export class Ledger {
  readonly state: ImportState;
  readonly reportPath: string;
  private readonly queue: BlockEntry[];
  private report: number;

  constructor(state: ImportState, reportPath: string) {
    this.state = state;
    this.reportPath = reportPath;
    this.queue = [];
    this.report = -1;
  }

  begin(block: Pick<Block, "end" | "endLine">): BlockEntry {
    const entry = new BlockEntry(block);
    this.queue.push(entry);
    return entry;
  }

  /** Books the done blocks at the head of the queue; whether there were any. */
  book(): boolean {
    let booked = false;
    while (this.queue.length > 0 && this.queue[0]!.pending === 0) {
      const entry = this.queue[0]!;
      this.writeReport(entry.rejected);
      this.queue.shift();
      this.state.offset = entry.end;
      this.state.line = entry.endLine;
      for (const key of ["rows", "imported", "unchanged", "rejected"] as const) {
        this.state.totals[key] += entry.totals[key];
      }
      booked = true;
    }
    return booked;
  }

  close(): void {
    if (this.report !== -1) closeSync(this.report);
    this.report = -1;
  }

  private writeReport(rows: readonly RejectedRow[]): void {
    if (rows.length === 0) return;
    if (this.report === -1) {
      this.report = openSync(this.reportPath, this.state.reportSize === 0 ? "w" : "r+", 0o600);
      ftruncateSync(this.report, this.state.reportSize);
    }
    const bytes = Buffer.from(rows.map((row) => `${JSON.stringify(row)}\n`).join(""));
    for (let at = 0; at < bytes.length; ) {
      const position = this.state.reportSize + at;
      at += writeSync(this.report, bytes, at, bytes.length - at, position);
    }
    this.state.reportSize += bytes.length;
  }
}
