// The tables on disk: pages of checkpoints, documents, the checkpoint's head.
//
// A write counts when it is on disk, not when it is visible. A page is kept twice, in slots of even
// and odd keys: a checkpoint writes to the slot that does not hold the page of the last complete
// one, so that an unfinished checkpoint leaves the one before it whole.

import { join } from "node:path";
import {
  type CheckpointHead,
  checkpointHead,
  parseHead,
  type TakenPage,
} from "../engine/checkpoint.js";
import { PAGE } from "../engine/snapshot.js";
import type { Table } from "../engine/table.js";
import { assert } from "../protocol/assert.js";
import { WORD } from "../protocol/endian.js";
import { type Database, durable, type OpenDatabase, openLmdb, type Write } from "./database.js";
import { PAGE_HEADER_SIZE, type PageBuffer, PageBuffers } from "./page-buffers.js";

const HEAD_KEY = "head";
/** Page keys: table id times this, plus page times two, plus slot. */
const TABLE_KEY_RANGE = 2 ** 40;

/** What reading a table told besides its rows: the slot of each page, keys to be removed. */
export interface TableReading {
  slots: Uint8Array;
  unfinished: number[];
}

/** Which slot of each page of a table the last complete checkpoint uses, and the one being made. */
interface Slots {
  complete: Uint8Array;
  next: Uint8Array;
}

/** Pages and documents of the last checkpoints. */
export class TableStore {
  private readonly store: Database<number | string>;
  private readonly slots = new Map<number, Slots>();
  private readonly buffers = new PageBuffers();
  private lastPut: Write = Promise.resolve(true);
  private failed = false;

  constructor(folder: string, open: OpenDatabase = openLmdb) {
    this.store = open<number | string>(join(folder, "tables"));
  }

  /** The last complete checkpoint, or null. Throws with one line when it is damaged. */
  head(): CheckpointHead | null {
    const bytes = this.store.get(HEAD_KEY);
    return bytes === undefined ? null : parseHead(bytes);
  }

  /** Loads a table as it was at `position`. */
  loadTable(table: Table, position: number, rowCount: number): void {
    const reading = this.readTable(table, position, rowCount);
    table.loaded(rowCount);
    this.adopt(table, reading);
  }

  /** Reads the pages of a table as it was at `position`; `adopt` is to be told of the result. */
  readTable(table: Table, position: number, rowCount: number): TableReading {
    const pageCount = Math.ceil(rowCount / PAGE.ROWS);
    const slots = new Uint8Array(pageCount);
    const unfinished: number[] = [];
    const start = table.id * TABLE_KEY_RANGE;
    const pages = new Float64Array(pageCount).fill(-1);
    for (const key of this.store.getKeys({ start, end: start + TABLE_KEY_RANGE })) {
      const page = Math.floor(((key as number) - start) / 2);
      const value = this.store.getBinaryFast(key)!;
      const written = value.readDoubleLE(0);
      if (written > position) unfinished.push(key as number);
      if (written > position || page >= pageCount || written <= pages[page]!) continue;
      if ((value.length - PAGE_HEADER_SIZE) % (table.rowWords * WORD.SIZE) !== 0) {
        throw new Error(otherLayout(table.name));
      }
      pages[page] = written;
      slots[page] = ((key as number) - start) % 2;
      table.loadPage(page, value.subarray(PAGE_HEADER_SIZE, value.length));
    }
    if (pages.includes(-1))
      throw new Error(`table ${table.name}: a page of the checkpoint is gone`);
    return { slots, unfinished };
  }

  /** Goes on from what was read, here or beside: `table` holds its rows. */
  adopt(table: Table, { slots, unfinished }: TableReading): void {
    const { complete, next } = this.slotsOf(table);
    complete.set(slots);
    next.set(slots);
    for (const key of unfinished) this.dropUnfinished(key);
  }

  /**
   * Removes a page of a checkpoint that was never completed. Its events may never have become
   * durable, so a later checkpoint must not take it for one of its own.
   */
  private dropUnfinished(key: number): void {
    const removed = this.store.remove(key);
    removed.catch(() => {
      this.failed = true;
    });
    this.lastPut = removed;
  }

  /** Documents by key. */
  *documents(): Generator<[string, Uint8Array]> {
    for (const { key, value } of this.store.getRange({ start: "document/", end: "document0" })) {
      yield [String(key).slice("document/".length), Uint8Array.from(value)];
    }
  }

  /** Throws when a write has failed: no checkpoint can be completed any more. */
  checkWritable(): void {
    if (this.failed) throw new Error("a page of a checkpoint could not be written");
  }

  /** A buffer for a page of up to `wordCount` words, or null when all are on their way to disk. */
  takeBuffer(wordCount: number): PageBuffer | null {
    return this.buffers.take(wordCount);
  }

  /** Takes back a buffer that nothing was put with. */
  giveBuffer(buffer: PageBuffer): void {
    this.buffers.give(buffer);
  }

  /** Resolves when there is a buffer; rejects when a page could not be written. */
  async room(): Promise<void> {
    this.checkWritable();
    await this.buffers.room();
    this.checkWritable();
  }

  /** Resolves when all pages that were put are on disk; rejects when one could not be written. */
  async settled(): Promise<void> {
    await durable(this.lastPut);
    this.checkWritable();
  }

  /** Writes the page in `buffer`, which is of the checkpoint at `position`. */
  putPage({ table, page, wordCount }: TakenPage, buffer: PageBuffer, position: number): void {
    const { complete, next } = this.slotsOf(table);
    const slot = 1 - complete[page]!;
    buffer.bytes.writeDoubleLE(position, 0);
    const value = buffer.bytes.subarray(0, PAGE_HEADER_SIZE + wordCount * WORD.SIZE);
    const put = this.store.put(table.id * TABLE_KEY_RANGE + page * 2 + slot, value);
    put.then(
      () => this.buffers.give(buffer),
      () => {
        this.failed = true;
        this.buffers.wake();
      },
    );
    this.lastPut = put;
    next[page] = slot;
  }

  /**
   * Completes a checkpoint: all pages that were put are on disk, then its documents and its head,
   * in one transaction. Rejects when anything of it failed; then no later one may be completed,
   * for the pages and documents that failed are not taken for changed any more.
   */
  async putHead(head: CheckpointHead, documents: readonly [string, Uint8Array][]): Promise<void> {
    try {
      await this.writeHead(head, documents);
    } catch (error) {
      this.failed = true;
      throw error;
    }
  }

  private async writeHead(
    head: CheckpointHead,
    documents: readonly [string, Uint8Array][],
  ): Promise<void> {
    await this.settled();
    const transaction = this.store.transaction(() => {
      for (const [key, bytes] of documents) this.store.put(`document/${key}`, Buffer.from(bytes));
      this.store.put(HEAD_KEY, Buffer.from(checkpointHead(head)));
      return true;
    });
    await durable(transaction);
    for (const { complete, next } of this.slots.values()) complete.set(next);
  }

  close(): Promise<void> {
    return this.store.close();
  }

  private slotsOf(table: Table): Slots {
    let slots = this.slots.get(table.id);
    if (slots === undefined) {
      const pageCount = Math.ceil(table.rowsMax / PAGE.ROWS) + 1;
      slots = { complete: new Uint8Array(pageCount), next: new Uint8Array(pageCount) };
      this.slots.set(table.id, slots);
    }
    assert(slots.complete.length * PAGE.ROWS >= table.rowsMax, "every page has its slot");
    return slots;
  }
}

function otherLayout(name: string): string {
  const what = `table ${name} was written with rows of another size`;
  return `${what}: remove the folder "tables" in the data folder, and the journal is replayed`;
}
