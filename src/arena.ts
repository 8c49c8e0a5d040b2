// An arena: one buffer into which the frames of a batch are laid one behind the other, each
// at a multiple of 8 so that records are read and written in place as words. Emptied as a whole.

import { assert } from "../protocol/assert.js";

/** The multiple of 8 from `offset` on. */
function aligned(offset: number): number {
  return (offset + 7) & ~7;
}

export class Arena {
  readonly size: number;
  /** Its memory, when other threads are to see it. */
  readonly shared: SharedArrayBuffer | null;
  readonly bytes: Uint8Array;
  readonly words: Int32Array;
  readonly view: DataView;
  used = 0;

  /**
   * `size` bytes at the least, `shared` when another thread is to see them: V8 copies into such
   * memory word by word, and ten times as fast into its own.
   */
  constructor(size: number, shared: boolean) {
    this.size = Math.ceil(size / 8) * 8;
    this.shared = shared ? new SharedArrayBuffer(this.size) : null;
    const memory = this.shared ?? new ArrayBuffer(this.size);
    this.bytes = new Uint8Array(memory);
    this.words = new Int32Array(memory);
    this.view = new DataView(memory);
  }

  fits(size: number): boolean {
    return this.used + size + 8 <= this.size;
  }

  /** Reserves `size` bytes and returns where they start. The caller has looked at `fits`. */
  take(size: number): number {
    const start = this.used;
    this.used = aligned(start + size);
    assert(this.used <= this.size, "the arena has room");
    return start;
  }

  clear(): void {
    this.used = 0;
  }

  /** Gives back what was taken from `start` on, and zeroes it: for what holds card numbers. */
  wipe(start: number): void {
    const from = aligned(start);
    this.words.fill(0, from >> 2, this.used >> 2);
    this.used = from;
  }
}
