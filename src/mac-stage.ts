// The MAC stage: verifies the frames of a batch and signs the answers of a block, inline or by the
// pool, whichever is sooner. Frames stay where they are; the pool works on the shared arenas.

import { performance } from "node:perf_hooks";
import { assert } from "../protocol/assert.js";
import { FRAME_MAC_SIZE } from "../protocol/frame.js";
import { REASON } from "../protocol/reason.js";
import type { Batch, PendingBlock } from "./batch.js";
import { signAll, signFrame, verifyAll, verifyFrame } from "./mac-groups.js";
import { JOB_BAD, JOB_KEY_GONE, JOB_WAITING, MAC_OPERATION } from "./mac-jobs.js";
import { MacPool } from "./mac-pool.js";
import type { Metrics } from "./metrics.js";
import type { SessionKeys } from "./session-keys.js";

export class MacStage {
  private readonly pool: MacPool;

  /** `holders` are all batches and blocks, each at the place of its number. */
  constructor(
    workers: number | "auto",
    holders: readonly (Batch | PendingBlock)[],
    keys: SessionKeys,
    private readonly metrics: Metrics,
  ) {
    assert(
      holders.every((holder, i) => holder.number === i),
      "the threads know an arena and its jobs by their holder's number",
    );
    this.pool = new MacPool(workers, {
      arenas: holders.flatMap((holder) => holder.arena.shared ?? []),
      jobs: holders.map((holder) => holder.jobs.memory),
      keyTable: keys.table,
    });
  }

  /** Threads of the pool. */
  get threads(): number {
    return this.pool.threads;
  }

  /** Measures from which size on the pool is worth it. To be awaited before traffic. */
  calibrate(): Promise<void> {
    return this.pool.calibrate();
  }

  close(): Promise<void> {
    return this.pool.close();
  }

  /**
   * Verifies the frames that have keys; a MAC that does not hold refuses its frame. Returns null
   * when all is done, or a promise of the pool.
   */
  verify(batch: Batch): Promise<void> | null {
    let count = 0;
    let size = 0;
    for (const frame of batch.frames) {
      if (frame.keys === null) continue;
      count++;
      size += frame.size;
    }
    if (!this.pool.worthIt(count, size)) {
      this.metrics.countMacs(count, 0);
      const start = performance.now();
      verifyAll(batch);
      this.pool.tookInline(count, size, (performance.now() - start) * 1e6);
      return null;
    }
    this.metrics.countMacs(0, count);
    const jobs = putVerifyJobs(batch);
    const done = this.pool.run(batch.number, MAC_OPERATION.VERIFY, jobs, size);
    return done.then(() => takeVerdicts(batch));
  }

  /** Signs the answers that have a signer. Returns null when all is done, or a promise. */
  sign(block: PendingBlock): Promise<void> | null {
    let count = 0;
    let size = 0;
    for (const frame of block.frames) {
      if (frame.signer === null) continue;
      count++;
      size += frame.responseSize;
    }
    if (!this.pool.worthIt(count, size)) {
      this.metrics.countMacs(count, 0);
      const start = performance.now();
      signAll(block);
      this.pool.tookInline(count, size, (performance.now() - start) * 1e6);
      return null;
    }
    this.metrics.countMacs(0, count);
    const jobs = putSignJobs(block);
    const done = this.pool.run(block.number, MAC_OPERATION.SIGN, jobs, size);
    return done.then(() => finishSigning(block));
  }
}

function takeVerdicts(batch: Batch): void {
  let job = 0;
  for (const frame of batch.frames) {
    if (frame.keys === null) continue;
    const result = batch.jobs.results[job++];
    assert(result !== JOB_WAITING, "the pool did every job");
    if (result === JOB_BAD) frame.refusal = REASON.MAC_INVALID;
    if (result === JOB_KEY_GONE) verifyFrame(batch, frame);
  }
}

function finishSigning(block: PendingBlock): void {
  let job = 0;
  for (const frame of block.frames) {
    if (frame.signer === null) continue;
    const result = block.jobs.results[job++];
    assert(result !== JOB_WAITING, "the pool did every job");
    if (result === JOB_KEY_GONE) signFrame(block, frame);
  }
}

function putVerifyJobs({ frames, jobs }: Batch): number {
  let count = 0;
  for (const frame of frames) {
    if (frame.keys === null) continue;
    jobs.put(count++, frame.start, frame.size - FRAME_MAC_SIZE, frame.keys);
  }
  return count;
}

function putSignJobs({ frames, jobs }: PendingBlock): number {
  let count = 0;
  for (const frame of frames) {
    if (frame.signer === null) continue;
    jobs.put(count++, frame.responseStart, frame.responseSize, frame.keys!);
  }
  return count;
}
