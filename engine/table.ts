// A table: fixed-size rows of 32-bit words in one SharedArrayBuffer, reserved at full size (the
// kernel gives memory as rows are first written) and never moved.
//
// The twist is the page state beside it. A checkpoint must see every page as it was at one
// position while uses go on: the first change of a row whose page the checkpoint still has to take
// keeps the row as it was (engine/snapshot.ts), so that all pages hold the same position.
//
// Invariants: every write to a row is preceded by `touch(row)`; row 0 is never a record (it holds
// the table's own scalars), so a row number of 0 means none.

import { assert } from "../protocol/assert.js";
import { WORD } from "../protocol/endian.js";
import { reserveWords } from "./memory.js";
import { PAGE, PAGE_STATE, Snapshot } from "./snapshot.js";

export class Table {
  /** Rows in use, row 0 included. */
  rowCount = 1;
  private pageStates: Uint8Array;
  private snapshot: Snapshot | null = null;
  private checkpointing = false;

  /**
   * `id` (0..255) names the table in storage; `rowsMax` is the most rows, row 0 included; `words`
   * are those of another thread's table.
   */
  constructor(
    readonly id: number,
    readonly name: string,
    readonly rowWords: number,
    readonly rowsMax: number,
    public words = reserveWords(rowsMax * rowWords),
  ) {
    assert(rowsMax > 1 && rowsMax < 2 ** 31, "table rows are in range");
    this.pageStates = this.newPageStates();
    this.touch(0);
  }

  /** Must precede every write to `row`. */
  touch(row: number): void {
    if (this.pageStates[row >> PAGE.ROWS_SHIFT] !== PAGE_STATE.DIRTY) this.change(row);
  }

  get full(): boolean {
    return this.rowCount >= this.rowsMax;
  }

  /** Rows that can still be added. */
  get room(): number {
    return this.rowsMax - this.rowCount;
  }

  /** Words of a whole page. */
  get pageWords(): number {
    return PAGE.ROWS * this.rowWords;
  }

  /** Adds a zeroed row and returns its number. The caller has looked at `full`. */
  append(): number {
    assert(this.rowCount < this.rowsMax, "table has room");
    const row = this.rowCount++;
    this.touch(row);
    return row;
  }

  /** Forgets all rows. A running checkpoint goes on with what they were. */
  clear(): void {
    this.snapshot = null;
    this.words = reserveWords(this.rowsMax * this.rowWords);
    this.pageStates = this.newPageStates();
    this.rowCount = 1;
    this.touch(0);
  }

  /** Starts a checkpoint of this table: what the changed pages hold now. */
  beginCheckpoint(): Snapshot {
    assert(!this.checkpointing, "one checkpoint at a time");
    this.checkpointing = true;
    const before = this.pageStates;
    this.pageStates = this.newPageStates();
    this.snapshot = new Snapshot(this.words, this.rowWords, this.rowCount, before, this.pageStates);
    return this.snapshot;
  }

  /** Ends it. If pages of it were not taken, all of the table counts as changed. */
  endCheckpoint(): void {
    const pageEnd = ((this.rowCount - 1) >> PAGE.ROWS_SHIFT) + 1;
    if (this.snapshot?.complete === false) this.pageStates.fill(PAGE_STATE.DIRTY, 0, pageEnd);
    this.snapshot = null;
    this.checkpointing = false;
  }

  /**
   * Fills a page while loading; `rowCount` is set by `loaded`. Rows of the last page beyond the
   * most rows are left out: the table may have been larger when the page was written.
   */
  loadPage(page: number, bytes: Uint8Array): void {
    const start = page * PAGE.ROWS * this.rowWords * WORD.SIZE;
    const size = Math.min(bytes.length, this.words.byteLength - start);
    new Uint8Array(this.words.buffer, start, size).set(bytes.subarray(0, size));
  }

  /** Ends loading: the table holds `rowCount` rows, all clean. */
  loaded(rowCount: number): void {
    assert(rowCount >= 1 && rowCount <= this.rowsMax, "loaded rows fit the table");
    this.rowCount = rowCount;
    const pageEnd = ((rowCount + PAGE.ROWS - 1) >> PAGE.ROWS_SHIFT) << PAGE.ROWS_SHIFT;
    this.words.fill(0, rowCount * this.rowWords, pageEnd * this.rowWords);
    this.pageStates.fill(PAGE_STATE.CLEAN);
  }

  /** The words of all rows in use. */
  used(): Int32Array {
    return this.words.subarray(0, this.rowCount * this.rowWords);
  }

  invariants(): void {
    assert(this.rowCount >= 1 && this.rowCount <= this.rowsMax, "row count is in range");
    const kept = this.pageStates.indexOf(PAGE_STATE.KEPT);
    assert(kept === -1 || this.snapshot!.holds(kept), "rows are kept for a page not yet taken");
  }

  private change(row: number): void {
    const page = row >> PAGE.ROWS_SHIFT;
    const { snapshot } = this;
    if (snapshot === null || !snapshot.holds(page)) {
      this.pageStates[page] = PAGE_STATE.DIRTY;
    } else {
      snapshot.keep(row);
      this.pageStates[page] = PAGE_STATE.KEPT;
    }
  }

  private newPageStates(): Uint8Array {
    return new Uint8Array((this.rowsMax >> PAGE.ROWS_SHIFT) + 1);
  }
}
