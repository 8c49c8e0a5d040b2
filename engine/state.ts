// The state: all tables, documents and registers. State = all blocks of the journal applied in
// order, so whatever is here must follow from blocks alone. Indexes and compiled forms are derived
// and stand in no checkpoint and no hash.

import { Blacklist, idSubject } from "./blacklist.js";
import { addDays, type BusinessDay, businessDateAt, localDay } from "./calendar.js";
import { Cards } from "./cards.js";
import { Catalogue } from "./catalogue.js";
import { Documents } from "./documents.js";
import { LIST_SUBJECT } from "./domain.js";
import { Duplicates } from "./duplicates.js";
import { Sha256 } from "./hash.js";
import { Holders } from "./holders.js";
import { Parties } from "./parties.js";
import { Sessions } from "./sessions.js";
import { Standing } from "./standing.js";
import type { Table } from "./table.js";

/** Sizes and rules that the state is made with; a journal is replayed under the same rules. */
export interface StateLimits {
  cardsMax: number;
  holdersMax: number;
  terminalsMax: number;
  blacklistMax: number;
  usesPerDateMax: number;
  /** Business dates whose uses are remembered: the current one and those before, 1..7. */
  businessDatesKept: number;
  sessionsMax: number;
  /** How long the session keys before a key change stay valid. */
  keyOverlapSeconds: number;
  businessDay: BusinessDay;
}

/** The few scalars of the state. */
export interface Registers {
  /** Position of the last event. */
  position: number;
  /** Time of the last block, ms since 1970 UTC; never goes back. */
  timeMs: number;
  /** Position of the last change of the blacklist. */
  blacklistPosition: number;
  /** Hash of the last block that was sealed, hex. */
  blockHash: string;
}

export const BLOCK_HASH_START = "0".repeat(64);

export class State {
  readonly documents = new Documents();
  readonly cards: Cards;
  readonly holders: Holders;
  readonly parties: Parties;
  readonly sessions: Sessions;
  readonly blacklist: Blacklist;
  readonly catalogue = new Catalogue(this.documents);
  readonly duplicates: Duplicates;
  readonly standing = new Standing();
  readonly tables: readonly Table[];
  readonly registers: Registers = {
    position: 0,
    timeMs: 0,
    blacklistPosition: 0,
    blockHash: BLOCK_HASH_START,
  };
  /** Time of the last block that holds something. */
  private settledTimeMs = 0;
  private settledDate = 0;
  /** Derived from timeMs. */
  nowSeconds = 0;
  today = 0;
  businessDate = 0;

  constructor(readonly limits: StateLimits) {
    this.cards = new Cards(1, limits.cardsMax);
    this.holders = new Holders(2, limits.holdersMax);
    this.parties = new Parties(3, limits.terminalsMax, this.documents);
    this.sessions = new Sessions(4, limits.terminalsMax, limits.sessionsMax);
    this.blacklist = new Blacklist(5, limits.blacklistMax);
    this.duplicates = new Duplicates(16, limits.businessDatesKept, limits.usesPerDateMax);
    this.tables = [
      this.cards.table,
      this.holders.table,
      this.parties.table,
      this.sessions.table,
      this.blacklist.table,
      ...this.duplicates.dates.map((uses) => uses.table),
    ];
  }

  /**
   * Rows of the cards of `count` tokens, one every `stride` words from `first` on, to
   * rows[0..count), 0 where there is none; what deciding on them reads is in the cache then.
   */
  findCards(
    tokens: Int32Array,
    first: number,
    stride: number,
    count: number,
    rows: Int32Array,
  ): void {
    this.cards.index.findMany(tokens, first, stride, count, rows);
    this.holders.warmListed(this.cards, rows, count);
  }

  /** Moves the state's time on; a time that goes back is taken as no time passed. */
  advanceTime(timeMs: number): void {
    this.tryTime(timeMs);
    this.settleTime();
  }

  /**
   * Gives a block that is empty its time, never before that of the block sealed last. Nothing is
   * forgotten by it: the block may stay empty, and then its time was never journaled.
   */
  tryTime(timeMs: number): void {
    this.setTime(Math.max(timeMs, this.settledTimeMs));
  }

  /** The time stands, for the block holds something: dates that it ends are forgotten. */
  settleTime(): void {
    this.settledTimeMs = this.registers.timeMs;
    if (this.businessDate === this.settledDate) return;
    this.settledDate = this.businessDate;
    this.duplicates.moveTo(this.datesKept());
  }

  /** The registers as the journal has them: without the time of an empty block. */
  settledRegisters(): Registers {
    return { ...this.registers, timeMs: this.settledTimeMs };
  }

  /**
   * Rebuilds everything derived, after the tables, documents and registers were loaded; of the
   * indexes of cards and holders, those that are not there yet.
   */
  rebuild(indexed: readonly Table[] = []): void {
    const { timeMs } = this.registers;
    this.standing.forget();
    this.settledTimeMs = timeMs;
    this.nowSeconds = Math.floor(timeMs / 1000);
    this.today = localDay(timeMs, this.limits.businessDay.utcOffsetMinutes);
    this.businessDate = timeMs === 0 ? 0 : businessDateAt(timeMs, this.limits.businessDay);
    this.settledDate = this.businessDate;
    if (!indexed.includes(this.cards.table)) this.cards.index.rebuild(null);
    this.holders.rebuild(indexed.includes(this.holders.table));
    this.blacklist.rebuild();
    this.parties.rebuild();
    this.sessions.recount(this.nowSeconds);
    for (const view of this.parties.organisations.values()) {
      const subject = idSubject(LIST_SUBJECT.ORGANISATION, view.organisationId);
      view.listed = this.blacklist.find(subject) !== 0;
    }
    this.catalogue.rebuild(this.today);
    this.duplicates.rebuild();
    if (timeMs !== 0) this.duplicates.moveTo(this.datesKept());
  }

  /** SHA-256 over registers, tables and documents, hex: equal states have equal hashes. */
  hash(): string {
    const hash = new Sha256();
    hash.update(JSON.stringify(this.settledRegisters()));
    for (const table of this.tables) {
      hash.update(`${table.id}:${table.rowCount};`);
      hash.updateWords(table.used());
    }
    for (const key of this.documents.keys()) {
      hash.update(`${key};`);
      hash.update(this.documents.get(key)!);
    }
    return hash.hex();
  }

  invariants(): void {
    for (const table of this.tables) table.invariants();
  }

  private setTime(timeMs: number): void {
    if (timeMs === this.registers.timeMs) return;
    this.registers.timeMs = timeMs;
    this.nowSeconds = Math.floor(timeMs / 1000);
    this.businessDate = timeMs === 0 ? 0 : businessDateAt(timeMs, this.limits.businessDay);
    const day = localDay(timeMs, this.limits.businessDay.utcOffsetMinutes);
    if (day === this.today) return;
    this.today = day;
    this.standing.forget();
    this.catalogue.enforce(day);
  }

  private datesKept(): number[] {
    const dates: number[] = [];
    for (let i = 1 - this.limits.businessDatesKept; i <= 1; i++) {
      dates.push(addDays(this.businessDate, i));
    }
    return dates;
  }
}
