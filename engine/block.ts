// A journal block: everything that one commit made durable, in order.
//
// Header, 128 bytes
//   offset  size  field              type
//   0       4     magic              "TKJB"
//   4       2     version            u16, 1
//   6       2     headerSize         u16, 128
//   8       8     firstPosition      u64, position of its first event
//   16      4     positionCount      u32, positions it takes
//   20      4     entryCount         u32
//   24      4     size               u32, bytes of the whole block
//   28      4     catalogueVersion   u32, in force at its start
//   32      8     timeMs             u64, ms since 1970 UTC
//   40      8     blacklistPosition  u64, last change of the blacklist before it
//   48      32    previousHash       hash of the block before; zero in the first
//   80      32    hash               SHA-256 over all other bytes of the block
//   112     16    reserved           0
//   128     n     entries
//
// Entry: a header of 24 bytes, then `size` bytes of records, then zeros to a multiple of 8
//   0       2     kind               u16: MTI of a use frame, 0x0800 management, or COMMAND
//   2       2     count              u16, records
//   4       4     size               u32, bytes of records
//   8       4     senderId           u32, terminal of the frame; 0 the control plane
//   12      4     keyGeneration      u32
//   16      4     sequence           u32
//   20      4     reserved           0
//
// An entry mirrors a frame that was accepted: a use entry holds the uses of the frame that were no
// repeats. Each record takes one position; an entry without records takes one itself, so that a
// block never shares its first position with another. Little-endian.

import { assert } from "../protocol/assert.js";
import { readU64, writeU64 } from "../protocol/endian.js";
import { Sha256 } from "./hash.js";

export const BLOCK_HEADER_SIZE = 128;
const ENTRY_HEADER_SIZE = 24;
/** "TKJB" as a little-endian u32. */
const BLOCK_MAGIC = 0x424a4b54;
const BLOCK_VERSION = 1;
/** What blockProblem says of a block that is not ours to judge. */
export const NEWER_BLOCK = "written by a newer version";
const ENTRY_COUNT_MAX = 0xffff;
const HASH_OFFSET = 80;
const HASH_END = 112;
const HASH_SIZE = 32;
const PREVIOUS_HASH_OFFSET = 48;

const FIRST_POSITION_WORD = 2;
const POSITION_COUNT_WORD = 4;
const BLOCK_ENTRY_COUNT_WORD = 5;
const BLOCK_SIZE_WORD = 6;
const BLOCK_CATALOGUE_WORD = 7;
const BLOCK_TIME_WORD = 8;
const BLOCK_BLACKLIST_WORD = 10;

/** Fills one block; the buffer is reused for the next when its commit is done. */
export class BlockWriter {
  readonly words: Int32Array;
  readonly bytes: Uint8Array;
  /** Bytes written. */
  size = BLOCK_HEADER_SIZE;
  firstPosition = 0;
  positionCount = 0;
  private entryCount = 0;
  private entryStart = 0;
  private entryRecords = 0;

  /** `sizeMax` is the most bytes of a block, a multiple of 8, and the size of its `memory`. */
  constructor(
    readonly sizeMax: number,
    memory: ArrayBufferLike = new ArrayBuffer(sizeMax),
  ) {
    assert(sizeMax % 8 === 0 && sizeMax > BLOCK_HEADER_SIZE, "a block's size is a multiple of 8");
    assert(memory.byteLength === sizeMax, "the block fills its memory");
    this.words = new Int32Array(memory);
    this.bytes = new Uint8Array(memory);
  }

  get empty(): boolean {
    return this.entryCount === 0;
  }

  /** Whether the entry begun has no records. */
  get entryEmpty(): boolean {
    return this.entryRecords === 0;
  }

  /** Whether an entry with `size` bytes of records fits. */
  fits(size: number): boolean {
    return this.size + ENTRY_HEADER_SIZE + size + 8 <= this.sizeMax;
  }

  /** Starts a block; the state's time has been moved on to `timeMs`. */
  begin(
    firstPosition: number,
    timeMs: number,
    catalogueVersion: number,
    blacklistPosition: number,
  ): void {
    this.words.fill(0, 0, BLOCK_HEADER_SIZE / 4);
    this.words[0] = BLOCK_MAGIC;
    this.words[1] = BLOCK_VERSION | (BLOCK_HEADER_SIZE << 16);
    writeU64(this.words, FIRST_POSITION_WORD, firstPosition);
    this.words[BLOCK_CATALOGUE_WORD] = catalogueVersion;
    writeU64(this.words, BLOCK_TIME_WORD, timeMs);
    writeU64(this.words, BLOCK_BLACKLIST_WORD, blacklistPosition);
    this.firstPosition = firstPosition;
    this.positionCount = 0;
    this.entryCount = 0;
    this.size = BLOCK_HEADER_SIZE;
  }

  beginEntry(kind: number, senderId: number, keyGeneration: number, sequence: number): void {
    assert(this.size % 8 === 0, "entries start at a multiple of 8");
    const base = this.size >> 2;
    this.entryStart = this.size;
    this.entryRecords = 0;
    this.words[base] = kind;
    this.words[base + 1] = 0;
    this.words[base + 2] = senderId;
    this.words[base + 3] = keyGeneration;
    this.words[base + 4] = sequence | 0;
    this.words[base + 5] = 0;
    this.size += ENTRY_HEADER_SIZE;
  }

  /** Reserves a record of `size` bytes (a multiple of 4); returns its first word. */
  addRecord(size: number): number {
    const word = this.size >> 2;
    this.size += size;
    assert(this.size <= this.sizeMax, "the block has room");
    this.entryRecords++;
    this.positionCount++;
    return word;
  }

  /** Adds a record of any size as bytes. */
  addBytes(bytes: Uint8Array): void {
    this.bytes.set(bytes, this.size);
    this.size += bytes.length;
    assert(this.size <= this.sizeMax, "the block has room");
    this.entryRecords++;
    this.positionCount++;
  }

  /** Ends the entry. Returns whether it took a position of its own, having no records. */
  endEntry(): boolean {
    assert(this.entryRecords <= ENTRY_COUNT_MAX, "the count of an entry has 16 bits");
    const base = this.entryStart >> 2;
    this.words[base] = this.words[base]! | (this.entryRecords << 16);
    this.words[base + 1] = this.size - this.entryStart - ENTRY_HEADER_SIZE;
    while (this.size % 8 !== 0) this.bytes[this.size++] = 0;
    this.entryCount++;
    if (this.entryRecords !== 0) return false;
    this.positionCount++;
    return true;
  }

  /** Ends the entry, or takes it back when it has no records. */
  endEntryUnlessEmpty(): void {
    if (this.entryRecords === 0) this.size = this.entryStart;
    else this.endEntry();
  }

  /** Completes the block, but for its hash, after the block with `previousHash` (hex). */
  close(previousHash: string): void {
    this.words[POSITION_COUNT_WORD] = this.positionCount;
    this.words[BLOCK_ENTRY_COUNT_WORD] = this.entryCount;
    this.words[BLOCK_SIZE_WORD] = this.size;
    this.bytes.set(Buffer.from(previousHash, "hex"), PREVIOUS_HASH_OFFSET);
  }

  /** What was written. */
  get written(): Uint8Array {
    return this.bytes.subarray(0, this.size);
  }

  /** The hash (hex) of a block that has been sealed. */
  get hash(): string {
    return hexOf(this.bytes, HASH_OFFSET);
  }
}

/** Writes the hash of a closed block into it. */
export function sealBlock(bytes: Uint8Array): void {
  bytes.set(hashBlock(bytes), HASH_OFFSET);
}

/** One entry of a block, as a view into it. */
export interface EntryView {
  kind: number;
  count: number;
  size: number;
  senderId: number;
  keyGeneration: number;
  sequence: number;
  /** Byte offset of its records in the block. */
  offset: number;
  /** Position of its first record. */
  position: number;
}

/** A block that has been read and whose hash holds. */
export class BlockReader {
  readonly words: Int32Array;
  readonly firstPosition: number;
  readonly positionCount: number;
  readonly entryCount: number;
  readonly catalogueVersion: number;
  readonly timeMs: number;
  readonly blacklistPosition: number;

  constructor(readonly bytes: Uint8Array) {
    this.words = new Int32Array(bytes.buffer, bytes.byteOffset, bytes.length >> 2);
    this.firstPosition = readU64(this.words, FIRST_POSITION_WORD);
    this.positionCount = this.words[POSITION_COUNT_WORD]!;
    this.entryCount = this.words[BLOCK_ENTRY_COUNT_WORD]!;
    this.catalogueVersion = this.words[BLOCK_CATALOGUE_WORD]!;
    this.timeMs = readU64(this.words, BLOCK_TIME_WORD);
    this.blacklistPosition = readU64(this.words, BLOCK_BLACKLIST_WORD);
  }

  get lastPosition(): number {
    return this.firstPosition + this.positionCount - 1;
  }

  get hash(): string {
    return hexOf(this.bytes, HASH_OFFSET);
  }

  get previousHash(): string {
    return hexOf(this.bytes, PREVIOUS_HASH_OFFSET);
  }

  /** The entries in order. Sizes were checked by `openBlock`. */
  *entries(): Generator<EntryView> {
    let offset = BLOCK_HEADER_SIZE;
    let position = this.firstPosition;
    for (let i = 0; i < this.entryCount; i++) {
      const base = offset >> 2;
      const count = this.words[base]! >>> 16;
      const size = this.words[base + 1]!;
      yield {
        kind: this.words[base]! & 0xffff,
        count,
        size,
        senderId: this.words[base + 2]!,
        keyGeneration: this.words[base + 3]!,
        sequence: this.words[base + 4]! >>> 0,
        offset: offset + ENTRY_HEADER_SIZE,
        position,
      };
      position += Math.max(count, 1);
      offset = entryEnd(offset, size);
    }
  }
}

/** What is wrong with the bytes of a block: a constant text, "" nothing. */
export function blockProblem(bytes: Uint8Array): string {
  if (bytes.length < BLOCK_HEADER_SIZE) return "shorter than a block header";
  if (bytes.byteOffset % 4 !== 0) return "not aligned in memory";
  const words = new Int32Array(bytes.buffer, bytes.byteOffset, bytes.length >> 2);
  if (words[0] !== BLOCK_MAGIC) return "not a block (magic)";
  if ((words[1]! & 0xffff) > BLOCK_VERSION) return NEWER_BLOCK;
  if (words[1] !== (BLOCK_VERSION | (BLOCK_HEADER_SIZE << 16))) return "unknown version";
  if (words[BLOCK_SIZE_WORD] !== bytes.length) return "its size does not hold";
  if (Buffer.compare(hashBlock(bytes), bytes.subarray(HASH_OFFSET, HASH_END)) !== 0) {
    return "its hash does not hold";
  }
  return entriesProblem(words, bytes.length);
}

/**
 * Bytes of the block whose header begins at `word`, of any version; 0 when none does. Its hash is
 * not looked at.
 */
export function blockSizeAt(words: Int32Array, word: number): number {
  if (words[word] !== BLOCK_MAGIC || word + BLOCK_HEADER_SIZE / 4 > words.length) return 0;
  const size = words[word + BLOCK_SIZE_WORD]!;
  return size >= BLOCK_HEADER_SIZE && size % 8 === 0 ? size : 0;
}

/** The first position of the block whose header begins at `word`. */
export function firstPositionAt(words: Int32Array, word: number): number {
  return readU64(words, word + FIRST_POSITION_WORD);
}

/** The last position of the block whose header begins at `word`. */
export function lastPositionAt(words: Int32Array, word: number): number {
  return firstPositionAt(words, word) + words[word + POSITION_COUNT_WORD]! - 1;
}

/** How far a journal has come: what the next block must follow. */
export interface JournalEnd {
  position: number;
  timeMs: number;
  blockHash: string;
}

/** Why a sound block does not follow what is before it: a constant text, "" it does. */
export function chainProblem(bytes: Uint8Array, before: JournalEnd): string {
  const block = new BlockReader(bytes);
  if (block.firstPosition !== before.position + 1) return "it does not follow the block before";
  if (block.previousHash !== before.blockHash) {
    return "it does not carry the hash of the block before";
  }
  return block.timeMs < before.timeMs ? "its time is before that of the block before" : "";
}

function entriesProblem(words: Int32Array, blockSize: number): string {
  let offset = BLOCK_HEADER_SIZE;
  let positions = 0;
  for (let i = 0; i < words[BLOCK_ENTRY_COUNT_WORD]!; i++) {
    if (offset + ENTRY_HEADER_SIZE > blockSize) return "its entries do not fit it";
    const base = offset >> 2;
    const size = words[base + 1]!;
    if (size < 0) return "its entries do not fit it";
    positions += Math.max(words[base]! >>> 16, 1);
    offset = entryEnd(offset, size);
  }
  if (offset !== blockSize) return "its entries do not fill it";
  return positions === words[POSITION_COUNT_WORD] ? "" : "its count of positions does not hold";
}

function entryEnd(offset: number, size: number): number {
  return offset + Math.ceil((ENTRY_HEADER_SIZE + size) / 8) * 8;
}

function hashBlock(bytes: Uint8Array): Buffer {
  const hash = new Sha256();
  hash.update(bytes.subarray(0, HASH_OFFSET));
  hash.update(bytes.subarray(HASH_END));
  return hash.digest();
}

function hexOf(bytes: Uint8Array, offset: number): string {
  return Buffer.from(bytes.subarray(offset, offset + HASH_SIZE)).toString("hex");
}
