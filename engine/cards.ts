// The card table: one row for each card instance, chip or electronic, found by its token.
//
//   word  field
//   0     token               4 words
//   4     status              bits 0..7 CARD_STATUS, 8..15 medium, 16..31 expiryDay
//   5     regionCode          bits 0..19 issuing region, 20..31 flags
//   6     holderRow           row of the holder
//   7     lastUseTime         seconds since 1970 UTC of the last counted use
//   8     lastUseTerminalId
//   9     useCount            uses counted and not reversed
//   10    amountMinorTotal    u64 over two words, fen

import { assert } from "../protocol/assert.js";
import { addU64, readU64, writeU64 } from "../protocol/endian.js";
import { CARD_STATUS } from "./domain.js";
import { RowIndex } from "./row-index.js";
import { Table } from "./table.js";

const CARD_STATUS_WORD = 4;
const CARD_REGION_WORD = 5;
const CARD_HOLDER_WORD = 6;
const CARD_LAST_USE_TIME_WORD = 7;
const CARD_LAST_USE_TERMINAL_WORD = 8;
const CARD_USE_COUNT_WORD = 9;
const CARD_AMOUNT_TOTAL_WORD = 10;
const CARD_WORDS = 12;

const REGION_MASK = 0xfffff;
/** The card, or a range it may lie in, has had an entry on the blacklist. */
const FLAG_LISTED = 1 << 20;
/** The card has been active; a release from loss makes it so again. */
const FLAG_ACTIVATED = 1 << 21;

export class Cards {
  readonly table: Table;
  readonly index: RowIndex;

  constructor(id: number, cardsMax: number) {
    this.table = new Table(id, "cards", CARD_WORDS, cardsMax + 1);
    this.index = new RowIndex(this.table, 0, 4);
  }

  /** Cards in the table. */
  get count(): number {
    return this.table.rowCount - 1;
  }

  status(row: number): number {
    return this.table.words[row * CARD_WORDS + CARD_STATUS_WORD]! & 0xff;
  }

  medium(row: number): number {
    return (this.table.words[row * CARD_WORDS + CARD_STATUS_WORD]! >>> 8) & 0xff;
  }

  /** Last day of use, days since 1970-01-01. */
  expiryDay(row: number): number {
    return this.table.words[row * CARD_WORDS + CARD_STATUS_WORD]! >>> 16;
  }

  regionCode(row: number): number {
    return this.table.words[row * CARD_WORDS + CARD_REGION_WORD]! & REGION_MASK;
  }

  listed(row: number): boolean {
    return (this.table.words[row * CARD_WORDS + CARD_REGION_WORD]! & FLAG_LISTED) !== 0;
  }

  holderRow(row: number): number {
    return this.table.words[row * CARD_WORDS + CARD_HOLDER_WORD]!;
  }

  lastUseTime(row: number): number {
    return this.table.words[row * CARD_WORDS + CARD_LAST_USE_TIME_WORD]! >>> 0;
  }

  lastUseTerminalId(row: number): number {
    return this.table.words[row * CARD_WORDS + CARD_LAST_USE_TERMINAL_WORD]!;
  }

  useCount(row: number): number {
    return this.table.words[row * CARD_WORDS + CARD_USE_COUNT_WORD]! >>> 0;
  }

  amountMinorTotal(row: number): number {
    return readU64(this.table.words, row * CARD_WORDS + CARD_AMOUNT_TOTAL_WORD);
  }

  /** Adds a card whose token is not in the table; the caller has looked at `table.full`. */
  add(
    token: Int32Array,
    status: number,
    medium: number,
    expiryDay: number,
    regionCode: number,
    holderRow: number,
  ): number {
    assert(regionCode <= REGION_MASK, "a region code has six digits");
    const row = this.table.append();
    const words = this.table.words;
    const base = row * CARD_WORDS;
    for (let i = 0; i < 4; i++) words[base + i] = token[i]!;
    words[base + CARD_STATUS_WORD] = status | (medium << 8) | (expiryDay << 16);
    const issued = status === CARD_STATUS.ISSUED;
    words[base + CARD_REGION_WORD] = regionCode | (issued ? 0 : FLAG_ACTIVATED);
    words[base + CARD_HOLDER_WORD] = holderRow;
    this.index.insert(row);
    return row;
  }

  setStatus(row: number, status: number): void {
    this.table.touch(row);
    const base = row * CARD_WORDS;
    const words = this.table.words;
    words[base + CARD_STATUS_WORD] = (words[base + CARD_STATUS_WORD]! & ~0xff) | status;
    if (status !== CARD_STATUS.ACTIVE) return;
    words[base + CARD_REGION_WORD] = words[base + CARD_REGION_WORD]! | FLAG_ACTIVATED;
  }

  /** Whether the card has ever been active. */
  activated(row: number): boolean {
    return (this.table.words[row * CARD_WORDS + CARD_REGION_WORD]! & FLAG_ACTIVATED) !== 0;
  }

  setListed(row: number, listed: boolean): void {
    this.table.touch(row);
    const word = row * CARD_WORDS + CARD_REGION_WORD;
    const others = this.table.words[word]! & ~FLAG_LISTED;
    this.table.words[word] = listed ? others | FLAG_LISTED : others;
  }

  /** Counts a use. Cannot fail: totals wrap only beyond what a card can use in its life. */
  countUse(row: number, amountMinor: number, timeSeconds: number, terminalId: number): void {
    this.table.touch(row);
    const words = this.table.words;
    const base = row * CARD_WORDS;
    words[base + CARD_LAST_USE_TIME_WORD] = timeSeconds | 0;
    words[base + CARD_LAST_USE_TERMINAL_WORD] = terminalId;
    words[base + CARD_USE_COUNT_WORD] = words[base + CARD_USE_COUNT_WORD]! + 1;
    addU64(words, base + CARD_AMOUNT_TOTAL_WORD, amountMinor);
  }

  /** Takes back a counted use (a reversal). The time and place of the last use stay. */
  uncountUse(row: number, amountMinor: number): void {
    this.table.touch(row);
    const words = this.table.words;
    const base = row * CARD_WORDS;
    assert(words[base + CARD_USE_COUNT_WORD] !== 0, "a reversed use was counted");
    words[base + CARD_USE_COUNT_WORD] = words[base + CARD_USE_COUNT_WORD]! - 1;
    const total = base + CARD_AMOUNT_TOTAL_WORD;
    writeU64(words, total, readU64(words, total) - amountMinor);
  }
}
