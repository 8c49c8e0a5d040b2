// A checkpoint: the state at one position, written out page by page while uses go on. Begins on
// the boundary between two blocks; pages that change before they are written are copied out first
// (engine/table.ts), so every page of it holds the same position, and a restart loads the pages
// and replays what follows.

import { assert } from "../protocol/assert.js";
import { BLOCK_HASH_START, type Registers, type State } from "./state.js";
import type { PageSink, PendingPages } from "./table.js";

/** What a checkpoint is besides its pages. */
export interface CheckpointHead {
  registers: Registers;
  /** Rows in use by table id, row 0 included. */
  rowCounts: Record<number, number>;
}

export class Checkpoint {
  readonly head: CheckpointHead;
  /** Documents changed since the checkpoint before. */
  readonly documents: [string, Uint8Array][];
  /** Pages to write in all. */
  readonly pageCount: number;
  private readonly pending: PendingPages[];
  private tableIndex = 0;
  private pageIndex = 0;

  /** Begins; from here on `sink` gets each page, by `step` or by a change that comes first. */
  constructor(
    private readonly state: State,
    sink: PageSink,
  ) {
    this.pending = state.tables.map((table) => table.beginCheckpoint(sink));
    this.head = {
      registers: { ...state.registers },
      rowCounts: Object.fromEntries(this.pending.map((p) => [p.table.id, p.rowCount])),
    };
    this.documents = state.documents.takeChanged();
    this.pageCount = this.pending.reduce((sum, p) => sum + p.pages.length, 0);
  }

  /** Writes up to `pagesMax` pages. Returns whether all are written. */
  step(pagesMax: number): boolean {
    assert(pagesMax > 0, "a step writes something");
    let written = 0;
    while (this.tableIndex < this.pending.length) {
      const { table, pages } = this.pending[this.tableIndex]!;
      while (this.pageIndex < pages.length) {
        if (written === pagesMax) return false;
        if (table.checkpointPage(pages[this.pageIndex++]!)) written++;
      }
      this.tableIndex++;
      this.pageIndex = 0;
    }
    return true;
  }

  /** Ends it when all pages are written. */
  end(): void {
    assert(this.tableIndex === this.pending.length, "all pages are written");
    for (const table of this.state.tables) table.endCheckpoint();
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
