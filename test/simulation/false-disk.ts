// A false disk under the tables: writes become visible, then durable, each when the timeline says
// so, and a crash takes what had not come so far. Stands in for lmdb (src/database.ts) with its
// promises and no more: transactions in order, each whole or not there.
//
// The twist: a value is taken when its transaction is written and not when it is put, as lmdb's
// writer thread may: who fills the buffer of a page again too early is found out.

import type { Database, KeyRange, Write } from "../../src/database.js";
import type { Chance } from "./chance.js";
import type { Timeline } from "./timeline.js";

type Key = number | string;

interface Operation {
  key: Key;
  /** Null removes. */
  value: Uint8Array | null;
}

interface Transaction {
  operations: Operation[];
  written: boolean;
  flushUs: number;
  fails: "no" | "write" | "flush";
  visible(): void;
  notVisible(error: Error): void;
  durable(): void;
  notDurable(error: Error): void;
  put: Write;
}

/** How often a transaction is slow or fails, 0..1. */
export interface DiskFaults {
  slow: number;
  stuck: number;
  failWrite: number;
  failFlush: number;
}

export const NO_DISK_FAULTS: DiskFaults = { slow: 0, stuck: 0, failWrite: 0, failFlush: 0 };

/** How long a step of a disk takes, between `low` and `high` unless it is slow or stuck. */
export function durationUs(chance: Chance, faults: DiskFaults, low: number, high: number): number {
  if (chance.hit(faults.stuck)) return 8_000_000;
  if (chance.hit(faults.slow)) return chance.between(high, high * 100);
  return chance.between(low, high);
}

/** What one file holds: it outlives the processes that open it. */
export class FalseFile {
  /** What reads see; copies, never changed in place. */
  visible = new Map<Key, Buffer>();
  private durable = new Map<Key, Buffer>();
  /** Written and not flushed, oldest first. */
  unflushed: Operation[][] = [];
  /** No write succeeds until then. */
  fullUntilUs = 0;
  /** Told of what became durable. */
  flushed: (operations: readonly Operation[]) => void = () => {};

  write(operations: Operation[]): Operation[] {
    const copied = operations.map(({ key, value }) => {
      return { key, value: value === null ? null : Buffer.from(value) };
    });
    applyTo(this.visible, copied);
    this.unflushed.push(copied);
    return copied;
  }

  /** Everything up to and with `last` is on disk. */
  flush(last: Operation[]): void {
    const count = this.unflushed.indexOf(last) + 1;
    for (const operations of this.unflushed.splice(0, count)) {
      applyTo(this.durable, operations);
      this.flushed(operations);
    }
  }

  /** Power is cut: of what was not flushed, the first `count` transactions survive. */
  cutPower(count: number): void {
    for (const operations of this.unflushed.slice(0, count)) {
      applyTo(this.durable, operations);
      this.flushed(operations);
    }
    this.unflushed = [];
    this.restore();
  }

  /** Takes away what is torn: back to what was on disk. */
  restore(): void {
    this.visible = new Map(this.durable);
  }
}

/** A process's handle on a file. */
export class FalseDatabase implements Database<Key> {
  private gathering: Transaction | null = null;
  private readonly waiting: Transaction[] = [];
  private writtenUs = 0;
  private flushedUs = 0;
  private failing = false;

  constructor(
    private readonly file: FalseFile,
    private readonly timeline: Timeline,
    private readonly chance: Chance,
    private readonly faults: DiskFaults,
    private readonly alive: () => boolean,
    private readonly note: (text: string) => void,
  ) {}

  get(key: Key): Buffer | undefined {
    return this.file.visible.get(key);
  }

  getBinaryFast(key: Key): Buffer | undefined {
    return this.file.visible.get(key);
  }

  put(key: Key, value: Uint8Array): Write {
    return this.add([{ key, value }]);
  }

  remove(key: Key): Write {
    return this.add([{ key, value: null }]);
  }

  transaction(action: () => unknown): Write {
    this.gathering = null;
    const transaction = this.begin();
    action();
    this.gathering = null;
    return transaction.put;
  }

  *getRange(range: KeyRange<Key>): Generator<{ key: Key; value: Buffer }> {
    for (const key of this.getKeys(range)) yield { key, value: this.file.visible.get(key)! };
  }

  *getKeys(range: KeyRange<Key>): Generator<Key> {
    const { start, end } = range;
    const keys = [...this.file.visible.keys()].filter((key) => typeof key === typeof start);
    const inRange = keys.filter((key) => key >= start && (end === undefined || key < end));
    yield* inRange.sort((a, b) => (a < b ? -1 : 1));
  }

  async close(): Promise<void> {}

  /** The process is killed: of what it was writing, some may have been written. */
  kill(): void {
    const count = this.chance.below(this.waiting.length + 1);
    for (const transaction of this.waiting.splice(0).slice(0, count)) {
      if (transaction.fails === "no" && !transaction.written) this.writeOut(transaction);
    }
  }

  private add(operations: Operation[]): Write {
    const transaction = this.gathering ?? this.begin();
    transaction.operations.push(...operations);
    return transaction.put;
  }

  /** A transaction that takes what is put until it is written. */
  private begin(): Transaction {
    const transaction = newTransaction();
    this.gathering = transaction;
    this.waiting.push(transaction);
    this.decideFault(transaction);
    const { timeline } = this;
    const writeUs = timeline.nowUs + this.duration(20, 200);
    this.writtenUs = Math.max(this.writtenUs + 1, writeUs);
    this.flushedUs = Math.max(this.flushedUs, this.writtenUs) + this.duration(100, 900);
    transaction.flushUs = this.flushedUs;
    timeline.after(this.writtenUs - timeline.nowUs, () => this.written(transaction));
    return transaction;
  }

  private decideFault(transaction: Transaction): void {
    const { chance, faults } = this;
    if (this.failing || this.timeline.nowUs < this.file.fullUntilUs) transaction.fails = "write";
    else if (chance.hit(faults.failWrite)) transaction.fails = "write";
    else if (chance.hit(faults.failFlush)) transaction.fails = "flush";
    if (transaction.fails === "flush") this.failing = true;
    if (transaction.fails !== "no") this.note(`a transaction will fail: ${transaction.fails}`);
  }

  private duration(low: number, high: number): number {
    return durationUs(this.chance, this.faults, low, high);
  }

  private written(transaction: Transaction): void {
    if (!this.alive() || transaction.written) return;
    if (this.gathering === transaction) this.gathering = null;
    if (transaction.fails === "write") {
      this.waiting.splice(this.waiting.indexOf(transaction), 1);
      const error = new Error("no space left on the false disk");
      transaction.notVisible(error);
      transaction.notDurable(error);
      return;
    }
    const operations = this.writeOut(transaction);
    this.waiting.splice(this.waiting.indexOf(transaction), 1);
    transaction.visible();
    const delayUs = transaction.flushUs - this.timeline.nowUs;
    this.timeline.after(delayUs, () => this.flushed(transaction, operations));
  }

  private writeOut(transaction: Transaction): Operation[] {
    transaction.written = true;
    return this.file.write(transaction.operations);
  }

  private flushed(transaction: Transaction, operations: Operation[]): void {
    if (!this.alive()) return;
    if (transaction.fails === "flush") {
      transaction.notDurable(new Error("the false disk did not flush"));
      return;
    }
    this.file.flush(operations);
    transaction.durable();
  }
}

function newTransaction(): Transaction {
  const transaction = { operations: [], written: false, fails: "no" } as unknown as Transaction;
  transaction.put = new Promise<boolean>((resolve, reject) => {
    transaction.visible = () => resolve(true);
    transaction.notVisible = reject;
  });
  transaction.put.flushed = new Promise<void>((resolve, reject) => {
    transaction.durable = resolve;
    transaction.notDurable = reject;
  });
  transaction.put.catch(() => {});
  transaction.put.flushed.catch(() => {});
  return transaction;
}

function applyTo(map: Map<Key, Buffer>, operations: readonly Operation[]): void {
  for (const { key, value } of operations) {
    if (value === null) map.delete(key);
    else map.set(key, value as Buffer);
  }
}
