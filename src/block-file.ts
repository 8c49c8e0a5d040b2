// One file of the journal: blocks one behind the other, then zeros. Headers are walked from the
// start as far as blocks go, so a place is known without an index on disk.
//
// The invariant: what was walked over are blocks that some other one follows, or that are whole.
// So the block that was being written when power was cut is never among them.

import {
  BLOCK_HEADER_SIZE,
  BlockReader,
  blockProblem,
  blockSizeAt,
  firstPositionAt,
  lastPositionAt,
  NEWER_BLOCK,
} from "../engine/block.js";
import { WORD } from "../protocol/endian.js";
import type { JournalDisk } from "./journal-disk.js";

/** Bytes read at once while headers are near each other; where blocks are larger, headers alone. */
const AHEAD_SIZE = 64 * 1024;
/** Of what is behind the blocks, bytes that are hashed at most in search of one more. */
const HASHED_TIMES_MAX = 16;
/** Blocks begin at a multiple of it. */
const ALIGNMENT = 8;
const NAME = /^(\d{16})\.blocks$/;

/** The name of the file whose first block begins at position `first`. */
export function fileNameOf(first: number): string {
  return `${String(first).padStart(16, "0")}.blocks`;
}

/** The first position of a file of the journal, from its name; 0 it is none. */
export function firstOfName(name: string): number {
  return Number(NAME.exec(name)?.[1] ?? 0);
}

export class BlockFile {
  readonly name: string;
  /** Where the blocks that were walked over end, bytes. */
  end = 0;
  /** The last position of these blocks; the one before the file when there are none. */
  lastPosition: number;
  private readonly firsts: number[] = [];
  private readonly offsets: number[] = [];
  private fileSize = 0;
  /** Words of the file from `aheadStart`, bytes, on. */
  private ahead = new Int32Array(0);
  private aheadStart = 0;

  constructor(
    private readonly disk: JournalDisk,
    readonly first: number,
  ) {
    this.name = fileNameOf(first);
    this.lastPosition = first - 1;
  }

  /** Blocks that were walked over. */
  get count(): number {
    return this.firsts.length;
  }

  /** Where the last of them begins, bytes; the start of the file when there are none. */
  get lastOffset(): number {
    return this.offsets.at(-1) ?? 0;
  }

  /** Walks on, over up to `countMax` blocks, and over what has been written since as well. */
  walk(countMax = Number.POSITIVE_INFINITY): void {
    this.fileSize = this.disk.size(this.name);
    // What was read ahead may have been written since.
    this.ahead = new Int32Array(0);
    this.aheadStart = this.end;
    for (let count = 0; count < countMax; count++) {
      const { end } = this;
      const size = this.sizeAt(end);
      if (size === 0) return;
      const word = this.wordAt(end);
      const first = firstPositionAt(this.ahead, word);
      const last = lastPositionAt(this.ahead, word);
      if (this.sizeAt(end + size) === 0 && !isWhole(this.read(end, size))) return;
      this.firsts.push(first);
      this.offsets.push(end);
      this.lastPosition = last;
      this.end += size;
    }
  }

  /** Which block holds `position`: the last that does not begin behind it, or the first. */
  indexOf(position: number): number {
    let low = 0;
    let high = this.firsts.length - 1;
    while (low < high) {
      const middle = Math.ceil((low + high) / 2);
      if (this.firsts[middle]! <= position) low = middle;
      else high = middle - 1;
    }
    return low;
  }

  /** The bytes of block `index`, in memory of their own. */
  blockAt(index: number): Uint8Array {
    const start = this.offsets[index]!;
    return this.read(start, (this.offsets[index + 1] ?? this.end) - start);
  }

  /** When the first block began, ms since 1970 UTC; infinite when there is none. */
  get firstTimeMs(): number {
    const header = this.read(0, BLOCK_HEADER_SIZE);
    const isThere = blockSizeAt(wordsOf(header), 0) !== 0;
    return isThere ? new BlockReader(header).timeMs : Number.POSITIVE_INFINITY;
  }

  /** All that stands behind the blocks, without the zeros at its end. */
  rest(): Uint8Array {
    const bytes = this.behind();
    return bytes.subarray(0, sizeWithoutZeros(bytes));
  }

  /**
   * What stands where a block should begin, when a whole one comes later in the file: it was on
   * disk and is damaged. Null when none does: there the journal ends. Where more is said to be a
   * block than can be read in reasonable time, nobody knows, and it is taken for damaged.
   */
  damaged(): Uint8Array | null {
    // With the zeros, for a block may end in some.
    const bytes = this.behind();
    const end = sizeWithoutZeros(bytes);
    const words = wordsOf(bytes);
    let hashed = 0;
    for (let at = ALIGNMENT; at < end; at += ALIGNMENT) {
      const size = blockSizeAt(words, at / WORD.SIZE);
      if (size === 0 || at + size > bytes.length) continue;
      hashed += size;
      const isKnown = hashed <= HASHED_TIMES_MAX * bytes.length;
      if (isKnown && !isWhole(bytes.subarray(at, at + size))) continue;
      return bytes.slice(0, Math.min(blockSizeAt(words, 0) || at, at));
    }
    return null;
  }

  private behind(): Uint8Array {
    return this.read(this.end, Math.max(0, this.disk.size(this.name) - this.end));
  }

  private read(offset: number, size: number): Uint8Array {
    const bytes = new Uint8Array(size);
    return bytes.subarray(0, this.disk.read(this.name, offset, bytes));
  }

  /** The word of `ahead` at which the header at `offset` begins; reads on where it is not there. */
  private wordAt(offset: number): number {
    const start = offset - this.aheadStart;
    if (start < 0 || start + BLOCK_HEADER_SIZE > this.ahead.length * WORD.SIZE) {
      const isNear = start >= 0 && start < this.ahead.length * WORD.SIZE + AHEAD_SIZE;
      this.ahead = wordsOf(this.read(offset, isNear ? AHEAD_SIZE : BLOCK_HEADER_SIZE));
      this.aheadStart = offset;
    }
    return (offset - this.aheadStart) / WORD.SIZE;
  }

  /** Bytes of the block that begins at `offset`, 0 when none does. */
  private sizeAt(offset: number): number {
    const word = this.wordAt(offset);
    const size = blockSizeAt(this.ahead, word);
    return offset + size <= this.fileSize ? size : 0;
  }
}

/** Whether nothing is missing of a block; one of a newer version is not ours to judge. */
function isWhole(bytes: Uint8Array): boolean {
  const problem = blockProblem(bytes);
  return problem === "" || problem === NEWER_BLOCK;
}

function wordsOf(bytes: Uint8Array): Int32Array<ArrayBuffer> {
  return new Int32Array(bytes.buffer as ArrayBuffer, bytes.byteOffset, bytes.length >> 2);
}

function sizeWithoutZeros(bytes: Uint8Array): number {
  const words = wordsOf(bytes);
  let count = words.length;
  while (count > 0 && words[count - 1] === 0) count--;
  return count * WORD.SIZE;
}
