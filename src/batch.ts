// The two things that take turns in the core: a batch of frames (one is received while another is
// verified) and a block with the answers that wait for its commit (one is committed while the next
// one fills).

import { BlockWriter } from "../engine/block.js";
import { Arena } from "./arena.js";
import type { FrameSlot } from "./frame-slot.js";
import { JOB_WORDS } from "./mac-jobs.js";

/** Frames received together, and their MAC jobs. */
export class Batch {
  readonly arena: Arena;
  readonly frames: FrameSlot[] = [];
  readonly jobTable: SharedArrayBuffer;
  readonly jobs: Int32Array;

  constructor(
    readonly number: number,
    arenaSize: number,
    framesMax: number,
  ) {
    this.arena = new Arena(arenaSize);
    this.jobTable = new SharedArrayBuffer(framesMax * JOB_WORDS * 4);
    this.jobs = new Int32Array(this.jobTable);
  }

  clear(): void {
    this.frames.length = 0;
    this.arena.wipe(0);
  }
}

/** A block being filled or committed, and what waits for it. */
export class PendingBlock {
  readonly writer: BlockWriter;
  readonly arena: Arena;
  readonly frames: FrameSlot[] = [];
  /** Called when the block is on disk. */
  readonly committed: (() => void)[] = [];
  readonly jobTable: SharedArrayBuffer;
  readonly jobs: Int32Array;
  records = 0;
  lastPosition = 0;
  startedMs = 0;
  /** How long its commit took, and how much of that the core had nothing to do. */
  commitMs = 0;
  idleMs = 0;
  signed = false;
  durable = false;

  constructor(
    readonly number: number,
    blockSize: number,
    arenaSize: number,
    framesMax: number,
  ) {
    this.writer = new BlockWriter(blockSize);
    this.arena = new Arena(arenaSize);
    this.jobTable = new SharedArrayBuffer(framesMax * JOB_WORDS * 4);
    this.jobs = new Int32Array(this.jobTable);
  }

  clear(): void {
    this.frames.length = 0;
    this.committed.length = 0;
    this.arena.clear();
    this.records = 0;
    this.signed = false;
    this.durable = false;
  }
}
