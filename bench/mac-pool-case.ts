// The MAC pool: MACs of frames of one use, inline and by 1 to n threads; from which batch on the
// pool is sooner; and whether the choice made at start is the better one of both.

import { randomBytes } from "node:crypto";
import { availableParallelism } from "node:os";
import { performance } from "node:perf_hooks";
import { FRAME_MAC_SIZE } from "../protocol/frame.js";
import { createMac, type Mac } from "../protocol/mac.js";
import { MAC_ALGORITHM } from "../protocol/mac-algorithms.js";
import {
  JOB_GOOD,
  JOB_KEY_SLOT_WORD,
  JOB_KEY_VERSION_WORD,
  JOB_RESULT_WORD,
  JOB_SIZE_WORD,
  JOB_START_WORD,
  JOB_WORDS,
} from "../src/mac-jobs.js";
import { MacPool } from "../src/mac-pool.js";
import {
  KEY_SLOT_ALGORITHM_OFFSET,
  KEY_SLOT_REQUEST_OFFSET,
  KEY_SLOT_RESPONSE_OFFSET,
  KEY_SLOT_SIZE,
  KEY_SLOT_VERSION_OFFSET,
} from "../src/session-keys.js";
import type { BenchCase, Run } from "./case.js";
import { useFrameSize } from "./frames.js";

const KEYS = 64;
const KEY_VERSION = 1;
const FRAME_SIZE = useFrameSize(1);
const SIZES = [16, 32, 64, 128, 256, 512, 1024, 2048, 4096];
const SIZE_MAX = SIZES.at(-1)!;
/** Batches on their way to the pool at a time, when it is to be busy. */
const BATCHES = 3;
const SECONDS = 0.6;
const ROUNDS = 5;

export const MAC_POOL: BenchCase = {
  name: "mac-pool",
  text: "MACs of frames of one use, inline and by threads",
  run: async (run) => {
    const work = new Work();
    const inline = await rate(run, SIZE_MAX, 1, async (count) => work.inline(count));
    const text = `inline, batches of ${SIZE_MAX}`;
    run.record({ name: "inline", text, value: inline, unit: "MACs/s" });
    for (let threads = 1; threads <= availableParallelism(); threads++) {
      await busy(run, work, threads);
    }
    await choice(run, work);
  },
};

/** Throughput of a pool that always has work. */
async function busy(run: Run, work: Work, threads: number): Promise<void> {
  run.say(`${threads} threads`);
  const pool = new MacPool(threads, work.data);
  await pool.calibrate();
  const value = await rate(run, SIZE_MAX, BATCHES, (count, batch) => {
    return pool.run(batch, count, count * FRAME_SIZE);
  });
  await pool.close();
  work.check();
  const text = `${threads} busy threads, batches of ${SIZE_MAX}`;
  run.record({ name: `threads-${threads}`, text, value, unit: "MACs/s" });
  run.compare(`threads-${threads}`, "inline");
}

/** One batch at a time, as in the core: inline, by the pool, and as the pool advises. */
async function choice(run: Run, work: Work): Promise<void> {
  const pool = new MacPool("auto", work.data);
  await pool.calibrate();
  if (pool.threads === 0) {
    run.skip("crossover", "one processor: there is no pool");
    return;
  }
  const byPool = (count: number, batch: number) => pool.run(batch, count, count * FRAME_SIZE);
  const adaptive = async (count: number, batch: number) => {
    if (pool.worthIt(count, count * FRAME_SIZE)) await byPool(count, batch);
    else work.inline(count);
  };
  let crossover = 0;
  let worst = Number.POSITIVE_INFINITY;
  for (const size of SIZES) {
    run.say(`batches of ${size}`);
    const submits = [async (count: number) => work.inline(count), byPool, adaptive];
    const [inline, pooled, chosen] = (await rates(run, size, 1, submits)) as Three;
    if (crossover === 0 && pooled > inline) crossover = size;
    worst = Math.min(worst, chosen / Math.max(inline, pooled));
    const text = `batches of ${size}; inline ${Math.round(inline)}, pool ${Math.round(pooled)}`;
    run.record({ name: `adaptive-${size}`, text, value: chosen, unit: "MACs/s" });
  }
  await pool.close();
  const never = crossover === 0 ? "never, up to the largest" : "smallest batch";
  const text = `${never}, for which ${pool.threads} threads are sooner than inline`;
  run.record({ name: "crossover", text, value: crossover, unit: "MACs" });
  const what = "adaptive over the better of inline and pool, worst of all sizes";
  run.record({ name: "adaptive-worst", text: what, value: worst, unit: "x" });
}

type Three = [inline: number, pooled: number, chosen: number];
type Submit = (count: number, batch: number) => Promise<void>;

/** MACs a second of `submit`, so many batches at a time. */
async function rate(run: Run, size: number, batches: number, submit: Submit): Promise<number> {
  return (await rates(run, size, batches, [submit]))[0]!;
}

/** The same of several, in turn, so that what disturbs one disturbs all: best of some rounds. */
async function rates(
  run: Run,
  size: number,
  batches: number,
  submits: readonly Submit[],
): Promise<number[]> {
  const best = submits.map(() => 0);
  for (let round = 0; round < ROUNDS; round++) {
    for (const [i, submit] of submits.entries()) {
      const start = performance.now();
      const end = start + run.seconds(SECONDS) * (1000 / ROUNDS);
      let done = 0;
      const lane = async (batch: number) => {
        do {
          await submit(size, batch);
          done += size;
        } while (performance.now() < end);
      };
      await Promise.all(Array.from({ length: batches }, (_, batch) => lane(batch)));
      best[i] = Math.max(best[i]!, done / ((performance.now() - start) / 1000));
    }
  }
  return best;
}

/** Frames under many keys, as the pool shares them, and the same to be done inline. */
class Work {
  readonly data = {
    arenas: [new SharedArrayBuffer(SIZE_MAX * FRAME_SIZE)],
    jobTables: Array.from({ length: BATCHES }, () => {
      return new SharedArrayBuffer(SIZE_MAX * JOB_WORDS * 4);
    }),
    keyTable: new SharedArrayBuffer(KEYS * KEY_SLOT_SIZE),
  };
  private readonly bytes = new Uint8Array(this.data.arenas[0]!);
  private readonly macs: Mac[] = [];

  constructor() {
    for (let slot = 0; slot < KEYS; slot++) this.macs.push(this.makeKey(slot));
    for (let i = 0; i < SIZE_MAX; i++) {
      const end = (i + 1) * FRAME_SIZE - FRAME_MAC_SIZE;
      this.bytes.set(randomBytes(FRAME_SIZE), i * FRAME_SIZE);
      this.macs[i % KEYS]!.sign(this.bytes, i * FRAME_SIZE, end, this.bytes, end);
    }
    for (const table of this.data.jobTables) fillJobs(new Int32Array(table));
  }

  inline(count: number): void {
    for (let i = 0; i < count; i++) {
      const end = (i + 1) * FRAME_SIZE - FRAME_MAC_SIZE;
      const good = this.macs[i % KEYS]!.verify(this.bytes, i * FRAME_SIZE, end, end);
      if (!good) throw new Error("a MAC does not hold");
    }
  }

  /** Throws unless the pool found every MAC good. */
  check(): void {
    for (const table of this.data.jobTables) {
      const jobs = new Int32Array(table);
      for (let i = 0; i < SIZE_MAX; i++) {
        if (jobs[i * JOB_WORDS + JOB_RESULT_WORD] !== JOB_GOOD)
          throw new Error("a job was not done");
      }
    }
  }

  private makeKey(slot: number): Mac {
    const view = new DataView(this.data.keyTable);
    const offset = slot * KEY_SLOT_SIZE;
    const key = randomBytes(16);
    view.setUint32(offset + KEY_SLOT_ALGORITHM_OFFSET, MAC_ALGORITHM.AES_128_CMAC, true);
    view.setUint32(offset + KEY_SLOT_VERSION_OFFSET, KEY_VERSION, true);
    const keys = new Uint8Array(this.data.keyTable);
    for (const at of [KEY_SLOT_REQUEST_OFFSET, KEY_SLOT_RESPONSE_OFFSET])
      keys.set(key, offset + at);
    return createMac(MAC_ALGORITHM.AES_128_CMAC, key);
  }
}

/** Jobs that verify; arena 0 and JOB_VERIFY are 0. */
function fillJobs(jobs: Int32Array): void {
  for (let i = 0; i < SIZE_MAX; i++) {
    const base = i * JOB_WORDS;
    jobs[base + JOB_START_WORD] = i * FRAME_SIZE;
    jobs[base + JOB_SIZE_WORD] = FRAME_SIZE - FRAME_MAC_SIZE;
    jobs[base + JOB_KEY_SLOT_WORD] = i % KEYS;
    jobs[base + JOB_KEY_VERSION_WORD] = KEY_VERSION;
  }
}
