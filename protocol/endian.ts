// The wire and the journal are little-endian, and so are the processors we run on; that lets
// records be read and written in place through Int32Array. Checked once, at load.

import { assert } from "./assert.js";

assert(new Uint8Array(Uint32Array.of(1).buffer)[0] === 1, "the processor is little-endian");

/**
 * The words of the Int32Arrays through which records are read and written. Constants of the hot
 * path are enums, here and elsewhere: their numbers stand in the code, where an imported constant
 * is looked up each time.
 */
export const enum WORD {
  /** Bytes. */
  SIZE = 4,
  /** 2^32, for numbers that span two words. */
  RANGE = 4_294_967_296,
}

/** The non-negative number in two words, low one first; exact up to 2^53-1. */
export function readU64(words: Int32Array, index: number): number {
  return (words[index]! >>> 0) + (words[index + 1]! >>> 0) * WORD.RANGE;
}

/** Writes 0..2^53-1 as two words, low one first. */
export function writeU64(words: Int32Array, index: number, value: number): void {
  words[index] = value | 0;
  words[index + 1] = value < WORD.RANGE ? 0 : Math.floor(value / WORD.RANGE) | 0;
}

/** Adds 0..2^53-1 to the number in two words; the sum is exact up to 2^53-1. */
export function addU64(words: Int32Array, index: number, value: number): void {
  const low = (words[index]! >>> 0) + value;
  if (low < WORD.RANGE) words[index] = low | 0;
  else writeU64(words, index, readU64(words, index) + value);
}

/** Copies four words. Written out: a loop of so few costs twice as many instructions. */
export function copyFour(to: Int32Array, at: number, from: Int32Array, first: number): void {
  to[at] = from[first]!;
  to[at + 1] = from[first + 1]!;
  to[at + 2] = from[first + 2]!;
  to[at + 3] = from[first + 3]!;
}
