// The memory of tables and their indexes: words that all threads share, zero at first, reserved at
// full size and given by the kernel when they are first written, if not before. What the kernel is
// told of it, `src/` hands in.

import { WORD } from "../protocol/endian.js";

/** `soon`: all of the words will be written soon, in no order. */
type Prepare = (words: Int32Array, soon: boolean) => void;

let prepare: Prepare | null = null;

/** From now on what this thread reserves goes through `how` before it is written; null ends it. */
export function prepareMemory(how: Prepare | null): void {
  prepare = how;
}

/** Reserves `count` words; `soon` as above. */
export function reserveWords(count: number, soon = false): Int32Array {
  const words = new Int32Array(new SharedArrayBuffer(count * WORD.SIZE));
  prepare?.(words, soon);
  return words;
}
