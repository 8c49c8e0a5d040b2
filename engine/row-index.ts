// An index from a key of 1, 2 or 4 words inside a table's rows to the row: open addressing, linear
// probing, one 32-bit slot for each entry. A slot is the row number (27 bits) with five bits of the
// key's hash above it, so that a probe that meets another key seldom reads that key's row.
//
// The twist: it grows without a pause. At 80 % it takes a new table of slots and each later insert
// moves some slots over; look-ups ask both until the old one is empty. The new one has twice the
// size, or the same when half of those 80 % only tell of removed rows.
// Invariant: each indexed row stands in exactly one slot of one of the two.

import { assert } from "../protocol/assert.js";
import { reserveWords } from "./memory.js";
import { SlotOrder } from "./slot-order.js";
import type { Table } from "./table.js";

const ROW_BITS = 27;
const ROW_MASK = (1 << ROW_BITS) - 1;
/** Most records of a table whose rows stand in a slot of an index; row 0 is none. */
export const RECORDS_MAX = ROW_MASK - 1;
const SLOT_EMPTY = 0;
/** Row 0 is no record, so a slot with hash bits and row 0 can stand for a removed one. */
const SLOT_REMOVED = 1 << ROW_BITS;
const SLOTS_MIN = 1024;
/** At 0.8 full growth starts; moving 8 slots an insert ends it long before 0.8 is met again. */
const LOAD_NUMERATOR = 4;
const LOAD_DENOMINATOR = 5;
const MOVED_PER_INSERT = 8;

export class RowIndex {
  private slots: Int32Array;
  /** Slots of `slots` that are not empty, removed ones included. */
  private usedCount = 0;
  /** Rows in the index. */
  private rowCount = 0;
  private oldSlots: Int32Array | null = null;
  private oldCursor = 0;
  /** Of use to nobody but the compiler, which would leave the loads out. */
  seen = 0;

  constructor(
    private readonly table: Table,
    private readonly keyOffset: number,
    private readonly keyWords: 1 | 2 | 4,
    slotCount = SLOTS_MIN,
  ) {
    assert(table.rowsMax <= ROW_MASK, "row numbers fit a slot");
    this.slots = reserveWords(powerOfTwo(Math.max(slotCount, SLOTS_MIN)));
  }

  /** The row with this key (unused words 0), or 0. */
  find(a: number, b: number, c: number, d: number): number {
    const hash = mix(a, b);
    const row = this.findIn(this.slots, hash, a, b, c, d);
    if (row !== 0 || this.oldSlots === null) return row;
    return this.findIn(this.oldSlots, hash, a, b, c, d);
  }

  /** The row with the key of four words that stands at `at`, or 0. */
  findAt(keys: Int32Array, at: number): number {
    return this.find(keys[at]!, keys[at + 1]!, keys[at + 2]!, keys[at + 3]!);
  }

  /**
   * Rows of `count` keys of four words, one every `stride` words from `first` on, to
   * rows[0..count); 0 where there is none. Sooner than one by one: the loads of a pass do not wait
   * for each other, so that the misses of many keys are on their way to memory at once, the more
   * of them the less a pass does beside.
   */
  findMany(keys: Int32Array, first: number, stride: number, count: number, rows: Int32Array): void {
    assert(this.keyWords === 4 && count <= rows.length, "keys are tokens, and the rows have room");
    const { slots } = this;
    const mask = slots.length - 1;
    for (let i = 0, k = first; i < count; i++, k += stride) {
      rows[i] = mix(keys[k]!, keys[k + 1]!) & mask;
    }
    replaceByWords(rows, count, slots);
    for (let i = 0, k = first; i < count; i++, k += stride) {
      rows[i] = probe(slots, mix(keys[k]!, keys[k + 1]!), rows[i]!);
    }
    const { words, rowWords } = this.table;
    const { keyOffset } = this;
    this.seen = readEnds(rows, count, words, rowWords);
    for (let i = 0, k = first; i < count; i++, k += stride) {
      const at = rows[i]! * rowWords + keyOffset;
      const found =
        rows[i] !== 0 &&
        words[at] === keys[k] &&
        words[at + 1] === keys[k + 1] &&
        words[at + 2] === keys[k + 2] &&
        words[at + 3] === keys[k + 3];
      if (!found) rows[i] = this.findAt(keys, k);
    }
  }

  /**
   * Brings the slots of `count` keys of four words, one every `stride` words from `first` on, into
   * the cache: loads that do not wait for each other. Returns nothing of use but to the compiler.
   */
  warm(keys: Int32Array, first: number, stride: number, count: number): number {
    const { slots, oldSlots } = this;
    let seen = 0;
    for (let i = 0, k = first; i < count; i++, k += stride) {
      const hash = mix(keys[k]!, keys[k + 1]!);
      seen |= slots[hash & (slots.length - 1)]!;
      if (oldSlots !== null) seen |= oldSlots[hash & (oldSlots.length - 1)]!;
    }
    return seen;
  }

  /** Adds a row whose key words are written and not in the index yet. */
  insert(row: number): void {
    if (this.oldSlots !== null) this.move(MOVED_PER_INSERT);
    else if ((this.usedCount + 1) * LOAD_DENOMINATOR > this.slots.length * LOAD_NUMERATOR) {
      this.grow();
    }
    this.rowCount++;
    this.place(row);
  }

  /** Removes a row; its key words are still as they were when it was inserted. */
  remove(row: number): void {
    const hash = this.rowHash(row);
    this.rowCount--;
    if (removeFrom(this.slots, hash, row)) return;
    const removed = this.oldSlots !== null && removeFrom(this.oldSlots, hash, row);
    assert(removed, "the removed row is in the index");
  }

  /** Empties the index and adds rows 1 to rowCount-1 for which `included` holds. */
  rebuild(included: ((row: number) => boolean) | null): void {
    const { rowCount } = this.table;
    const expected = Math.ceil((rowCount * LOAD_DENOMINATOR) / LOAD_NUMERATOR);
    this.slots = reserveWords(powerOfTwo(Math.max(SLOTS_MIN, expected)));
    this.oldSlots = null;
    this.usedCount = 0;
    this.rowCount = 0;
    if (included === null) {
      this.fill();
      return;
    }
    for (let row = 1; row < rowCount; row++) {
      if (!included(row)) continue;
      this.rowCount++;
      this.place(row);
    }
  }

  /** The slots of an index that was just rebuilt, for `adopt` in another thread. */
  get filledSlots(): Int32Array {
    assert(this.oldSlots === null, "the index was just rebuilt");
    return this.slots;
  }

  /** Takes the slots that another thread has rebuilt from all rows of the same table. */
  adopt(slots: Int32Array): void {
    this.slots = slots;
    this.oldSlots = null;
    this.rowCount = this.table.rowCount - 1;
    this.usedCount = this.rowCount;
  }

  /** Bytes of the index. */
  get size(): number {
    return this.slots.byteLength + (this.oldSlots?.byteLength ?? 0);
  }

  private findIn(
    slots: Int32Array,
    hash: number,
    a: number,
    b: number,
    c: number,
    d: number,
  ): number {
    const mask = slots.length - 1;
    const tag = hash & ~ROW_MASK;
    const words = this.table.words;
    const rowWords = this.table.rowWords;
    const keyWords = this.keyWords;
    for (let i = hash & mask; ; i = (i + 1) & mask) {
      const slot = slots[i]!;
      if (slot === SLOT_EMPTY) return 0;
      if ((slot & ~ROW_MASK) !== tag) continue;
      const row = slot & ROW_MASK;
      const k = row * rowWords + this.keyOffset;
      if (row === 0 || words[k] !== a) continue;
      if (keyWords === 1) return row;
      if (words[k + 1] !== b) continue;
      if (keyWords === 2 || (words[k + 2] === c && words[k + 3] === d)) return row;
    }
  }

  /** Adds all rows to empty slots, ordered by region of slots (engine/slot-order.ts). */
  private fill(): void {
    const { rowCount } = this.table;
    const order = new SlotOrder(this.slots.length, rowCount - 1);
    for (let from = 1; from < rowCount; from += order.rowsMax) {
      const count = Math.min(order.rowsMax, rowCount - from);
      for (let i = 0; i < count; i++) order.hashes[i] = this.rowHash(from + i);
      order.sort(count);
      placeAll(this.slots, order.pairs, count, from);
    }
    this.usedCount = rowCount - 1;
    this.rowCount = rowCount - 1;
  }

  private place(row: number): void {
    const hash = this.rowHash(row);
    const mask = this.slots.length - 1;
    let i = hash & mask;
    while ((this.slots[i]! & ROW_MASK) !== 0) i = (i + 1) & mask;
    if (this.slots[i] === SLOT_EMPTY) this.usedCount++;
    this.slots[i] = (hash & ~ROW_MASK) | row;
  }

  private rowHash(row: number): number {
    const k = row * this.table.rowWords + this.keyOffset;
    return mix(this.table.words[k]!, this.keyWords === 1 ? 0 : this.table.words[k + 1]!);
  }

  private grow(): void {
    this.oldSlots = this.slots;
    this.oldCursor = 0;
    const { length } = this.slots;
    const mostlyRows = this.rowCount * 2 * LOAD_DENOMINATOR > length * LOAD_NUMERATOR;
    this.slots = reserveWords(mostlyRows ? length * 2 : length, true);
    this.usedCount = 0;
    this.move(MOVED_PER_INSERT);
  }

  private move(slotCount: number): void {
    const old = this.oldSlots!;
    const end = Math.min(this.oldCursor + slotCount, old.length);
    for (; this.oldCursor < end; this.oldCursor++) {
      const row = old[this.oldCursor]! & ROW_MASK;
      if (row === 0) continue;
      this.place(row);
      old[this.oldCursor] = SLOT_REMOVED;
    }
    if (end === old.length) this.oldSlots = null;
  }
}

/** The first row from the slot of `hash` on that carries its tag, or 0; `first` is that slot. */
function probe(slots: Int32Array, hash: number, first: number): number {
  const mask = slots.length - 1;
  let slot = first;
  for (let i = hash & mask; slot !== SLOT_EMPTY && ((slot ^ hash) & ~ROW_MASK) !== 0; ) {
    i = (i + 1) & mask;
    slot = slots[i]!;
  }
  return slot & ROW_MASK;
}

/** Places rows of slots that hold no removed ones; `pairs` are a hash and a row after `from`. */
function placeAll(slots: Int32Array, pairs: Int32Array, count: number, from: number): void {
  const mask = slots.length - 1;
  for (let k = 0; k < 2 * count; k += 2) {
    const hash = pairs[k]!;
    let i = hash & mask;
    while (slots[i] !== SLOT_EMPTY) i = (i + 1) & mask;
    slots[i] = (hash & ~ROW_MASK) | (from + pairs[k + 1]!);
  }
}

/**
 * Puts in place of each of the first `count` of `at` the word that stands there. Four loads in a
 * turn of the loop: V8 looks at more than it loads in each turn, so that more of them are on their
 * way to memory at once.
 */
function replaceByWords(at: Int32Array, count: number, words: Int32Array): void {
  let i = 0;
  for (; i + 3 < count; i += 4) {
    const a = words[at[i]!]!;
    const b = words[at[i + 1]!]!;
    const c = words[at[i + 2]!]!;
    const d = words[at[i + 3]!]!;
    at[i] = a;
    at[i + 1] = b;
    at[i + 2] = c;
    at[i + 3] = d;
  }
  for (; i < count; i++) at[i] = words[at[i]!]!;
}

/**
 * Brings both ends of each of `count` rows into the cache, in the same way: whoever looks a card up
 * goes on to its other words. What it returns is of use to nobody.
 */
function readEnds(rows: Int32Array, count: number, words: Int32Array, rowWords: number): number {
  const last = rowWords - 1;
  let seen = 0;
  let i = 0;
  for (; i + 3 < count; i += 4) {
    const a = rows[i]! * rowWords;
    const b = rows[i + 1]! * rowWords;
    const c = rows[i + 2]! * rowWords;
    const d = rows[i + 3]! * rowWords;
    seen |= words[a]! | words[b]! | words[c]! | words[d]!;
    seen |= words[a + last]! | words[b + last]! | words[c + last]! | words[d + last]!;
  }
  for (; i < count; i++) {
    const at = rows[i]! * rowWords;
    seen |= words[at]! | words[at + last]!;
  }
  return seen;
}

function removeFrom(slots: Int32Array, hash: number, row: number): boolean {
  const mask = slots.length - 1;
  for (let i = hash & mask; slots[i] !== SLOT_EMPTY; i = (i + 1) & mask) {
    if ((slots[i]! & ROW_MASK) !== row) continue;
    slots[i] = SLOT_REMOVED;
    return true;
  }
  return false;
}

function powerOfTwo(value: number): number {
  return 2 ** Math.ceil(Math.log2(value));
}

/** Finalizer of MurmurHash3 over two words: keys such as numbers of terminals are not random. */
export function mix(a: number, b: number): number {
  let h = a ^ Math.imul(b, 0x9e3779b1);
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  return h ^ (h >>> 16);
}
