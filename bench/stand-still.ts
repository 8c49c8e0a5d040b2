// How much of a core is really there while the disk is at work: a thread that does nothing but look
// at the clock notes when it could not. Where that is milliseconds at a time, because the host of a
// virtual machine counts its disk's work as ours and then lets us wait, no answer comes sooner.

import { isMainThread, parentPort, Worker, workerData } from "node:worker_threads";
import { monotonicMs } from "../src/shared-clock.js";

/** Shorter is how threads of one machine take turns. */
const GAP_MS_MIN = 1;

const ENDED = 0;
/** Of the figures that both threads see, milliseconds: looked at, of it in gaps, the longest. */
const TOTAL = 0;
const GAPS = 1;
const LONGEST = 2;

interface WitnessData {
  words: Int32Array;
  figures: Float64Array;
}

interface StandStill {
  /** Part of the time for which the thread stood still for GAP_MS_MIN or more, 0 to 1. */
  part: number;
  longestMs: number;
}

/** Has a thread look at the clock while `work` goes on. */
export async function standStillBeside(work: () => Promise<unknown>): Promise<StandStill> {
  const data: WitnessData = {
    words: new Int32Array(new SharedArrayBuffer(4)),
    figures: new Float64Array(new SharedArrayBuffer(3 * 8)),
  };
  const worker = new Worker(new URL(import.meta.url), { workerData: data });
  const ended = new Promise<void>((resolve, reject) => {
    worker.once("error", reject);
    worker.once("exit", () => resolve());
  });
  const looking = new Promise((resolve) => worker.once("message", resolve));
  await Promise.race([looking, ended]);
  await work();
  Atomics.store(data.words, ENDED, 1);
  await ended;
  const { figures } = data;
  return { part: figures[GAPS]! / figures[TOTAL]!, longestMs: figures[LONGEST]! };
}

function look({ words, figures }: WitnessData): void {
  const startMs = monotonicMs();
  let beforeMs = startMs;
  parentPort!.postMessage("looking");
  // Once at the least, however soon the work is done.
  do {
    const nowMs = monotonicMs();
    const gapMs = nowMs - beforeMs;
    beforeMs = nowMs;
    if (gapMs < GAP_MS_MIN) continue;
    figures[GAPS] = figures[GAPS]! + gapMs;
    figures[LONGEST] = Math.max(figures[LONGEST]!, gapMs);
  } while (Atomics.load(words, ENDED) === 0);
  figures[TOTAL] = beforeMs - startMs;
}

if (!isMainThread) look(workerData as WitnessData);
