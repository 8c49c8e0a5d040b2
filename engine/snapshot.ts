// The rows of one table as they were when a checkpoint began, while the table goes on changing. Its
// pages are taken one by one; a row that changes before its page was taken is kept here first.
//
// The twist: a row is kept and not its page. Uses touch random cards, so a copy of each page they
// touch would be a copy of the table within a second, and every use would wait for one.
// Invariant: a page that is taken holds every row as it was at the begin.

import { assert } from "../protocol/assert.js";

export const enum PAGE {
  ROWS_SHIFT = 8,
  ROWS = 1 << ROWS_SHIFT,
}

export const enum PAGE_STATE {
  CLEAN = 0,
  DIRTY = 1,
  /** Changed while a checkpoint still has to take it: its other rows are looked at, too. */
  KEPT = 2,
}

/** Kept rows stand in chunks of this many, so that nothing is moved as they grow. */
const CHUNK_ROWS_SHIFT = 12;
const CHUNK_ROWS = 1 << CHUNK_ROWS_SHIFT;
const ROW_IN_PAGE_MASK = PAGE.ROWS - 1;

export class Snapshot {
  private cursor = 0;
  /** A bit for each row that is kept. */
  private readonly keptBits: Uint8Array;
  /** Newest kept row of each page, counted from 1; 0 none. */
  private readonly newestOfPage: Int32Array;
  /** For each kept row its number in the table and the one kept before it in its page. */
  private readonly keptHeads: Int32Array[] = [];
  private readonly keptWords: Int32Array[] = [];
  private keptCount = 0;

  /** `pending` are the page states at the begin, `now` those that follow the table. */
  constructor(
    private readonly words: Int32Array,
    private readonly rowWords: number,
    readonly rowCount: number,
    private readonly pending: Uint8Array,
    private readonly now: Uint8Array,
  ) {
    this.keptBits = new Uint8Array((rowCount >> 3) + 1);
    this.newestOfPage = new Int32Array(pending.length);
  }

  /** Whether a page has still to be taken. */
  holds(page: number): boolean {
    return this.pending[page] !== PAGE_STATE.CLEAN;
  }

  /** Whether all pages were taken. */
  get complete(): boolean {
    return this.nextPage() === -1;
  }

  /** Keeps a row of a page that it holds. Must precede the row's first change. */
  keep(row: number): void {
    const bit = 1 << (row & 7);
    if (row >= this.rowCount || (this.keptBits[row >> 3]! & bit) !== 0) return;
    this.keptBits[row >> 3] = this.keptBits[row >> 3]! | bit;
    const { rowWords } = this;
    const place = this.keptCount & (CHUNK_ROWS - 1);
    if (place === 0) {
      this.keptHeads.push(new Int32Array(2 * CHUNK_ROWS));
      this.keptWords.push(new Int32Array(rowWords * CHUNK_ROWS));
    }
    const heads = this.keptHeads.at(-1)!;
    const page = row >> PAGE.ROWS_SHIFT;
    heads[2 * place] = row;
    heads[2 * place + 1] = this.newestOfPage[page]!;
    this.newestOfPage[page] = ++this.keptCount;
    const words = this.keptWords.at(-1)!;
    const from = row * rowWords;
    for (let i = 0; i < rowWords; i++) words[place * rowWords + i] = this.words[from + i]!;
  }

  /** Copies the next page into `target`. Returns its number, or -1 when all were taken. */
  take(target: Int32Array): number {
    const page = this.nextPage();
    if (page === -1) return -1;
    const start = page * PAGE.ROWS * this.rowWords;
    const source = this.words.subarray(start, start + this.pageWords(page));
    assert(target.length >= source.length, "a page fits its target");
    target.set(source);
    this.putBack(page, target);
    this.pending[page] = PAGE_STATE.CLEAN;
    if (this.now[page] === PAGE_STATE.KEPT) this.now[page] = PAGE_STATE.DIRTY;
    return page;
  }

  /** Words of a page: fewer only at the end of the table. */
  pageWords(page: number): number {
    const size = PAGE.ROWS * this.rowWords;
    return Math.min(size, this.words.length - page * size);
  }

  private nextPage(): number {
    const { pending } = this;
    while (this.cursor < pending.length && pending[this.cursor] === PAGE_STATE.CLEAN) this.cursor++;
    return this.cursor < pending.length ? this.cursor : -1;
  }

  private putBack(page: number, target: Int32Array): void {
    const { rowWords } = this;
    for (let kept = this.newestOfPage[page]!; kept !== 0; ) {
      const chunk = (kept - 1) >> CHUNK_ROWS_SHIFT;
      const place = (kept - 1) & (CHUNK_ROWS - 1);
      const heads = this.keptHeads[chunk]!;
      const words = this.keptWords[chunk]!;
      const to = (heads[2 * place]! & ROW_IN_PAGE_MASK) * rowWords;
      for (let i = 0; i < rowWords; i++) target[to + i] = words[place * rowWords + i]!;
      kept = heads[2 * place + 1]!;
    }
  }
}
