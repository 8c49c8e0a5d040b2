// The MAC stage: verifies the frames of a batch and signs the answers of a block, inline or by the
// pool, whichever is sooner. Frames stay where they are; the pool works on the shared arenas.

import { performance } from "node:perf_hooks";
import { assert } from "../protocol/assert.js";
import { FRAME_MAC_SIZE } from "../protocol/frame.js";
import { REASON } from "../protocol/reason.js";
import type { Batch, PendingBlock } from "./batch.js";
import type { FrameSlot } from "./frame-slot.js";
import { signAll, signFrame, verifyAll, verifyFrame } from "./mac-groups.js";
import {
  JOB_ARENA_WORD,
  JOB_BAD,
  JOB_KEY_GONE,
  JOB_KEY_SLOT_WORD,
  JOB_KEY_VERSION_WORD,
  JOB_OPERATION_WORD,
  JOB_RESULT_WORD,
  JOB_SIGN,
  JOB_SIZE_WORD,
  JOB_START_WORD,
  JOB_VERIFY,
  JOB_WAITING,
  JOB_WORDS,
} from "./mac-jobs.js";
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
      "jobs name an arena by its holder's number",
    );
    this.pool = new MacPool(workers, {
      arenas: holders.flatMap((holder) => holder.arena.shared ?? []),
      jobTables: holders.map((holder) => holder.jobTable),
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
    return this.pool.run(batch.number, verifyJobs(batch), size).then(() => takeVerdicts(batch));
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
    return this.pool.run(block.number, signJobs(block), size).then(() => finishSigning(block));
  }
}

function takeVerdicts(batch: Batch): void {
  let job = 0;
  for (const frame of batch.frames) {
    if (frame.keys === null) continue;
    const result = batch.jobs[job++ * JOB_WORDS + JOB_RESULT_WORD];
    assert(result !== JOB_WAITING, "the pool did every job");
    if (result === JOB_BAD) frame.refusal = REASON.MAC_INVALID;
    if (result === JOB_KEY_GONE) verifyFrame(batch, frame);
  }
}

function finishSigning(block: PendingBlock): void {
  let job = 0;
  for (const frame of block.frames) {
    if (frame.signer === null) continue;
    const result = block.jobs[job++ * JOB_WORDS + JOB_RESULT_WORD];
    assert(result !== JOB_WAITING, "the pool did every job");
    if (result === JOB_KEY_GONE) signFrame(block, frame);
  }
}

function verifyJobs(batch: Batch): number {
  let count = 0;
  for (const frame of batch.frames) {
    if (frame.keys === null) continue;
    const size = frame.size - FRAME_MAC_SIZE;
    writeJob(batch.jobs, count++, batch.number, frame.start, size, frame, JOB_VERIFY);
  }
  return count;
}

function signJobs(block: PendingBlock): number {
  let count = 0;
  for (const frame of block.frames) {
    if (frame.signer === null) continue;
    const { responseStart, responseSize } = frame;
    writeJob(block.jobs, count++, block.number, responseStart, responseSize, frame, JOB_SIGN);
  }
  return count;
}

function writeJob(
  jobs: Int32Array,
  index: number,
  arena: number,
  start: number,
  size: number,
  frame: FrameSlot,
  operation: number,
): void {
  const base = index * JOB_WORDS;
  jobs[base + JOB_ARENA_WORD] = arena;
  jobs[base + JOB_START_WORD] = start;
  jobs[base + JOB_SIZE_WORD] = size;
  jobs[base + JOB_KEY_SLOT_WORD] = frame.keys!.slot;
  jobs[base + JOB_KEY_VERSION_WORD] = frame.keys!.version;
  jobs[base + JOB_OPERATION_WORD] = operation;
  jobs[base + JOB_RESULT_WORD] = JOB_WAITING;
}
