// The MAC pool: MACs of frames of one use, inline and by 1 to n threads; from which batch on the
// pool is sooner; and whether what the core's stage chooses is the better one of both.

import { availableParallelism } from "node:os";
import { performance } from "node:perf_hooks";
import { MAC_OPERATION } from "../src/mac-jobs.js";
import { MacPool } from "../src/mac-pool.js";
import { MacStage } from "../src/mac-stage.js";
import { Metrics } from "../src/metrics.js";
import type { BenchCase, Run } from "./case.js";
import { MAC_FRAME_SIZE, MacWork } from "./mac-work.js";

const SIZES = [16, 32, 64, 128, 256, 512, 1024, 2048, 4096];
const SIZE_MAX = SIZES.at(-1)!;
/** Frames of a session next to each other: none, and as many as wire-single has in flight. */
const APART = 1;
const RUN_LENGTH = 16;
/** Batches on their way to the pool at a time, when it is to be busy. */
const BATCHES = 3;
/** Not measured: the code of each thread is compiled by then. */
const WARM_UP_SECONDS = 0.3;
/** How long each is measured, in turns so short that a processor which changes speed hits all. */
const SECONDS = 0.8;
/** A pool is busy for most of it, and several batches of 16 are through. */
const TURN_MS = { busy: 50, choice: 5 };

/** Has the MACs of a batch checked. */
type Submit = (batch: number) => Promise<void> | null;
type Three = [alone: number, pooled: number, chosen: number];

export const MAC_POOL: BenchCase = {
  name: "mac-pool",
  text: "MACs of frames of one use, inline and by threads",
  run: async (run) => {
    const work = await MacWork.make(BATCHES, SIZE_MAX);
    const inline = new MacStage(0, work.batches, work.keys, new Metrics());
    await inline.calibrate();
    work.fill(SIZE_MAX, APART);
    const byStage = (batch: number) => inline.verify(work.batches[batch]!);
    await busy(run, work, byStage);
    await choice(run, work, byStage);
    await inline.close();
    work.close();
  },
};

/** Throughput inline, and of pools that always have work, in turns. */
async function busy(run: Run, work: MacWork, inline: Submit): Promise<void> {
  const pools = Array.from({ length: availableParallelism() }, (_, i) => {
    return new MacPool(i + 1, work.data);
  });
  for (const pool of pools) await pool.calibrate();
  const byPools = pools.map((pool): Submit => {
    return (batch) => pool.run(batch, MAC_OPERATION.VERIFY, SIZE_MAX, SIZE_MAX * MAC_FRAME_SIZE);
  });
  run.say(`inline and 1 to ${pools.length} threads`);
  const rateOf = await rates(run, SIZE_MAX, BATCHES, TURN_MS.busy, [inline, ...byPools]);
  await Promise.all(pools.map((pool) => pool.close()));
  work.check(true);
  const text = `inline, batches of ${SIZE_MAX}, frames of a session apart`;
  run.record({ name: "inline", text, value: rateOf[0]!, unit: "MACs/s" });
  for (let threads = 1; threads <= pools.length; threads++) {
    const text = `${threads} busy threads, batches of ${SIZE_MAX}`;
    run.record({ name: `threads-${threads}`, text, value: rateOf[threads]!, unit: "MACs/s" });
    run.compare(`threads-${threads}`, "inline");
  }
}

/** One batch at a time, as in the core: inline, by the pool, and as the stage chooses. */
async function choice(run: Run, work: MacWork, inline: Submit): Promise<void> {
  const threads = availableParallelism();
  const pool = new MacPool(threads, work.data);
  const adaptive = new MacStage(threads, work.batches, work.keys, new Metrics());
  await Promise.all([pool.calibrate(), adaptive.calibrate()]);
  let crossover = 0;
  let worst = Number.POSITIVE_INFINITY;
  for (const size of SIZES) {
    run.say(`batches of ${size}`);
    work.fill(size, RUN_LENGTH);
    const submits: Submit[] = [
      inline,
      (batch) => pool.run(batch, MAC_OPERATION.VERIFY, size, size * MAC_FRAME_SIZE),
      (batch) => adaptive.verify(work.batches[batch]!),
    ];
    const [alone, pooled, chosen] = (await rates(run, size, 1, TURN_MS.choice, submits)) as Three;
    work.check(false);
    if (crossover === 0 && pooled > alone) crossover = size;
    worst = Math.min(worst, chosen / Math.max(alone, pooled));
    const both = `inline ${Math.round(alone)}, pool ${Math.round(pooled)}`;
    const text = `as the stage chooses, batches of ${size}; ${both}`;
    run.record({ name: `adaptive-${size}`, text, value: chosen, unit: "MACs/s" });
  }
  await Promise.all([pool.close(), adaptive.close()]);
  recordChoice(run, crossover, worst, pool.threads);
}

function recordChoice(run: Run, crossover: number, worst: number, threads: number): void {
  const which = crossover === 0 ? "0: there is no batch" : "smallest batch";
  const text = `${which} for which the pool (threads: ${threads}) is sooner than inline`;
  run.record({ name: "crossover", text, value: crossover, unit: "MACs" });
  const what = "adaptive over the better of inline and pool, worst of all sizes";
  run.record({ name: "adaptive-worst", text: what, value: worst, unit: "x" });
}

/**
 * MACs a second of each of `submits`, so many batches at a time. They take turns of `turnMs`, so
 * that what disturbs one disturbs all, to and fro, so that nobody always comes after the threads.
 */
async function rates(
  run: Run,
  size: number,
  batches: number,
  turnMs: number,
  submits: readonly Submit[],
): Promise<number[]> {
  const roundsOf = (seconds: number) => Math.ceil((run.seconds(seconds) * 1000) / turnMs);
  const warmUp = roundsOf(WARM_UP_SECONDS);
  const rounds = warmUp + roundsOf(SECONDS);
  const done = submits.map(() => 0);
  const tookMs = submits.map(() => 0);
  for (let round = 0; round < rounds; round++) {
    if (round === warmUp) for (const sums of [done, tookMs]) sums.fill(0);
    for (let turn = 0; turn < submits.length; turn++) {
      const i = round % 2 === 0 ? turn : submits.length - 1 - turn;
      const submit = submits[i]!;
      const startMs = performance.now();
      const lane = async (batch: number) => {
        do {
          const pooled = submit(batch);
          // Inline, too, one batch after the other: else it had all of one in its nearest cache.
          if (pooled !== null || batches > 1) await pooled;
          done[i]! += size;
        } while (performance.now() - startMs < turnMs);
      };
      await Promise.all(Array.from({ length: batches }, (_, batch) => lane(batch)));
      tookMs[i]! += performance.now() - startMs;
    }
  }
  return done.map((count, i) => (count * 1000) / tookMs[i]!);
}
