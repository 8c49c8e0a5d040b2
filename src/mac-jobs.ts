// The MAC jobs of a batch or block, in memory that the main thread shares with the threads of the
// pool: all of one order are of one arena and one operation, so a job tells only where its message
// stands and under which key.
//
//   word  field
//   0     start        byte offset of the frame in the arena
//   1     size         bytes under the MAC; the MAC stands right behind them
//   2     keySlot      src/session-keys.ts
//   3     keyVersion   the keys that must stand in the slot
//
// Behind the jobs stands a byte for the result of each. What a thread writes is apart from what all
// read, and the results of a chunk of jobs are one line of the cache, which no other thread writes.

/** Jobs that a thread takes at a time, some 20 us of work, and bytes of a line of the cache. */
export const CHUNK_JOBS = 64;

export const JOB_WORDS = 4;
export const JOB_START_WORD = 0;
export const JOB_SIZE_WORD = 1;
export const JOB_KEY_SLOT_WORD = 2;
export const JOB_KEY_VERSION_WORD = 3;

export const JOB_WAITING = 0;
export const JOB_GOOD = 1;
export const JOB_BAD = 2;
/** The slot holds other keys by now: the main thread does this one itself. */
export const JOB_KEY_GONE = 3;

/** What is to be done with all jobs of an order. */
export const MAC_OPERATION = {
  /** With the request key. */
  VERIFY: 0,
  /** With the response key. */
  SIGN: 1,
} as const;

const WORDS_SIZE = JOB_WORDS * Int32Array.BYTES_PER_ELEMENT;
const JOB_SIZE = WORDS_SIZE + 1;

/** Memory for `jobsMax` jobs and their results. */
export function newJobMemory(jobsMax: number): SharedArrayBuffer {
  return new SharedArrayBuffer(Math.ceil(jobsMax / CHUNK_JOBS) * CHUNK_JOBS * JOB_SIZE);
}

/** One thread's view of them. */
export class MacJobs {
  readonly words: Int32Array;
  /** Of each job: JOB_WAITING, JOB_GOOD, JOB_BAD or JOB_KEY_GONE. */
  readonly results: Uint8Array;

  constructor(readonly memory: SharedArrayBuffer) {
    const jobsMax = memory.byteLength / JOB_SIZE;
    this.words = new Int32Array(memory, 0, jobsMax * JOB_WORDS);
    this.results = new Uint8Array(memory, jobsMax * WORDS_SIZE);
  }

  /** Puts a job at place `job`: `size` bytes at byte `start`, under the keys of a slot. */
  put(job: number, start: number, size: number, keys: { slot: number; version: number }): void {
    const { words } = this;
    const base = job * JOB_WORDS;
    words[base + JOB_START_WORD] = start;
    words[base + JOB_SIZE_WORD] = size;
    words[base + JOB_KEY_SLOT_WORD] = keys.slot;
    words[base + JOB_KEY_VERSION_WORD] = keys.version;
    this.results[job] = JOB_WAITING;
  }
}

/** What every thread of the pool is given at its start: of each batch and block, by its number. */
export interface MacWorkerData {
  arenas: SharedArrayBuffer[];
  jobs: SharedArrayBuffer[];
  keyTable: SharedArrayBuffer;
}
