// Sessions: for each terminal (same row as in the terminal table) up to two key generations, the
// current one and the one before it while keys change, each with its nonces (session keys are
// derived from them and the master key, and are never stored) and its sequence window.
//
// Generation, 24 words, two in a row:
//   word  field
//   0     keyGeneration     0: none
//   1     expiresAt         seconds since 1970 UTC; the first second not valid
//   2     macAlgorithm      masterKeyVersion << 8
//   3     terminalNonce     4 words
//   7     serverNonce       4 words
//   11    sequenceMax       highest sequence accepted
//   12    window            8 words: bit (sequence mod 256) is set when it was accepted
//   20    reserved          4 words, 0
//
// How many are open is derived and not of the state: the most sessions are the operator's choice,
// and what follows from the journal must not hang on it.

import { assert } from "../protocol/assert.js";
import { Table } from "./table.js";

const GENERATION_WORDS = 24;
const GENERATIONS = 2;
const SESSION_WORDS = GENERATION_WORDS * GENERATIONS;
const EXPIRES_WORD = 1;
const ALGORITHM_WORD = 2;
const TERMINAL_NONCE_WORD = 3;
const SERVER_NONCE_WORD = 7;
const SEQUENCE_MAX_WORD = 11;
const WINDOW_WORD = 12;
const WINDOW_WORDS = 8;
/** Sequences behind the highest that are still told apart. */
const SEQUENCE_WINDOW = WINDOW_WORDS * 32;

/** What session keys are derived from. */
export interface SessionSeed {
  keyGeneration: number;
  expiresAt: number;
  macAlgorithm: number;
  masterKeyVersion: number;
  terminalNonce: Uint8Array;
  serverNonce: Uint8Array;
}

export class Sessions {
  readonly table: Table;
  /** Terminals whose current generation ends after `countedAt`. */
  private openCount = 0;
  private countedAt = 0;

  constructor(
    id: number,
    terminalsMax: number,
    private readonly sessionsMax: number,
  ) {
    this.table = new Table(id, "sessions", SESSION_WORDS, terminalsMax + 1);
  }

  /** Terminals with a session; some of them may have expired since sessions were last counted. */
  get count(): number {
    return this.openCount;
  }

  /** Generations that there can be. */
  get generationsMax(): number {
    return this.table.rowsMax * GENERATIONS;
  }

  /** Place among all generations, from 0 to generationsMax - 1, of one found by `find`. */
  placeOf(base: number): number {
    return base / GENERATION_WORDS;
  }

  /** Makes room for the session of a new terminal row. */
  cover(row: number): void {
    while (this.table.rowCount <= row) this.table.append();
  }

  /** Word offset of a generation that is in force, or 0. */
  find(row: number, keyGeneration: number, nowSeconds: number): number {
    if (row >= this.table.rowCount || keyGeneration === 0) return 0;
    const words = this.table.words;
    for (let g = 0; g < GENERATIONS; g++) {
      const base = row * SESSION_WORDS + g * GENERATION_WORDS;
      if (words[base] !== keyGeneration) continue;
      return nowSeconds < words[base + EXPIRES_WORD]! >>> 0 ? base : 0;
    }
    return 0;
  }

  /** Highest generation the terminal has had; 0 none. */
  lastGeneration(row: number): number {
    return row < this.table.rowCount ? this.table.words[row * SESSION_WORDS]! : 0;
  }

  signedOn(row: number): boolean {
    return row < this.table.rowCount && this.expiresAt(row) !== 0;
  }

  expiresAt(row: number): number {
    return this.table.words[row * SESSION_WORDS + EXPIRES_WORD]! >>> 0;
  }

  /** Whether the terminal can have a session. Counts them anew when there seem to be too many. */
  hasRoom(row: number, nowSeconds: number): boolean {
    if (this.openCount < this.sessionsMax) return true;
    // After a replay the count may be over the limit, with sessions in it that have expired since.
    if (this.counted(row) && this.openCount === this.sessionsMax) return true;
    this.recount(nowSeconds);
    return this.counted(row) || this.openCount < this.sessionsMax;
  }

  /** Counts the sessions in force; also after loading. */
  recount(nowSeconds: number): void {
    this.countedAt = nowSeconds;
    this.openCount = 0;
    for (let row = 1; row < this.table.rowCount; row++) if (this.counted(row)) this.openCount++;
  }

  /**
   * Opens a generation. The one in force before stays until `previousExpiresAt` (0: ends now).
   * The command has been judged.
   */
  open(row: number, seed: SessionSeed, previousExpiresAt: number): void {
    this.table.touch(row);
    if (!this.counted(row)) this.openCount++;
    const words = this.table.words;
    const current = row * SESSION_WORDS;
    const previous = current + GENERATION_WORDS;
    words.copyWithin(previous, current, previous);
    const previousEnd = Math.min(words[previous + EXPIRES_WORD]! >>> 0, previousExpiresAt);
    words[previous + EXPIRES_WORD] = previousEnd | 0;
    words.fill(0, current, previous);
    words[current] = seed.keyGeneration;
    words[current + EXPIRES_WORD] = seed.expiresAt | 0;
    words[current + ALGORITHM_WORD] = seed.macAlgorithm | (seed.masterKeyVersion << 8);
    words.set(wordsOf(seed.terminalNonce), current + TERMINAL_NONCE_WORD);
    words.set(wordsOf(seed.serverNonce), current + SERVER_NONCE_WORD);
  }

  /** Ends both generations; their numbers stay, so that a number is never used twice. */
  close(row: number): void {
    if (!this.signedOn(row)) return;
    this.table.touch(row);
    if (this.counted(row)) this.openCount--;
    const base = row * SESSION_WORDS;
    this.table.words[base + EXPIRES_WORD] = 0;
    this.table.words[base + GENERATION_WORDS + EXPIRES_WORD] = 0;
  }

  /**
   * Ends the generations that were made under another master key than the one of `keyVersion`:
   * session keys are derived anew after a restart, and those could no more be.
   */
  endUnlessUnder(row: number, keyVersion: number): void {
    if (!this.signedOn(row)) return;
    const words = this.table.words;
    const current = row * SESSION_WORDS;
    const previous = current + GENERATION_WORDS;
    if (words[current + ALGORITHM_WORD]! >>> 8 !== keyVersion) {
      this.close(row);
    } else if (words[previous + ALGORITHM_WORD]! >>> 8 !== keyVersion) {
      this.table.touch(row);
      words[previous + EXPIRES_WORD] = 0;
    }
  }

  /** What the keys of a generation found by `find` are derived from. */
  seed(base: number): SessionSeed {
    const words = this.table.words;
    return {
      keyGeneration: words[base]!,
      expiresAt: words[base + EXPIRES_WORD]! >>> 0,
      macAlgorithm: words[base + ALGORITHM_WORD]! & 0xff,
      masterKeyVersion: words[base + ALGORITHM_WORD]! >>> 8,
      terminalNonce: bytesOf(words, base + TERMINAL_NONCE_WORD),
      serverNonce: bytesOf(words, base + SERVER_NONCE_WORD),
    };
  }

  /** Whether a sequence (u32) has not been used and is not too far behind. */
  sequenceFresh(base: number, sequence: number): boolean {
    const words = this.table.words;
    const highest = words[base + SEQUENCE_MAX_WORD]! >>> 0;
    if (sequence > highest) return true;
    if (sequence === 0 || highest - sequence >= SEQUENCE_WINDOW) return false;
    return (words[base + WINDOW_WORD + ((sequence >>> 5) & 7)]! & (1 << (sequence & 31))) === 0;
  }

  /** Takes a fresh sequence. */
  takeSequence(row: number, base: number, sequence: number): void {
    assert(this.sequenceFresh(base, sequence), "a sequence is taken once");
    this.table.touch(row);
    const words = this.table.words;
    const highest = words[base + SEQUENCE_MAX_WORD]! >>> 0;
    if (sequence > highest) {
      this.advance(base, highest, sequence);
      words[base + SEQUENCE_MAX_WORD] = sequence | 0;
    }
    const word = base + WINDOW_WORD + ((sequence >>> 5) & 7);
    words[word] = words[word]! | (1 << (sequence & 31));
  }

  private advance(base: number, highest: number, sequence: number): void {
    const words = this.table.words;
    if (sequence - highest >= SEQUENCE_WINDOW) {
      words.fill(0, base + WINDOW_WORD, base + WINDOW_WORD + WINDOW_WORDS);
      return;
    }
    for (let s = highest + 1; s <= sequence; s++) {
      const word = base + WINDOW_WORD + ((s >>> 5) & 7);
      words[word] = words[word]! & ~(1 << (s & 31));
    }
  }

  private counted(row: number): boolean {
    return this.signedOn(row) && this.expiresAt(row) > this.countedAt;
  }
}

function wordsOf(bytes: Uint8Array): Int32Array {
  return new Int32Array(Uint8Array.from(bytes).buffer);
}

function bytesOf(words: Int32Array, offset: number): Uint8Array {
  return new Uint8Array(words.slice(offset, offset + 4).buffer);
}
