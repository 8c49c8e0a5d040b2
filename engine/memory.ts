// The memory of tables and their indexes: words that all threads share, zero at first, reserved at
// full size and given by the kernel as they are first written. What the kernel is told of it
// before, `src/` hands in.

import { WORD_SIZE } from "../protocol/endian.js";

type Prepare = (memory: SharedArrayBuffer) => void;

let prepare: Prepare = () => {};

/** From now on, memory that this thread reserves goes through `how` before it is written. */
export function prepareMemory(how: Prepare): void {
  prepare = how;
}

/** Reserves `count` words. */
export function reserveWords(count: number): Int32Array {
  const memory = new SharedArrayBuffer(count * WORD_SIZE);
  prepare(memory);
  return new Int32Array(memory);
}
