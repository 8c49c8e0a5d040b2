// The blacklist (黑名单): who or what may not be used, from when to when, for all items, a domain
// or an item. A subject (card, holder, prefix of card numbers, terminal, organisation) has a chain
// of entries; an entry of a number range is several rows under one entryId.
//
//   word  field
//   0     subject             4 words: a token, or [id, kind, 0, 0]
//   4     entryId             u64 over two words
//   6     kinds               subjectKind, scopeKind << 8, cause << 16, prefixDigits << 24
//   7     scopeValue          domain number or itemCode
//   8     fromTime            seconds since 1970 UTC
//   9     untilTime           the same; 0 open-ended
//   10    organisationId      source
//   11    nextOfSubject       row, 0 ends
//   12    nextOfEntry         row, 0 ends
//   13    position            u64 over two words: where in the journal it was added
//   15    reserved            0
//
// Row 0: word 0 is the first free row (linked by nextOfSubject), word 1 the number of rows in use.
// Invariant: the first row of a subject's chain is in `subjects`, that of an entry in `entries`.

import { assert } from "../protocol/assert.js";
import { readU64, writeU64 } from "../protocol/endian.js";
import { PAN_DIGITS_MAX } from "../protocol/pan.js";
import type { ListEntryCommand } from "./commands.js";
import { LIST_CAUSE, LIST_SCOPE, LIST_SUBJECT } from "./domain.js";
import { RowIndex } from "./row-index.js";
import { Table } from "./table.js";

const LIST_ENTRY_ID_WORD = 4;
const LIST_KINDS_WORD = 6;
const LIST_SCOPE_VALUE_WORD = 7;
const LIST_FROM_WORD = 8;
const LIST_UNTIL_WORD = 9;
const LIST_ORGANISATION_WORD = 10;
const LIST_NEXT_OF_SUBJECT_WORD = 11;
const LIST_NEXT_OF_ENTRY_WORD = 12;
const LIST_POSITION_WORD = 13;
const LIST_WORDS = 16;
const FREE_ROW_WORD = 0;
const ACTIVE_COUNT_WORD = 1;

/** One row of the blacklist, as inquiries see it. */
export interface ListRow {
  row: number;
  entryId: number;
  subjectKind: number;
  subjectId: number;
  scopeKind: number;
  scopeValue: number;
  cause: number;
  prefixDigits: number;
  fromTime: number;
  untilTime: number;
  organisationId: number;
  position: number;
}

export class Blacklist {
  readonly table: Table;
  readonly subjects: RowIndex;
  private readonly entries: RowIndex;
  /** Rows for each length of prefix; lengths in use decide what a tap must tokenize. */
  private readonly prefixCounts = new Int32Array(PAN_DIGITS_MAX + 1);
  /** Lengths of prefixes in use, shortest first. */
  prefixLengths: number[] = [];

  constructor(id: number, rowsMax: number) {
    this.table = new Table(id, "blacklist", LIST_WORDS, rowsMax + 1);
    this.subjects = new RowIndex(this.table, 0, 4);
    this.entries = new RowIndex(this.table, LIST_ENTRY_ID_WORD, 2);
  }

  /** Rows in use. */
  get count(): number {
    return this.table.words[ACTIVE_COUNT_WORD]!;
  }

  get full(): boolean {
    return this.table.full && this.table.words[FREE_ROW_WORD] === 0;
  }

  /** First row of a subject's chain, or 0. */
  find(subject: Int32Array, offset = 0): number {
    return this.subjects.findAt(subject, offset);
  }

  /**
   * The row of the chain starting at `row` in force now for this item, or 0. Of several, one that
   * says stolen comes first: it asks more of the terminal than the others.
   */
  inForce(row: number, nowSeconds: number, domain: number, itemCode: number): number {
    const words = this.table.words;
    let found = 0;
    for (let r = row; r !== 0; r = words[r * LIST_WORDS + LIST_NEXT_OF_SUBJECT_WORD]!) {
      if (!this.holds(r, nowSeconds, domain, itemCode)) continue;
      if (this.cause(r) === LIST_CAUSE.STOLEN) return r;
      if (found === 0) found = r;
    }
    return found;
  }

  cause(row: number): number {
    return (this.table.words[row * LIST_WORDS + LIST_KINDS_WORD]! >>> 16) & 0xff;
  }

  entryId(row: number): number {
    return readU64(this.table.words, row * LIST_WORDS + LIST_ENTRY_ID_WORD);
  }

  /** First row of an entry, or 0. */
  findEntry(entryId: number): number {
    return this.entries.find(entryId | 0, Math.floor(entryId / 2 ** 32), 0, 0);
  }

  nextOfEntry(row: number): number {
    return this.table.words[row * LIST_WORDS + LIST_NEXT_OF_ENTRY_WORD]!;
  }

  nextOfSubject(row: number): number {
    return this.table.words[row * LIST_WORDS + LIST_NEXT_OF_SUBJECT_WORD]!;
  }

  /** Adds a row; the command has been judged and carries its entryId. Returns the row. */
  add(c: ListEntryCommand, subject: Int32Array, position: number): number {
    const firstOfSubject = this.find(subject);
    const firstOfEntry = this.findEntry(c.entryId);
    const row = this.takeRow();
    const words = this.table.words;
    const base = row * LIST_WORDS;
    words.set(subject, base);
    writeU64(words, base + LIST_ENTRY_ID_WORD, c.entryId);
    words[base + LIST_KINDS_WORD] =
      c.subjectKind | (c.scopeKind << 8) | (c.cause << 16) | (c.prefixDigits << 24);
    words[base + LIST_SCOPE_VALUE_WORD] = c.scopeValue;
    words[base + LIST_FROM_WORD] = c.fromTime | 0;
    words[base + LIST_UNTIL_WORD] = c.untilTime | 0;
    words[base + LIST_ORGANISATION_WORD] = c.organisationId | 0;
    writeU64(words, base + LIST_POSITION_WORD, position);
    this.link(row, firstOfSubject, this.subjects, LIST_NEXT_OF_SUBJECT_WORD);
    this.link(row, firstOfEntry, this.entries, LIST_NEXT_OF_ENTRY_WORD);
    this.countPrefix(c.prefixDigits, 1);
    return row;
  }

  /** Removes one row. Its entry's other rows stay. */
  remove(row: number): void {
    this.countPrefix(this.table.words[row * LIST_WORDS + LIST_KINDS_WORD]! >>> 24, -1);
    const subject = this.subjectOf(row);
    this.unlink(row, this.find(subject), this.subjects, LIST_NEXT_OF_SUBJECT_WORD);
    const firstOfEntry = this.findEntry(this.entryId(row));
    this.unlink(row, firstOfEntry, this.entries, LIST_NEXT_OF_ENTRY_WORD);
    this.freeRow(row);
  }

  /** The four subject words of a row, copied. */
  subjectOf(row: number): Int32Array {
    return this.table.words.slice(row * LIST_WORDS, row * LIST_WORDS + 4);
  }

  read(row: number): ListRow {
    const words = this.table.words;
    const base = row * LIST_WORDS;
    const kinds = words[base + LIST_KINDS_WORD]!;
    const byId = (kinds & 0xff) >= LIST_SUBJECT.TERMINAL;
    return {
      row,
      entryId: this.entryId(row),
      subjectKind: kinds & 0xff,
      subjectId: byId ? words[base]! >>> 0 : 0,
      scopeKind: (kinds >>> 8) & 0xff,
      scopeValue: words[base + LIST_SCOPE_VALUE_WORD]!,
      cause: (kinds >>> 16) & 0xff,
      prefixDigits: kinds >>> 24,
      fromTime: words[base + LIST_FROM_WORD]! >>> 0,
      untilTime: words[base + LIST_UNTIL_WORD]! >>> 0,
      organisationId: words[base + LIST_ORGANISATION_WORD]! >>> 0,
      position: readU64(words, base + LIST_POSITION_WORD),
    };
  }

  inUse(row: number): boolean {
    return this.table.words[row * LIST_WORDS + LIST_KINDS_WORD] !== 0;
  }

  /** After loading: indexes and prefix lengths from the rows. */
  rebuild(): void {
    const words = this.table.words;
    const isHead = (nextWord: number) => {
      const heads = new Uint8Array(this.table.rowCount).fill(1);
      for (let row = 1; row < this.table.rowCount; row++) {
        if (!this.inUse(row)) heads[row] = 0;
        else heads[words[row * LIST_WORDS + nextWord]!] = 0;
      }
      return (row: number) => heads[row] === 1;
    };
    this.subjects.rebuild(isHead(LIST_NEXT_OF_SUBJECT_WORD));
    this.entries.rebuild(isHead(LIST_NEXT_OF_ENTRY_WORD));
    this.prefixCounts.fill(0);
    for (let row = 1; row < this.table.rowCount; row++) {
      if (this.inUse(row)) this.countPrefix(words[row * LIST_WORDS + LIST_KINDS_WORD]! >>> 24, 1);
    }
  }

  private holds(row: number, nowSeconds: number, domain: number, itemCode: number): boolean {
    const words = this.table.words;
    const base = row * LIST_WORDS;
    const until = words[base + LIST_UNTIL_WORD]! >>> 0;
    if (nowSeconds < words[base + LIST_FROM_WORD]! >>> 0) return false;
    if (until !== 0 && nowSeconds >= until) return false;
    const scopeKind = (words[base + LIST_KINDS_WORD]! >>> 8) & 0xff;
    const scopeValue = words[base + LIST_SCOPE_VALUE_WORD]!;
    if (scopeKind === LIST_SCOPE.ALL) return true;
    return scopeValue === (scopeKind === LIST_SCOPE.DOMAIN ? domain : itemCode);
  }

  private countPrefix(digits: number, by: number): void {
    if (digits === 0) return;
    this.prefixCounts[digits] = this.prefixCounts[digits]! + by;
    if (this.prefixCounts[digits] === (by > 0 ? 1 : 0)) {
      const lengths = Array.from(this.prefixCounts.keys());
      this.prefixLengths = lengths.filter((length) => this.prefixCounts[length]! > 0);
    }
  }

  private takeRow(): number {
    const words = this.table.words;
    this.table.touch(0);
    words[ACTIVE_COUNT_WORD] = words[ACTIVE_COUNT_WORD]! + 1;
    const free = words[FREE_ROW_WORD]!;
    if (free === 0) return this.table.append();
    words[FREE_ROW_WORD] = words[free * LIST_WORDS + LIST_NEXT_OF_SUBJECT_WORD]!;
    this.table.touch(free);
    words.fill(0, free * LIST_WORDS, (free + 1) * LIST_WORDS);
    return free;
  }

  private freeRow(row: number): void {
    const words = this.table.words;
    this.table.touch(0);
    this.table.touch(row);
    words.fill(0, row * LIST_WORDS, (row + 1) * LIST_WORDS);
    words[row * LIST_WORDS + LIST_NEXT_OF_SUBJECT_WORD] = words[FREE_ROW_WORD]!;
    words[FREE_ROW_WORD] = row;
    words[ACTIVE_COUNT_WORD] = words[ACTIVE_COUNT_WORD]! - 1;
  }

  /** Puts `row` behind the first of its chain, or makes it the first. */
  private link(row: number, first: number, index: RowIndex, nextWord: number): void {
    if (first === 0) {
      index.insert(row);
      return;
    }
    const words = this.table.words;
    this.table.touch(first);
    words[row * LIST_WORDS + nextWord] = words[first * LIST_WORDS + nextWord]!;
    words[first * LIST_WORDS + nextWord] = row;
  }

  private unlink(row: number, first: number, index: RowIndex, nextWord: number): void {
    const words = this.table.words;
    const next = words[row * LIST_WORDS + nextWord]!;
    if (row === first) {
      index.remove(row);
      if (next !== 0) index.insert(next);
      return;
    }
    let before = first;
    while (words[before * LIST_WORDS + nextWord] !== row) {
      before = words[before * LIST_WORDS + nextWord]!;
      assert(before !== 0, "the row is in its chain");
    }
    this.table.touch(before);
    words[before * LIST_WORDS + nextWord] = next;
  }
}

/** The subject words of a terminal or organisation. */
export function idSubject(subjectKind: number, subjectId: number): Int32Array {
  return Int32Array.of(subjectId, subjectKind, 0, 0);
}
