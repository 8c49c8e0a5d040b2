// The journal: blocks one behind the other in files that are named by their first position, each
// block on disk by one write before the next begins.
//
//   journal/0000000000000001.blocks   block, block, ..., zeros
//   journal/0000000000061824.blocks   block, block, ..., zeros (room for those to come)
//
// A block is written with the rest of the pages of 4096 bytes that it begins and ends in, so that
// the kernel need not read them: of the page it begins in that is the end of the block before,
// byte for byte as it is there.
//
// The twist: at most one block is on its way to the disk, so only the last can be torn. What
// stands at the end and is no whole block was never answered, and is dropped at the next start.
// Where a whole block follows, it was: that is damage, and recovery stops at it.

import { join } from "node:path";
import { assert } from "../protocol/assert.js";
import { BlockFile, fileNameOf, firstOfName } from "./block-file.js";
import { type JournalDisk, type OpenJournalDisk, openFolder } from "./journal-disk.js";

/** What the kernel writes to a disk at the least. */
const PAGE_SIZE = 4096;
/** Files whose blocks are known where they lie, beside the last. */
const WALKED_MAX = 4;
/** Blocks that are walked over at a time by who reads them all. */
const WALK_COUNT = 32;
/** Blocks that are walked over in a step of `stepsTo`. */
const STEP_COUNT = 1024;
export const FILE_SIZE_MAX = 32 * 1024 * 1024;

/** The file that lmdb kept blocks in until 2026-11-27. */
export const OLD_JOURNAL_FILE = "data.mdb";
const OLD_JOURNAL = "the journal is of an older version: start the server once";

export interface JournalOptions {
  readOnly?: boolean;
  /** Bytes of blocks from which on the next one begins a file. */
  fileSizeMax?: number;
  openDisk?: OpenJournalDisk;
}

/** Where the next block goes. */
interface Tail {
  name: string;
  offset: number;
}

export class JournalStore {
  private readonly disk: JournalDisk;
  private readonly fileSizeMax: number;
  /** First positions of the files, upwards. */
  private firsts: number[];
  /** Files that were walked, the last used at the end. */
  private walked: BlockFile[] = [];
  /** Whether damage was looked for at the end. */
  private endIsSound = false;
  private tail: Tail | null = null;
  private writing = false;
  /** Pages of the block being written; they begin with those bytes of its first page. */
  private pages = new Uint8Array(2 * PAGE_SIZE);

  constructor(folder: string, options: JournalOptions = {}) {
    const { readOnly = false, fileSizeMax = FILE_SIZE_MAX, openDisk = openFolder } = options;
    this.disk = openDisk(join(folder, "journal"), readOnly);
    this.fileSizeMax = fileSizeMax;
    this.firsts = this.listed();
  }

  /**
   * Appends a block; resolves when it is on disk. One at a time; `bytes` may change at once.
   * After one that has failed none must follow.
   */
  async append(firstPosition: number, bytes: Uint8Array): Promise<void> {
    const { name, offset, pages } = this.place(firstPosition, bytes);
    await this.disk.write(name, offset, pages);
    this.placed(bytes.length, pages.length);
  }

  /** As `append`, and waits for the disk: for a thread that has nothing else to do. */
  appendSync(firstPosition: number, bytes: Uint8Array): void {
    const { name, offset, pages } = this.place(firstPosition, bytes);
    const written = this.disk.write(name, offset, pages);
    assert(written === undefined, "the disk is done when it returns");
    this.placed(bytes.length, pages.length);
  }

  /**
   * Puts on disk what was found, and drops what is behind the last whole block; resolves with how
   * many bytes that were. A process that was killed may have left a block in the kernel's memory
   * only, and a checkpoint must not come to the disk before its blocks. The block is written
   * again: after a sync that failed, the kernel may take for written what is not. To be awaited
   * before serving.
   */
  async confirm(): Promise<number> {
    const file = this.lastFile();
    if (file === null) return 0;
    const dropped = file.rest().length;
    const start = file.lastOffset - (file.lastOffset % PAGE_SIZE);
    const pages = new Uint8Array(roundUp(file.end + dropped) - start);
    this.disk.read(file.name, start, pages.subarray(0, file.end - start));
    if (pages.length > 0) await this.disk.write(file.name, start, pages);
    await this.disk.sync(file.name);
    return dropped;
  }

  /**
   * Walks to what `blockOf` and `from` need for `position`, a fraction of a millisecond at each
   * step, so that they need not: a file of blocks of one use takes 40 ms.
   */
  *stepsTo(position: number): Generator<void> {
    if (this.firsts.length === 0) return;
    let last: BlockFile;
    do {
      last = this.fileAt(this.firsts.length - 1);
      yield* stepsOver(last);
    } while (this.isFollowed(last));
    yield* stepsOver(this.fileAt(this.fileIndexOf(position)));
  }

  /** Blocks from the one that holds `position` on, in order. */
  *from(position: number): Generator<Uint8Array> {
    this.lastFile();
    for (let i = this.fileIndexOf(position); i < this.firsts.length; i++) {
      const file = this.fileAt(i);
      // A few at a time: whoever looks for something lets taps go first in between.
      for (let index = indexIn(file, position); ; index++) {
        if (index >= file.count) file.walk(WALK_COUNT);
        if (index >= file.count) break;
        yield file.blockAt(index);
      }
      const damaged = this.damageIn(file, i === this.firsts.length - 1);
      if (damaged !== null) {
        yield damaged;
        return;
      }
    }
  }

  /** The block that holds `position`, or the last before it, or null. */
  blockOf(position: number): Uint8Array | null {
    this.lastFile();
    for (let i = this.fileIndexOf(position); i >= 0 && i < this.firsts.length; i--) {
      const file = this.fileAt(i);
      file.walk();
      // None in the last one, when power was cut before its first.
      if (file.count > 0) return file.blockAt(file.indexOf(position));
    }
    return null;
  }

  /** A position before which no block is of `timeMs` or later: time never goes back. */
  positionBefore(timeMs: number): number {
    let low = 0;
    let high = this.firsts.length - 1;
    while (low < high) {
      const middle = Math.ceil((low + high) / 2);
      if (new BlockFile(this.disk, this.firsts[middle]!).firstTimeMs < timeMs) low = middle;
      else high = middle - 1;
    }
    return this.firsts[low] ?? 1;
  }

  /** The last position in the journal; 0 none. */
  get lastPosition(): number {
    return this.lastFile()?.lastPosition ?? 0;
  }

  /** Bytes behind the last block that are no block: of one that was never finished. */
  get unfinishedSize(): number {
    return this.lastFile()?.rest().length ?? 0;
  }

  /** The file that the last block was appended to, and where its blocks end, bytes. */
  get end(): Readonly<Tail> | null {
    return this.tail;
  }

  async close(): Promise<void> {
    this.disk.close();
  }

  /** Lays a block into `pages`; returns what is to be written where. */
  private place(firstPosition: number, bytes: Uint8Array) {
    assert(!this.writing, "one block is written at a time");
    this.writing = true;
    const { name, offset } = this.tailFor(firstPosition);
    const kept = offset % PAGE_SIZE;
    const size = roundUp(kept + bytes.length);
    if (this.pages.length < size) {
      const before = this.pages.subarray(0, kept);
      this.pages = new Uint8Array(size);
      this.pages.set(before);
    }
    this.pages.set(bytes, kept);
    this.pages.fill(0, kept + bytes.length, size);
    return { name, offset: offset - kept, pages: this.pages.subarray(0, size) };
  }

  private placed(blockSize: number, pagesSize: number): void {
    const tail = this.tail!;
    tail.offset += blockSize;
    const kept = tail.offset % PAGE_SIZE;
    if (kept > 0) this.pages.copyWithin(0, pagesSize - PAGE_SIZE, pagesSize - PAGE_SIZE + kept);
    this.writing = false;
  }

  private tailFor(firstPosition: number): Tail {
    if (this.tail === null) {
      const file = this.lastFile();
      if (file !== null) this.tail = { name: file.name, offset: file.end };
      const kept = (file?.end ?? 0) % PAGE_SIZE;
      if (kept > 0) this.disk.read(file!.name, file!.end - kept, this.pages.subarray(0, kept));
    }
    if (this.tail === null || this.tail.offset >= this.fileSizeMax) {
      this.tail = { name: fileNameOf(firstPosition), offset: 0 };
      this.disk.create(this.tail.name);
      this.firsts.push(firstPosition);
    }
    const { name, offset } = this.tail;
    assert(offset > 0 || name === fileNameOf(firstPosition), "a file begins where it says");
    return this.tail;
  }

  /** The last file as it is now, with files that another thread has begun since; null none. */
  private lastFile(): BlockFile | null {
    for (;;) {
      if (this.firsts.length === 0) this.firsts = this.listed();
      if (this.firsts.length === 0) return null;
      const file = this.fileAt(this.firsts.length - 1);
      file.walk();
      if (!this.isFollowed(file)) return file;
    }
  }

  /** Whether there is a file behind the last one, by now; then all are listed anew. */
  private isFollowed(last: BlockFile): boolean {
    const next = last.lastPosition + 1;
    // Not behind it when the file is not what its name says.
    if (next <= last.first || this.disk.size(fileNameOf(next)) < 0) return false;
    this.firsts = this.listed();
    return true;
  }

  /** First positions of the files there are, upwards. */
  private listed(): number[] {
    const names = this.disk.names();
    if (names.includes(OLD_JOURNAL_FILE)) throw new Error(OLD_JOURNAL);
    const firsts = names.map(firstOfName);
    return firsts.filter((first) => first > 0).sort((a, b) => a - b);
  }

  /** A file, walked as far as it was. */
  private fileAt(index: number): BlockFile {
    const first = this.firsts[index]!;
    const file = this.walked.find((one) => one.first === first) ?? new BlockFile(this.disk, first);
    const others = this.walked.filter((one) => one.first !== first);
    this.walked = [...others.slice(-WALKED_MAX), file];
    return file;
  }

  /** Which file holds `position`: the last that does not begin behind it, or the first. */
  private fileIndexOf(position: number): number {
    const next = this.firsts.findLastIndex((first) => first <= position);
    return Math.max(next, 0);
  }

  /**
   * What stands at the end of a file's blocks and was on disk once; null nothing. At the end of
   * the last file it is looked for once, for it takes reading the room behind it.
   */
  private damageIn(file: BlockFile, isLast: boolean): Uint8Array | null {
    if (!isLast) {
      const rest = file.rest();
      return rest.length === 0 ? null : (file.damaged() ?? rest);
    }
    while (!this.endIsSound) {
      const { end } = file;
      const damaged = file.damaged();
      // A server may have gone on meanwhile: then it was the block that it was writing.
      file.walk();
      if (damaged !== null && file.end === end) return damaged;
      this.endIsSound = damaged === null;
    }
    return null;
  }
}

function* stepsOver(file: BlockFile): Generator<void> {
  for (let count = -1; count !== file.count; ) {
    count = file.count;
    file.walk(STEP_COUNT);
    yield;
  }
}

/** Which block of a file is the first that `from(position)` reads. */
function indexIn(file: BlockFile, position: number): number {
  if (position <= file.first) return 0;
  file.walk();
  return file.indexOf(position);
}

function roundUp(size: number): number {
  return Math.ceil(size / PAGE_SIZE) * PAGE_SIZE;
}
