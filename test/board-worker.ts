// A thread of mac-board.test.ts: serves a board and counts in shared memory how often it was given
// each job, and how often it had nothing to do.

import { workerData } from "node:worker_threads";
import { type BoardMemory, serveBoard } from "../src/mac-board.js";

export interface BoardWorkerData {
  memory: BoardMemory;
  /** For each batch, how often each job was verified, and behind that how often signed. */
  counts: Int32Array[];
  /** How often a thread had nothing to do. */
  idle: Int32Array;
}

const { memory, counts, idle } = workerData as BoardWorkerData;
serveBoard(
  memory,
  (holder, operation, from, to) => {
    const done = counts[holder]!;
    const first = operation * (done.length / 2);
    for (let job = from; job < to; job++) Atomics.add(done, first + job, 1);
  },
  () => Atomics.add(idle, 0, 1),
);
