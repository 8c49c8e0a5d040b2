// A table: fixed-size rows of 32-bit words in one SharedArrayBuffer, reserved at full size (the
// kernel gives memory as rows are first written) and never moved.
//
// The twist is the page state beside it. A checkpoint must see every page as it was at one
// position while uses go on: a page that the checkpoint still has to write is copied out on its
// first change (copy on write), so that all pages of a checkpoint hold the same position.
//
// Invariants: every write to a row is preceded by `touch(row)`; row 0 is never a record (it holds
// the table's own scalars), so a row number of 0 means none.

import { assert } from "../protocol/assert.js";
import { WORD_SIZE } from "../protocol/endian.js";

const PAGE_ROWS_SHIFT = 8;
export const PAGE_ROWS = 1 << PAGE_ROWS_SHIFT;

const PAGE_CLEAN = 0;
const PAGE_DIRTY = 1;
const PAGE_PENDING = 2;

/** Receives a copied page: at most PAGE_ROWS rows, fewer only at the end of the table. */
export type PageSink = (table: Table, page: number, words: Int32Array) => void;

/** The pages of one table that a checkpoint still has to write, at one position. */
export interface PendingPages {
  readonly table: Table;
  readonly rowCount: number;
  readonly pages: Int32Array;
}

export class Table {
  words: Int32Array;
  /** Rows in use, row 0 included. */
  rowCount = 1;
  private pageStates: Uint8Array;
  private dirtyPages: number[] = [];
  private pendingSink: PageSink | null = null;

  /** `id` (0..255) names the table in storage; `rowsMax` is the most rows, row 0 included. */
  constructor(
    readonly id: number,
    readonly name: string,
    readonly rowWords: number,
    readonly rowsMax: number,
  ) {
    assert(rowsMax > 1 && rowsMax < 2 ** 31, "table rows are in range");
    this.words = reserve(rowsMax * rowWords);
    this.pageStates = new Uint8Array((rowsMax >> PAGE_ROWS_SHIFT) + 1);
    this.touch(0);
  }

  /** Must precede every write to `row`. */
  touch(row: number): void {
    const page = row >> PAGE_ROWS_SHIFT;
    if (this.pageStates[page] !== PAGE_DIRTY) this.dirty(page);
  }

  get full(): boolean {
    return this.rowCount >= this.rowsMax;
  }

  /** Rows that can still be added. */
  get room(): number {
    return this.rowsMax - this.rowCount;
  }

  /** Adds a zeroed row and returns its number. The caller has looked at `full`. */
  append(): number {
    assert(this.rowCount < this.rowsMax, "table has room");
    const row = this.rowCount++;
    this.touch(row);
    return row;
  }

  /** Forgets all rows. Pages that a running checkpoint still needs are copied out first. */
  clear(): void {
    if (this.pendingSink !== null) this.copyPending();
    this.words = reserve(this.rowsMax * this.rowWords);
    this.pageStates.fill(PAGE_CLEAN);
    this.dirtyPages = [];
    this.rowCount = 1;
    this.touch(0);
  }

  /** Starts a checkpoint of this table: dirty pages become pending, and `sink` gets them. */
  beginCheckpoint(sink: PageSink): PendingPages {
    assert(this.pendingSink === null, "one checkpoint at a time");
    this.pendingSink = sink;
    const pages = Int32Array.from(this.dirtyPages);
    for (const page of pages) this.pageStates[page] = PAGE_PENDING;
    this.dirtyPages = [];
    return { table: this, rowCount: this.rowCount, pages };
  }

  /** Writes `page` out unless a change has done so already. Returns whether it did. */
  checkpointPage(page: number): boolean {
    if (this.pageStates[page] !== PAGE_PENDING) return false;
    this.pageStates[page] = PAGE_CLEAN;
    this.copyOut(page);
    return true;
  }

  endCheckpoint(): void {
    this.pendingSink = null;
  }

  /**
   * Fills a page while loading; `rowCount` is set by `loaded`. Rows of the last page beyond the
   * most rows are left out: the table may have been larger when the page was written.
   */
  loadPage(page: number, bytes: Uint8Array): void {
    const start = page * PAGE_ROWS * this.rowWords * WORD_SIZE;
    const size = Math.min(bytes.length, this.words.byteLength - start);
    new Uint8Array(this.words.buffer, start, size).set(bytes.subarray(0, size));
  }

  /** Ends loading: the table holds `rowCount` rows, all clean. */
  loaded(rowCount: number): void {
    assert(rowCount >= 1 && rowCount <= this.rowsMax, "loaded rows fit the table");
    this.rowCount = rowCount;
    const pageEnd = ((rowCount + PAGE_ROWS - 1) >> PAGE_ROWS_SHIFT) << PAGE_ROWS_SHIFT;
    this.words.fill(0, rowCount * this.rowWords, pageEnd * this.rowWords);
    this.pageStates.fill(PAGE_CLEAN);
    this.dirtyPages = [];
  }

  /** The words of all rows in use. */
  used(): Int32Array {
    return this.words.subarray(0, this.rowCount * this.rowWords);
  }

  invariants(): void {
    assert(this.rowCount >= 1 && this.rowCount <= this.rowsMax, "row count is in range");
    for (const page of this.dirtyPages) {
      assert(this.pageStates[page] === PAGE_DIRTY, "listed pages are dirty");
    }
  }

  private dirty(page: number): void {
    if (this.pageStates[page] === PAGE_PENDING) this.copyOut(page);
    this.pageStates[page] = PAGE_DIRTY;
    this.dirtyPages.push(page);
  }

  private copyOut(page: number): void {
    assert(this.pendingSink !== null, "a pending page has a checkpoint");
    const start = page * PAGE_ROWS * this.rowWords;
    const end = Math.min(start + PAGE_ROWS * this.rowWords, this.words.length);
    this.pendingSink(this, page, this.words.slice(start, end));
  }

  private copyPending(): void {
    for (let page = 0; page < this.pageStates.length; page++) this.checkpointPage(page);
  }
}

function reserve(wordCount: number): Int32Array {
  return new Int32Array(new SharedArrayBuffer(wordCount * WORD_SIZE));
}
