// Admission: how many records may be in flight, so that what is taken is answered in time.
//
// limits.recordsInFlightMax bounds memory, not time: when more is offered than can be answered, a
// queue of that length makes every answer late. So the wait of each block is watched, and the bound
// follows it: records in flight = rate of answers x time of an answer. A frame has waited before it
// was taken, too, in the kernel, for about as long as a turn of the event loop: that counts.
// The twist: late is not overloaded. A slow commit, a cold start or a slow machine makes answers
// late, too, and to refuse would help nobody. The bound falls only when it was reached, most blocks
// of a window were late, and the core had no time to spare while they were committed.

import { assert } from "../protocol/assert.js";

const WINDOW_MS = 50;
/** One block alone is a slow moment. */
const WINDOW_BLOCKS_MIN = 2;
/** As many are always taken. */
const RECORDS_LEAST = 64;
/** Where it begins: a burst, some 60 ms of uses alone in their frames, and not all of memory. */
const RECORDS_START = 8192;
const RISE = 1.5;
/** When the core has time to spare: the overload is over. */
const SPARE_RISE = 4;
/** Part of the time aimed at below which there is room for more. */
const EASY_PART = 0.7;
/** Part of a window that the core waits for commits, doing nothing, when it has time to spare. */
const SPARE_PART = 0.2;

/** How long a block's commit took, and how much of that the core had nothing to do. */
interface CommitTimes {
  commitMs: number;
  idleMs: number;
}

export class Admission {
  private recordsMax: number;
  private readonly least: number;
  private readonly start: number;
  private windowStartMs = 0;
  /** Blocks of this window, those that were late, those that were soon, and the shortest wait. */
  private blocks = 0;
  private late = 0;
  private soon = 0;
  private waitMsMin = Number.POSITIVE_INFINITY;
  /** The shortest commit of this window, and what one is thought to take. */
  private commitMsMin = Number.POSITIVE_INFINITY;
  private diskMs = 0;
  /** How long the core had nothing to do while the blocks of this window were committed. */
  private idleMs = 0;
  /** Whether the bound was reached in this window. */
  private reached = false;
  /** When the last commit began, and how long the core had had nothing to do until then. */
  private beganMs = 0;
  private idleMsThen = 0;
  /** What the core did between the last two commits: the turn of the event loop, milliseconds. */
  private turnMs = 0;

  /** `most` is the bound of memory, `ownMs` the time aimed at, the disk aside. */
  constructor(
    private readonly most: number,
    private readonly ownMs: number,
  ) {
    this.least = Math.min(RECORDS_LEAST, most);
    this.start = Math.min(RECORDS_START, most);
    this.recordsMax = this.start;
  }

  /** Whether a frame is refused while `records` are in flight. */
  refuses(records: number): boolean {
    if (records < this.recordsMax) return false;
    this.reached = true;
    return true;
  }

  /** Tells that a commit begins; `idleMs` is how long the core has had nothing to do until now. */
  began(nowMs: number, idleMs: number): void {
    this.turnMs = nowMs - this.beganMs - (idleMs - this.idleMsThen);
    this.beganMs = nowMs;
    this.idleMsThen = idleMs;
  }

  /**
   * Tells how long the first frame of a block has waited for its answer, now that it leaves. It
   * waits for its commit and for the one before, whatever the load: a slow disk is not overload.
   */
  answered(sinceTakenMs: number, { commitMs, idleMs }: CommitTimes, nowMs: number): void {
    const waitMs = this.turnMs + sinceTakenMs;
    const answerMs = this.ownMs + 2 * this.diskMs;
    this.blocks++;
    if (waitMs > answerMs) this.late++;
    else if (waitMs < answerMs * EASY_PART) this.soon++;
    this.waitMsMin = Math.min(this.waitMsMin, waitMs);
    this.commitMsMin = Math.min(this.commitMsMin, commitMs);
    this.idleMs += idleMs;
    const windowMs = nowMs - this.windowStartMs;
    if (windowMs < WINDOW_MS || this.blocks < WINDOW_BLOCKS_MIN) return;
    const spare = this.idleMs > windowMs * SPARE_PART;
    // A busy core is late to learn of its commits: they took no longer than it seems.
    this.diskMs = spare ? this.commitMsMin : Math.min(this.diskMs, this.commitMsMin);
    this.judge(answerMs, spare);
    this.beginWindow(nowMs);
  }

  private judge(answerMs: number, spare: boolean): void {
    const most = this.blocks / 2;
    if (this.soon > most || (spare && this.reached)) {
      this.limit(spare ? SPARE_RISE : RISE, this.reached ? this.most : this.start);
    } else if (this.late > most && this.reached) {
      this.limit(Math.min(answerMs / this.waitMsMin, 1 / RISE), this.most);
    }
  }

  private beginWindow(nowMs: number): void {
    this.windowStartMs = nowMs;
    this.blocks = 0;
    this.late = 0;
    this.soon = 0;
    this.waitMsMin = Number.POSITIVE_INFINITY;
    this.commitMsMin = Number.POSITIVE_INFINITY;
    this.idleMs = 0;
    this.reached = false;
  }

  private limit(factor: number, most: number): void {
    const records = Math.floor(this.recordsMax * factor);
    this.recordsMax = Math.min(Math.max(records, this.least), Math.max(most, this.recordsMax));
    assert(this.recordsMax >= this.least, "some records are always taken");
  }
}
