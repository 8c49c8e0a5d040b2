// One import over HTTP: rows become commands, commands go through the engine in batches, and each
// row that is rejected is reported with its line. A bad row stops nothing; rows that were in
// already are unchanged, so a broken import is simply sent again.
//
// The invariant: the commands of one row are in one batch, and a row counts once.

import { OUTCOME } from "../../engine/commands.js";
import { COMMANDS_PER_BATCH_MAX } from "../command-sink.js";
import { outcomeText } from "./commands.js";
import type { MainThread } from "./main-thread.js";

/** Most rejected rows that are told one by one; the rest are only counted. */
export const REJECTIONS_MAX = 10_000;

export interface Rejection {
  /** From 1. */
  line: number;
  cause: string;
}

export interface ImportReport {
  rows: number;
  applied: number;
  unchanged: number;
  rejected: number;
  rejections: Rejection[];
}

/** The commands of one row, back to back. */
export interface RowCommands {
  count: number;
  bytes: Uint8Array;
}

interface PendingRow extends RowCommands {
  line: number;
}

export class ImportRun {
  readonly report: ImportReport;
  private readonly main: MainThread;
  private readonly kind: number;
  private readonly commandsPerBatch: number;
  private pending: PendingRow[];
  private pendingCount: number;

  /** `commandsPerBatch` is 1 for the kinds that are JSON documents. */
  constructor(main: MainThread, kind: number, commandsPerBatch = COMMANDS_PER_BATCH_MAX) {
    this.report = { rows: 0, applied: 0, unchanged: 0, rejected: 0, rejections: [] };
    this.main = main;
    this.kind = kind;
    this.commandsPerBatch = commandsPerBatch;
    this.pending = [];
    this.pendingCount = 0;
  }

  /** Counts a row that cannot become a command. */
  reject(line: number, cause: string): void {
    this.report.rows += 1;
    this.refuse(line, cause);
  }

  /** Takes the commands of a row; resolves when there is room for more. */
  async add(line: number, commands: RowCommands): Promise<void> {
    if (this.pendingCount + commands.count > this.commandsPerBatch) await this.flush();
    this.report.rows += 1;
    this.pending.push({ line, ...commands });
    this.pendingCount += commands.count;
  }

  /** Puts what is pending through the engine; resolves when it is on disk. */
  async flush(): Promise<void> {
    const rows = this.pending;
    const count = this.pendingCount;
    if (count === 0) return;
    this.pending = [];
    this.pendingCount = 0;
    const bytes = new Uint8Array(Buffer.concat(rows.map((row) => row.bytes)));
    const { outcomes } = await this.main.ask<"execute">(
      { op: "execute", kind: this.kind, count, bytes },
      [bytes.buffer],
    );
    let index = 0;
    for (const row of rows) {
      this.settle(row.line, outcomes.subarray(index, index + row.count));
      index += row.count;
    }
  }

  /** A row is refused by its first refused command, applied when any command changed something. */
  private settle(line: number, outcomes: Uint8Array): void {
    const refused = outcomes.find((each) => each !== OUTCOME.DONE && each !== OUTCOME.UNCHANGED);
    if (refused !== undefined) this.refuse(line, outcomeText(refused));
    else if (outcomes.includes(OUTCOME.DONE)) this.report.applied += 1;
    else this.report.unchanged += 1;
  }

  private refuse(line: number, cause: string): void {
    this.report.rejected += 1;
    if (this.report.rejections.length < REJECTIONS_MAX) this.report.rejections.push({ line, cause });
  }
}
