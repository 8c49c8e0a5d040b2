// The holder table: one row for each person with a card, found by the token of the ID number.
//
//   word  field
//   0     token               4 words
//   4     chipCount           u16 low: chip cards in use (issued to lost); u16 high: electronic
//   5     flags               bit 0: has had an entry on the blacklist
//   6     firstCardRow        the holder's first card
//
// The twist: whether a holder is listed is also kept as one bit in an array of bits, so the usual
// tap never reads its holder's row, which takes 28 bytes. Those of a batch are read ahead: the bits
// of ten million persons do not stay in a cache near the processor either.

import type { Cards } from "./cards.js";
import { RowIndex } from "./row-index.js";
import { Table } from "./table.js";

const HOLDER_COUNTS_WORD = 4;
const HOLDER_FLAGS_WORD = 5;
const HOLDER_FIRST_CARD_WORD = 6;
const HOLDER_WORDS = 7;
const FLAG_LISTED = 1;
const ELECTRONIC_ONE = 1 << 16;

export class Holders {
  readonly table: Table;
  readonly index: RowIndex;
  private readonly listedBits: Uint8Array;
  /** Of use to nobody but the compiler, which would leave the loads out. */
  seen = 0;

  constructor(id: number, holdersMax: number) {
    this.table = new Table(id, "holders", HOLDER_WORDS, holdersMax + 1);
    this.index = new RowIndex(this.table, 0, 4);
    this.listedBits = new Uint8Array((holdersMax >> 3) + 1);
  }

  get count(): number {
    return this.table.rowCount - 1;
  }

  listed(row: number): boolean {
    return (this.listedBits[row >> 3]! & (1 << (row & 7))) !== 0;
  }

  /**
   * Brings the bits of the holders of `count` cards into the cache, by loads that do not wait for
   * each other, four in a turn of the loop as in `RowIndex.findMany`. A row of 0 is no card.
   */
  warmListed(cards: Cards, rows: Int32Array, count: number): void {
    const bits = this.listedBits;
    let seen = 0;
    let i = 0;
    for (; i + 3 < count; i += 4) {
      const a = cards.holderRow(rows[i]!) >> 3;
      const b = cards.holderRow(rows[i + 1]!) >> 3;
      const c = cards.holderRow(rows[i + 2]!) >> 3;
      const d = cards.holderRow(rows[i + 3]!) >> 3;
      seen |= bits[a]! | bits[b]! | bits[c]! | bits[d]!;
    }
    for (; i < count; i++) seen |= bits[cards.holderRow(rows[i]!) >> 3]!;
    this.seen = seen;
  }

  /** Chip cards of the holder that have not ended. */
  chipCount(row: number): number {
    return this.table.words[row * HOLDER_WORDS + HOLDER_COUNTS_WORD]! & 0xffff;
  }

  /** Adds a holder whose token stands in `words` at `at`; the caller has looked at `table.full`. */
  add(words: Int32Array, at: number): number {
    const row = this.table.append();
    for (let i = 0; i < 4; i++) this.table.words[row * HOLDER_WORDS + i] = words[at + i]!;
    this.index.insert(row);
    return row;
  }

  setListed(row: number, listed: boolean): void {
    this.table.touch(row);
    this.table.words[row * HOLDER_WORDS + HOLDER_FLAGS_WORD] = listed ? FLAG_LISTED : 0;
    this.setBit(row, listed);
  }

  /** After loading: the bits from the rows, and the index unless it was made beside. */
  rebuild(indexed: boolean): void {
    if (!indexed) this.index.rebuild(null);
    this.listedBits.fill(0);
    for (let row = 1; row < this.table.rowCount; row++) {
      const flags = this.table.words[row * HOLDER_WORDS + HOLDER_FLAGS_WORD]!;
      if ((flags & FLAG_LISTED) !== 0) this.setBit(row, true);
    }
  }

  /** Adds (`by` 1) or takes away (-1) a card in use of the medium (1 chip, 2 electronic). */
  countCard(row: number, medium: number, by: number, cardRow: number): void {
    this.table.touch(row);
    const base = row * HOLDER_WORDS;
    const words = this.table.words;
    const one = medium === 1 ? 1 : ELECTRONIC_ONE;
    words[base + HOLDER_COUNTS_WORD] = words[base + HOLDER_COUNTS_WORD]! + by * one;
    if (words[base + HOLDER_FIRST_CARD_WORD] === 0) words[base + HOLDER_FIRST_CARD_WORD] = cardRow;
  }

  private setBit(row: number, on: boolean): void {
    const byte = row >> 3;
    const bit = 1 << (row & 7);
    this.listedBits[byte] = on ? this.listedBits[byte]! | bit : this.listedBits[byte]! & ~bit;
  }
}
