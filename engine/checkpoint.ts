// A checkpoint: the state at one position, taken page by page while uses go on. Begins on the
// boundary between two blocks; rows that change before their page is taken are kept as they were
// (engine/snapshot.ts), so every page of it holds the same position, and a restart loads the pages
// and replays what follows.

import { assert } from "../protocol/assert.js";
import type { Snapshot } from "./snapshot.js";
import { BLOCK_HASH_START, type Registers, type State } from "./state.js";
import type { Table } from "./table.js";

/** What a checkpoint is besides its pages. */
export interface CheckpointHead {
  registers: Registers;
  /** Rows in use by table id, row 0 included. */
  rowCounts: Record<number, number>;
}

/** What was copied by `take`. */
export interface TakenPage {
  table: Table;
  page: number;
  wordCount: number;
}

export class Checkpoint {
  readonly head: CheckpointHead;
  /** Documents changed since the checkpoint before. */
  readonly documents: [string, Uint8Array][];
  /** Words of the largest page. */
  readonly pageWordsMax: number;
  private readonly tables: [Table, Snapshot][];
  private tableIndex = 0;

  constructor(state: State) {
    this.tables = state.tables.map((table) => [table, table.beginCheckpoint()]);
    this.head = {
      registers: state.settledRegisters(),
      rowCounts: Object.fromEntries(
        this.tables.map(([table, { rowCount }]) => [table.id, rowCount]),
      ),
    };
    this.pageWordsMax = Math.max(...state.tables.map((table) => table.pageWords));
    this.documents = state.documents.takeChanged();
  }

  /** Copies the next page, as it was at the begin, into `target`; null when all were taken. */
  take(target: Int32Array): TakenPage | null {
    while (this.tableIndex < this.tables.length) {
      const [table, snapshot] = this.tables[this.tableIndex]!;
      const page = snapshot.take(target);
      if (page !== -1) return { table, page, wordCount: snapshot.pageWords(page) };
      this.tableIndex++;
    }
    return null;
  }

  /** Ends it when all pages were taken. */
  end(): void {
    assert(this.tableIndex === this.tables.length, "all pages were taken");
    this.abandon();
  }

  /** Ends it as it is. */
  abandon(): void {
    for (const [table] of this.tables) table.endCheckpoint();
  }
}

/** A head as the bytes that stand in the store. */
export function checkpointHead(head: CheckpointHead): Uint8Array {
  return new TextEncoder().encode(JSON.stringify(head));
}

/** Reads them. Throws with one line when they are no head. */
export function parseHead(bytes: Uint8Array): CheckpointHead {
  let value: unknown;
  try {
    value = JSON.parse(new TextDecoder().decode(bytes));
  } catch {
    // The error's message holds a piece of the input: it is dropped.
  }
  if (!isHead(value)) throw new Error("the checkpoint's head is damaged: restore the data folder");
  return value;
}

function isHead(value: unknown): value is CheckpointHead {
  if (!isObject(value) || !isObject(value.registers) || !isObject(value.rowCounts)) return false;
  const { position, timeMs, blacklistPosition, blockHash } = value.registers;
  const counts = [position, timeMs, blacklistPosition, ...Object.values(value.rowCounts)];
  return counts.every(isCount) && isHash(blockHash);
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function isCount(value: unknown): boolean {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}

function isHash(value: unknown): boolean {
  return typeof value === "string" && value.length === BLOCK_HASH_START.length;
}
