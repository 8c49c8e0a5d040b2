// The journal's writer: a thread of its own that seals one block after another and makes it
// durable. Blocks are filled in memory that this thread sees, too, so a commit begins at once,
// whatever the event loop of the main thread still has to do, and the main thread can look whether
// it is done without waiting for its event loop either.

import { Worker } from "node:worker_threads";
import { assert } from "../protocol/assert.js";
import type { BlockSink } from "./block-sink.js";
import type { Config } from "./config.js";
import { monotonicMs } from "./shared-clock.js";

/** Words of the memory that both threads see. */
export const ORDERS_WORD = 0;
export const DONE_WORD = 1;
export const SIZE_WORD = 2;
export const FAILED_WORD = 3;
export const MEMORY_WORD = 4;
const WORD_COUNT = 5;
/** In SIZE_WORD, in place of a block's size: the thread is to end. */
export const SIZE_END = -1;

/** What the thread is given: MEMORY_WORD tells in which memory the block is, SIZE_WORD its size. */
export interface JournalWriterData {
  folder: string;
  fileSizeMax: number;
  words: Int32Array;
  /** The block's first position. */
  position: Float64Array;
  /** When the thread had last made one durable, by `monotonicMs`. */
  doneMs: Float64Array;
  memory: readonly [SharedArrayBuffer, SharedArrayBuffer];
}

/** Bytes, as in the section "journal" of the configuration. */
export type JournalLimits = Pick<Config["journal"], "blockSizeMax" | "fileSizeMax">;

interface Waiting {
  startedMs: number;
  resolve: (commitMs: number) => void;
  reject: (error: Error) => void;
}

export class JournalWriter implements BlockSink {
  readonly memory: readonly [SharedArrayBuffer, SharedArrayBuffer];
  private readonly words = new Int32Array(new SharedArrayBuffer(WORD_COUNT * 4));
  private readonly position = new Float64Array(new SharedArrayBuffer(8));
  private readonly doneMs = new Float64Array(new SharedArrayBuffer(8));
  private readonly worker: Worker;
  private orders = 0;
  private waiting: Waiting | null = null;
  private failure: Error | null = null;

  private constructor(folder: string, { blockSizeMax, fileSizeMax }: JournalLimits) {
    this.memory = [new SharedArrayBuffer(blockSizeMax), new SharedArrayBuffer(blockSizeMax)];
    const { words, position, doneMs, memory } = this;
    const data: JournalWriterData = { folder, fileSizeMax, words, position, doneMs, memory };
    const url = new URL("./journal-worker.js", import.meta.url);
    this.worker = new Worker(url, { workerData: data });
  }

  /** Starts the thread on the journal in `folder`; resolves when it can take a block. */
  static async open(folder: string, limits: JournalLimits): Promise<JournalWriter> {
    const writer = new JournalWriter(folder, limits);
    const { worker } = writer;
    await new Promise<void>((resolve, reject) => {
      worker.once("message", resolve);
      worker.on("error", (error) => reject(writer.ended(error)));
      worker.on("exit", () => reject(writer.ended(new Error("the journal's thread has ended"))));
    });
    worker.on("message", () => writer.poll());
    return writer;
  }

  /**
   * Seals a closed block and appends it; resolves when it is on disk, rejects when it may not be:
   * then no later one is taken. One at a time. `bytes` are the first of one of its `memory`.
   */
  append(firstPosition: number, bytes: Uint8Array): Promise<number> {
    assert(this.waiting === null, "one block is written at a time");
    if (this.failure !== null) return Promise.reject(this.failure);
    const place = this.memory.indexOf(bytes.buffer as SharedArrayBuffer);
    assert(place >= 0 && bytes.byteOffset === 0, "the block is where the thread looks for it");
    this.words[MEMORY_WORD] = place;
    this.position[0] = firstPosition;
    return new Promise((resolve, reject) => {
      this.waiting = { startedMs: monotonicMs(), resolve, reject };
      this.order(bytes.length);
    });
  }

  /** Looks whether the block is on disk, of which the event loop may learn later. */
  poll(): void {
    const { waiting, words } = this;
    if (waiting === null || Atomics.load(words, DONE_WORD) !== this.orders) return;
    this.waiting = null;
    if (words[FAILED_WORD] === 0) {
      waiting.resolve(this.doneMs[0]! - waiting.startedMs);
      return;
    }
    this.failure = new Error("the journal could not be written");
    waiting.reject(this.failure);
  }

  /** Ends the thread; to be called when nothing is being written. */
  async close(): Promise<void> {
    assert(this.waiting === null, "no block is being written");
    if (this.failure !== null) {
      await this.worker.terminate();
      return;
    }
    const ended = new Promise((resolve) => this.worker.once("exit", resolve));
    this.order(SIZE_END);
    await ended;
  }

  private order(size: number): void {
    this.words[SIZE_WORD] = size;
    this.orders = (this.orders + 1) | 0;
    Atomics.store(this.words, ORDERS_WORD, this.orders);
    Atomics.notify(this.words, ORDERS_WORD);
  }

  /** The thread is gone, and with it what it was writing. */
  private ended(error: Error): Error {
    this.failure ??= error;
    this.waiting?.reject(error);
    this.waiting = null;
    return error;
  }
}
