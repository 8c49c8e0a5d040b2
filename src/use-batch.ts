// The records of a batch before they are decided: card numbers become tokens, all of them in one
// call, and with each the tokens of its prefixes when the blacklist has number ranges.

import type { State } from "../engine/state.js";
import { USE_WORD } from "../engine/use.js";
import { assert } from "../protocol/assert.js";
import { WORD } from "../protocol/endian.js";
import { FRAME_HEADER_SIZE } from "../protocol/frame.js";
import { isUseMti } from "../protocol/mti.js";
import { PAN_BLOCK_SIZE, panPrefixBlock } from "../protocol/pan.js";
import { USE_RECORD_SIZE } from "../protocol/use-record.js";
import type { Arena } from "./arena.js";
import type { Batch } from "./batch.js";
import type { KeyVault } from "./vault.js";

const PAN_BLOCK_WORDS = PAN_BLOCK_SIZE / WORD.SIZE;
/** Cards looked up at a time: enough to overlap their misses, few enough to stay in the cache. */
const ROWS_AHEAD = 128;

export class UseTokens {
  /** Four words for each token; a record has `stride` tokens. */
  words!: Int32Array;
  stride = 0;
  private blocks!: Uint8Array;

  /** Rows of the cards of records rowsStart..rowsEnd-1. */
  private readonly rows = new Int32Array(ROWS_AHEAD);
  private rowsStart = 0;
  private rowsEnd = 0;
  private recordCount = 0;
  /** Of use to nobody but the compiler, which would leave the loads of `warm` out. */
  seen = 0;

  /** For batches of up to `recordsMax` records. */
  constructor(
    private readonly vault: KeyVault,
    private readonly state: State,
    private readonly recordsMax: number,
  ) {
    this.reserve(1);
  }

  /** Row of the card of a record, or 0. Records are asked for in order. */
  cardRow(record: number): number {
    if (record >= this.rowsEnd) this.findRows(record);
    return this.rows[record - this.rowsStart]!;
  }

  /** To be called when cards may have been added since. */
  forgetRows(): void {
    this.rowsStart = 0;
    this.rowsEnd = 0;
  }

  /** Tokenizes the use frames of a batch that were not refused, and numbers their records. */
  prepare(batch: Batch, prefixLengths: readonly number[]): void {
    if (this.stride !== 1 + prefixLengths.length) this.reserve(1 + prefixLengths.length);
    this.forgetRows();
    let recordCount = 0;
    for (const frame of batch.frames) {
      if (frame.refusal !== 0 || !isUseMti(frame.mti)) continue;
      frame.tokenIndex = recordCount;
      recordCount += frame.count;
    }
    this.recordCount = recordCount;
    assert(recordCount <= this.recordsMax, "a batch has no more records than may be in flight");
    const size = recordCount * this.stride * PAN_BLOCK_SIZE;
    if (size === 0) return;
    for (const frame of batch.frames) {
      if (frame.refusal !== 0 || !isUseMti(frame.mti)) continue;
      const start = frame.start + FRAME_HEADER_SIZE;
      this.warmRepeat(batch.arena.words, start / WORD.SIZE);
      this.gather(batch.arena, start, frame.count, frame.tokenIndex, prefixLengths);
    }
    this.vault.tokenize(this.blocks.subarray(0, size));
  }

  /**
   * Room for `stride` tokens of each record there may be. Not as batches grow: all that was
   * compiled for the arrays of before would be thrown away when a backlog is the longest yet.
   */
  private reserve(stride: number): void {
    this.stride = stride;
    this.words = new Int32Array(this.recordsMax * stride * PAN_BLOCK_WORDS);
    this.blocks = new Uint8Array(this.words.buffer);
  }

  private findRows(record: number): void {
    const count = Math.min(ROWS_AHEAD, this.recordCount - record);
    const tokenWords = this.stride * 4;
    this.state.findCards(this.words, record * tokenWords, tokenWords, count, this.rows);
    this.rowsStart = record;
    this.rowsEnd = record + count;
  }

  /**
   * Brings the line in which the repeat of the record at `word` is looked up into the cache. Of the
   * first record of a frame only: those behind it mostly share the line, or take one of a few.
   */
  private warmRepeat(words: Int32Array, word: number): void {
    const terminalId = words[word + USE_WORD.TERMINAL]!;
    const stan = words[word + USE_WORD.STAN]!;
    this.seen ^= this.state.duplicates.warm(words[word + USE_WORD.DATE]!, terminalId, stan);
  }

  private gather(
    arena: Arena,
    start: number,
    count: number,
    tokenIndex: number,
    prefixLengths: readonly number[],
  ): void {
    const { blocks, words } = this;
    let to = tokenIndex * this.stride * PAN_BLOCK_SIZE;
    for (let i = 0; i < count; i++) {
      const from = start + i * USE_RECORD_SIZE;
      const word = from >> 2;
      const toWord = to >> 2;
      words[toWord] = arena.words[word]!;
      words[toWord + 1] = arena.words[word + 1]!;
      words[toWord + 2] = arena.words[word + 2]!;
      words[toWord + 3] = arena.words[word + 3]!;
      for (const digits of prefixLengths) {
        panPrefixBlock(arena.bytes, from, digits, blocks, to + PAN_BLOCK_SIZE);
        to += PAN_BLOCK_SIZE;
      }
      to += PAN_BLOCK_SIZE;
    }
  }
}
