// The wire and the journal are little-endian, and so are the processors we run on; that lets
// records be read and written in place through Int32Array. Checked once, at load.

import { assert } from "./assert.js";

assert(new Uint8Array(Uint32Array.of(1).buffer)[0] === 1, "the processor is little-endian");

/** Bytes in one word of the Int32Arrays through which records are read and written. */
export const WORD_SIZE = 4;
/** 2^32, for numbers that span two words. */
export const WORD_RANGE = 4_294_967_296;

/** The non-negative number in two words, low one first; exact up to 2^53-1. */
export function readU64(words: Int32Array, index: number): number {
  return (words[index]! >>> 0) + (words[index + 1]! >>> 0) * WORD_RANGE;
}

/** Writes 0..2^53-1 as two words, low one first. */
export function writeU64(words: Int32Array, index: number, value: number): void {
  words[index] = value | 0;
  words[index + 1] = Math.floor(value / WORD_RANGE) | 0;
}
