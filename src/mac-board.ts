// How the threads of the MAC pool come by their jobs: a board in shared memory, on which the main
// thread puts orders and from which each thread takes a chunk when it is done with the one before.
// The pool's library hands a thread one task, to serve the board: an order by way of its queue and
// messages costs 60 us, here 20, and a batch that is parted beforehand waits for the slowest core.
//
// Each place holds one order, in words: whose jobs, operation, count of jobs, jobs done. Beside it
// stands its ticket, number of the order and next chunk in one, so that a thread that takes a chunk
// by exchanging the ticket knows that it is of the order it has read.
//
// Invariants: a place is given to another order when all jobs of the one before are done; while its
// words are written its ticket says that all is taken.

import { assert } from "../protocol/assert.js";
import { CHUNK_JOBS } from "./mac-jobs.js";

/** A batch to verify and a block to sign, and as many again. */
const PLACES = 4;
const CHUNK_BITS = 20n;
const ALL_TAKEN = (1n << CHUNK_BITS) - 1n;
const PLACE_WORDS = 4;
const HOLDER_WORD = 0;
const OPERATION_WORD = 1;
const COUNT_WORD = 2;
const DONE_WORD = 3;
/** Behind the places. */
const ORDERS_WORD = PLACES * PLACE_WORDS;
const ENDED_WORD = ORDERS_WORD + 1;
const WORD_COUNT = ENDED_WORD + 1;

/** What the threads share with the main thread. */
export interface BoardMemory {
  words: Int32Array;
  tickets: BigInt64Array;
}

/** The main thread's side. */
export class MacBoard {
  readonly memory: BoardMemory = {
    words: new Int32Array(new SharedArrayBuffer(WORD_COUNT * 4)),
    tickets: new BigInt64Array(new SharedArrayBuffer(PLACES * 8)).fill(ALL_TAKEN),
  };
  private readonly free = Array.from({ length: PLACES }, (_, place) => place);
  private orders = 0n;
  private failure: Error | null = null;

  /**
   * Has an operation done on jobs 0..count-1 of a batch or block, by its number; resolves when all
   * are done, rejects after `fail`.
   */
  async order(holder: number, operation: number, count: number): Promise<void> {
    const { words, tickets } = this.memory;
    const place = this.free.pop();
    assert(place !== undefined, "the board has a place for an order");
    const at = place * PLACE_WORDS;
    const number = ++this.orders << CHUNK_BITS;
    Atomics.store(tickets, place, number | ALL_TAKEN);
    words[at + HOLDER_WORD] = holder;
    words[at + OPERATION_WORD] = operation;
    words[at + COUNT_WORD] = count;
    words[at + DONE_WORD] = 0;
    Atomics.store(tickets, place, number);
    this.wake();
    for (;;) {
      if (this.failure !== null) throw this.failure;
      const done = Atomics.load(words, at + DONE_WORD);
      if (done === count) break;
      await Atomics.waitAsync(words, at + DONE_WORD, done).value;
    }
    this.free.push(place);
  }

  /** A thread is gone: whoever waits for an order is told, then and later. */
  fail(error: Error): void {
    this.failure ??= error;
    const { words } = this.memory;
    for (let place = 0; place < PLACES; place++) {
      Atomics.notify(words, place * PLACE_WORDS + DONE_WORD);
    }
  }

  /** Ends the threads; what is ordered stays undone. */
  end(): void {
    Atomics.store(this.memory.words, ENDED_WORD, 1);
    this.wake();
  }

  private wake(): void {
    Atomics.add(this.memory.words, ORDERS_WORD, 1);
    Atomics.notify(this.memory.words, ORDERS_WORD);
  }
}

/** Does an operation on jobs from..to-1 of a batch or block, by its number. */
type Work = (holder: number, operation: number, from: number, to: number) => void;

/**
 * A thread's side: hands chunks of jobs to `work` until the board ends, and calls `idle` when there
 * is nothing to do.
 */
export function serveBoard({ words, tickets }: BoardMemory, work: Work, idle: () => void): void {
  for (;;) {
    // Read before all else: what comes after it changes it, so that the thread does not sleep.
    const orders = Atomics.load(words, ORDERS_WORD);
    if (Atomics.load(words, ENDED_WORD) !== 0) return;
    let took = false;
    for (let place = 0; place < PLACES; place++) {
      while (doChunk(words, tickets, place, work)) took = true;
    }
    if (took) continue;
    idle();
    Atomics.wait(words, ORDERS_WORD, orders);
  }
}

/** Takes a chunk of the order at `place` and does it; false when there is none. */
function doChunk(words: Int32Array, tickets: BigInt64Array, place: number, work: Work): boolean {
  const at = place * PLACE_WORDS;
  for (;;) {
    const ticket = Atomics.load(tickets, place);
    const from = Number(ticket & ALL_TAKEN) * CHUNK_JOBS;
    const count = words[at + COUNT_WORD]!;
    const holder = words[at + HOLDER_WORD]!;
    const operation = words[at + OPERATION_WORD]!;
    if (from >= count) return false;
    if (Atomics.compareExchange(tickets, place, ticket, ticket + 1n) !== ticket) continue;
    const to = Math.min(from + CHUNK_JOBS, count);
    work(holder, operation, from, to);
    const done = Atomics.add(words, at + DONE_WORD, to - from) + (to - from);
    if (done === count) Atomics.notify(words, at + DONE_WORD);
    return true;
  }
}
