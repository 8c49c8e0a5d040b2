// What has been answered, by terminal, business date and STAN, so that a repeat gets the first
// answer. One table for each business date kept; the oldest is dropped whole when a date begins.
//
// A row is the journal record of the use (engine/use.ts) with words 14 and 15 replaced:
//   word  field
//   14    position   low 32 bits
//   15    state      bits 0..15 position from bit 32, bits 16..18 USE_STATE
//
// Row 0, word 0: the business date (YYYYMMDD) of the table, 0 when unused.
//
// The twist is the index: neighbouring STANs of a terminal stand in one cache line of slots, since
// terminals count upwards. So a slot that is taken means that its whole line often is, and a probe
// goes on in the line behind it (PROBE_STEP; an odd number comes to every slot). Slots are as in
// RowIndex; the table never holds more than its limit, so the index is made at full size and never
// grows.

import { assert } from "../protocol/assert.js";
import { copyFour, WORD } from "../protocol/endian.js";
import { dayOfDate } from "./calendar.js";
import { reserveWords } from "./memory.js";
import { mix } from "./row-index.js";
import { Table } from "./table.js";
import { messageClass, USE_WORD, type Use } from "./use.js";

export const enum USE_STATE {
  /** The use stands in its card's counters. */
  COUNTED = 1 << 16,
  /** A reversal has taken it back. */
  REVERSED = 1 << 17,
  /** A reversal arrived first: the row waits for its original. */
  AWAITED = 1 << 18,
}
const STATE_MASK = USE_STATE.COUNTED | USE_STATE.REVERSED | USE_STATE.AWAITED;

const POSITION_WORD = USE_WORD.CATALOGUE;
const STATE_WORD = USE_WORD.CARD_ROW;
const ROW_MASK = (1 << 27) - 1;
/** Neighbouring STANs of a terminal whose slots share a line, as a shift. */
const STANS_PER_LINE_SHIFT = 4;
const LINE_MASK = (1 << STANS_PER_LINE_SHIFT) - 1;
/** A line of slots, and one more. */
const PROBE_STEP = (1 << STANS_PER_LINE_SHIFT) + 1;
const DATE_WORD = 0;

/** The uses of one business date. */
export class DateUses {
  readonly table: Table;
  /** The index, at full size. */
  slots: Int32Array;
  /** The empty slot at which the last look-up of a missing key ended, the key and its hash. */
  private missSlot = -1;
  private missHash = 0;
  private missTerminalId = 0;
  private missStan = 0;

  constructor(id: number, usesMax: number) {
    this.table = new Table(id, `uses-${id}`, USE_WORD.COUNT, usesMax + 1);
    assert(this.table.rowsMax <= ROW_MASK, "row numbers fit a slot");
    this.slots = newSlots(usesMax);
  }

  get businessDate(): number {
    return this.table.words[DATE_WORD]!;
  }

  /** Empties the table and gives it to another date. */
  begin(businessDate: number): void {
    if (this.table.rowCount > 1) {
      this.table.clear();
      this.slots = newSlots(this.table.rowsMax - 1);
      this.missSlot = -1;
    }
    this.table.touch(0);
    this.table.words[DATE_WORD] = businessDate;
  }

  find(terminalId: number, stan: number): number {
    const { slots } = this;
    const { words } = this.table;
    const mask = slots.length - 1;
    const hash = mix(terminalId, stan >> STANS_PER_LINE_SHIFT);
    let i = start(hash, stan) & mask;
    for (let slot = slots[i]!; slot !== 0; slot = slots[i]!) {
      if (((slot ^ hash) & ~ROW_MASK) === 0) {
        const row = slot & ROW_MASK;
        const base = row * USE_WORD.COUNT;
        if (
          words[base + USE_WORD.TERMINAL] === terminalId &&
          words[base + USE_WORD.STAN] === stan
        ) {
          return row;
        }
      }
      i = (i + PROBE_STEP) & mask;
    }
    this.missSlot = i;
    this.missHash = hash;
    this.missTerminalId = terminalId;
    this.missStan = stan;
    return 0;
  }

  /**
   * Brings the line in which a look-up begins into the cache: with many terminals it is another one
   * each time. What it returns means nothing.
   */
  warm(terminalId: number, stan: number): number {
    const { slots } = this;
    return slots[start(mix(terminalId, stan >> STANS_PER_LINE_SHIFT), stan) & (slots.length - 1)]!;
  }

  /** Adds a row for a key that is not there. The caller has looked at `table.full`. */
  add(terminalId: number, stan: number): number {
    const row = this.table.append();
    const base = row * USE_WORD.COUNT;
    this.table.words[base + USE_WORD.TERMINAL] = terminalId;
    this.table.words[base + USE_WORD.STAN] = stan;
    this.place(row, terminalId, stan);
    return row;
  }

  position(row: number): number {
    const base = row * USE_WORD.COUNT;
    const high = this.table.words[base + STATE_WORD]! & 0xffff;
    return (this.table.words[base + POSITION_WORD]! >>> 0) + high * WORD.RANGE;
  }

  state(row: number): number {
    return this.table.words[row * USE_WORD.COUNT + STATE_WORD]! & STATE_MASK;
  }

  setState(row: number, state: number): void {
    this.table.touch(row);
    const word = row * USE_WORD.COUNT + STATE_WORD;
    this.table.words[word] = (this.table.words[word]! & ~STATE_MASK) | state;
  }

  setPosition(row: number, position: number, state: number): void {
    this.table.touch(row);
    const base = row * USE_WORD.COUNT;
    const words = this.table.words;
    words[base + POSITION_WORD] = position | 0;
    const high = position < WORD.RANGE ? 0 : Math.floor(position / WORD.RANGE);
    assert(high <= 0xffff, "a position has 48 bits");
    words[base + STATE_WORD] = (state & STATE_MASK) | high;
  }

  reason(row: number): number {
    return this.table.words[row * USE_WORD.COUNT + USE_WORD.KINDS]! >>> 16;
  }

  /** Whether a reversal made this row and its original has not come. */
  waiting(row: number): boolean {
    return this.messageClass(row) === 0;
  }

  messageClass(row: number): number {
    return (this.table.words[row * USE_WORD.COUNT + USE_WORD.KINDS]! >>> 8) & 0xff;
  }

  /** After loading: the index from the rows. */
  rebuild(): void {
    this.slots = newSlots(this.table.rowsMax - 1);
    this.missSlot = -1;
    const words = this.table.words;
    for (let row = 1; row < this.table.rowCount; row++) {
      const base = row * USE_WORD.COUNT;
      this.place(row, words[base + USE_WORD.TERMINAL]!, words[base + USE_WORD.STAN]!);
    }
  }

  private place(row: number, terminalId: number, stan: number): void {
    const { slots } = this;
    if (this.missSlot >= 0 && this.missTerminalId === terminalId && this.missStan === stan) {
      slots[this.missSlot] = (this.missHash & ~ROW_MASK) | row;
      this.missSlot = -1;
      return;
    }
    const mask = slots.length - 1;
    const hash = mix(terminalId, stan >> STANS_PER_LINE_SHIFT);
    let i = start(hash, stan) & mask;
    while (slots[i] !== 0) i = (i + PROBE_STEP) & mask;
    slots[i] = (hash & ~ROW_MASK) | row;
    // It may have taken the slot that a look-up found empty.
    this.missSlot = -1;
  }
}

/**
 * Which field of a repeat differs from the first message, as a number of DIFFERING_FIELDS
 * (protocol/outcome-record.ts); 0 when none does.
 */
export function differingField(uses: DateUses, row: number, use: Use): number {
  const first = uses.table.words;
  const f = row * USE_WORD.COUNT;
  const { words, base, tokens, tokenBase } = use;
  if (uses.messageClass(row) !== messageClass(use.mti)) return 1;
  for (let i = 0; i < 4; i++) if (first[f + i] !== tokens[tokenBase + i]) return 2;
  if (first[f + USE_WORD.ITEM] !== words[base + USE_WORD.ITEM]) return 3;
  if (first[f + USE_WORD.AMOUNT] !== words[base + USE_WORD.AMOUNT]) return 4;
  if (first[f + USE_WORD.AMOUNT + 1] !== words[base + USE_WORD.AMOUNT + 1]) return 4;
  if (first[f + USE_WORD.LOCAL_TIME] !== words[base + USE_WORD.LOCAL_TIME]) return 5;
  if ((first[f + USE_WORD.KINDS]! & 0xff) !== use.medium) return 6;
  if (!use.isReversal) return 0;
  if (first[f + USE_WORD.REFERENCE] !== use.originalStan) return 7;
  if (first[f + USE_WORD.REFERENCE + 1] !== use.originalDate) return 8;
  return 0;
}

/** The dates kept: today's, those before it that are configured, and the next. */
export class Duplicates {
  readonly dates: DateUses[] = [];
  /** Oldest business date kept and newest taken (YYYYMMDD), by the time of the block. */
  oldestDate = 0;
  newestDate = 0;

  constructor(firstId: number, datesKept: number, usesPerDateMax: number) {
    for (let i = 0; i <= datesKept; i++) this.dates.push(new DateUses(firstId + i, usesPerDateMax));
  }

  /** Whether a date is kept: one of the calendar, from oldestDate to newestDate. */
  keeps(businessDate: number): boolean {
    return this.dates.some((uses) => uses.businessDate === businessDate);
  }

  /** `DateUses.warm` of a date; nothing of one that is not kept. */
  warm(businessDate: number, terminalId: number, stan: number): number {
    for (let i = 0; i < this.dates.length; i++) {
      const uses = this.dates[i]!;
      if (uses.businessDate === businessDate) return uses.warm(terminalId, stan);
    }
    return 0;
  }

  /** The uses of a date that is kept. */
  of(businessDate: number): DateUses {
    for (let i = 0; i < this.dates.length; i++) {
      const uses = this.dates[i]!;
      if (uses.businessDate === businessDate) return uses;
    }
    assert(false, "a kept date has its table");
  }

  /**
   * Moves on to the dates in force, oldest first, one for each table. A date's table follows from
   * the date alone, so it does not matter on which days a block was written.
   */
  moveTo(dates: readonly number[]): void {
    assert(dates.length === this.dates.length, "one table for each date");
    this.oldestDate = dates[0]!;
    this.newestDate = dates.at(-1)!;
    for (const date of dates) {
      const uses = this.dates[dayOfDate(date) % this.dates.length]!;
      if (uses.businessDate !== date) uses.begin(date);
    }
  }

  rebuild(): void {
    for (const uses of this.dates) uses.rebuild();
    const dates = this.dates.map((uses) => uses.businessDate).sort((a, b) => a - b);
    this.oldestDate = dates[0]!;
    this.newestDate = dates.at(-1)!;
  }

  /** Rows remembered, all dates together. */
  get count(): number {
    return this.dates.reduce((sum, uses) => sum + uses.table.rowCount - 1, 0);
  }
}

/** Copies a use that is read from its journal record into its row. */
export function fillRow(
  uses: DateUses,
  row: number,
  use: Use,
  position: number,
  state: number,
): void {
  uses.setPosition(row, position, state);
  const words = uses.table.words;
  const from = use.words;
  const first = use.base;
  const base = row * USE_WORD.COUNT;
  copyFour(words, base, from, first);
  copyFour(words, base + 4, from, first + 4);
  copyFour(words, base + 8, from, first + 8);
  words[base + USE_WORD.REFERENCE] = use.originalStan;
  words[base + USE_WORD.REFERENCE + 1] = use.originalDate;
  assert(words[base + USE_WORD.DATE] === uses.businessDate, "a use stands under its date");
}

function start(hash: number, stan: number): number {
  return (hash << STANS_PER_LINE_SHIFT) | (stan & LINE_MASK);
}

/** Bytes of the index of one date: memory comes to its pages as they are first written. */
export function usesIndexSize(usesMax: number): number {
  return 4 * 2 ** Math.ceil(Math.log2(Math.max(usesMax * 2, 1024)));
}

function newSlots(usesMax: number): Int32Array {
  return reserveWords(usesIndexSize(usesMax) / WORD.SIZE);
}
