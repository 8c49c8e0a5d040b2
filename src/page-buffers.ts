// The buffers in which pages go to disk. There are so many and no more: a checkpoint waits when all
// are on their way, so that it takes the same memory whatever the size of the tables.
//
// Layout: position f64, then the words of the page. Invariant: a buffer that was given to the
// database is filled again only after the database is done with it.

import { assert } from "../protocol/assert.js";

export const PAGE_HEADER_SIZE = 8;
/** 3 MB of cards in flight: what the writer thread writes in some milliseconds. */
const BUFFERS = 256;
/** Who waits goes on when so many are free: then the writer has a transaction worth its while. */
const BUFFERS_TO_GO_ON = 128;

export interface PageBuffer {
  bytes: Buffer;
  /** Where the page belongs. */
  words: Int32Array;
}

export class PageBuffers {
  private readonly free: PageBuffer[] = [];
  private made = 0;
  private waiting: (() => void) | null = null;

  /** A buffer for up to `wordCount` words, the same at each call; null when all are in use. */
  take(wordCount: number): PageBuffer | null {
    const buffer = this.free.pop();
    if (buffer !== undefined) {
      assert(buffer.words.length === wordCount, "buffers are of one size");
      return buffer;
    }
    if (this.made === BUFFERS) return null;
    this.made++;
    const bytes = Buffer.from(new ArrayBuffer(PAGE_HEADER_SIZE + wordCount * 4));
    return { bytes, words: new Int32Array(bytes.buffer, PAGE_HEADER_SIZE) };
  }

  give(buffer: PageBuffer): void {
    this.free.push(buffer);
    if (this.free.length + BUFFERS - this.made >= BUFFERS_TO_GO_ON) this.wake();
  }

  /** Resolves when there is room again, or when `wake` is called. */
  room(): Promise<void> {
    if (this.free.length > 0 || this.made < BUFFERS) return Promise.resolve();
    return new Promise((resolve) => {
      this.waiting = resolve;
    });
  }

  wake(): void {
    this.waiting?.();
    this.waiting = null;
  }
}
