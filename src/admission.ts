// Admission: how many records may be in flight, so that what is taken is answered in time.
//
// limits.recordsInFlightMax bounds memory, not time: when more is offered than can be answered, a
// queue of that length makes every answer late. So the wait of each block is watched, and the bound
// follows it: records in flight = rate of answers x time of an answer. A frame has waited before it
// was taken, too, in the kernel, for the rest of a turn of the event loop: as long as the core was
// late to see its commit done.
// The twist: late is not overloaded. A slow commit, a cold start or a slow machine makes answers
// late, too, and to refuse would help nobody. The bound falls only when it was reached, most blocks
// of a window were late, commits aside, and the core had no time to spare in it.

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
/** Part of a window that the core has nothing to do when it has time to spare. */
const SPARE_PART = 0.2;

/** What a block tells when it is answered. */
interface BlockTimes {
  /** Its first frame waited as long for its answer, from when it came. */
  waitMs: number;
  /** Its commit took as long on the disk, however late the core learnt of it. */
  commitMs: number;
  /** How long the core has had nothing to do, until now and ever since. */
  idleMs: number;
}

export class Admission {
  private recordsMax: number;
  private readonly least: number;
  private readonly start: number;
  private windowStartMs = 0;
  /** Blocks of this window, those late, those soon, and the shortest wait, commits aside. */
  private blocks = 0;
  private late = 0;
  private soon = 0;
  private coreMsMin = Number.POSITIVE_INFINITY;
  /** How long the last commit took. */
  private commitMs = 0;
  /** How long the core had had nothing to do when this window began. */
  private idleMsThen = 0;
  /** Whether the bound was reached in this window. */
  private reached = false;

  /** `most` is the bound of memory, `answerMs` the time aimed at, commits aside. */
  constructor(
    private readonly most: number,
    private readonly answerMs: number,
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

  /**
   * Tells of a block whose answers leave. Its first frame waits for its commit and for the one
   * before, whatever the load: a slow disk is not overload.
   */
  answered({ waitMs, commitMs, idleMs }: BlockTimes, nowMs: number): void {
    // A frame that came while the commit before went on has not waited for all of it.
    const coreMs = Math.max(waitMs - commitMs - this.commitMs, 0);
    this.commitMs = commitMs;
    this.blocks++;
    if (coreMs > this.answerMs) this.late++;
    else if (coreMs < this.answerMs * EASY_PART) this.soon++;
    this.coreMsMin = Math.min(this.coreMsMin, coreMs);
    const windowMs = nowMs - this.windowStartMs;
    if (windowMs < WINDOW_MS || this.blocks < WINDOW_BLOCKS_MIN) return;
    this.judge(idleMs - this.idleMsThen > windowMs * SPARE_PART);
    this.beginWindow(nowMs, idleMs);
  }

  private judge(spare: boolean): void {
    const most = this.blocks / 2;
    if (this.soon > most || (spare && this.reached)) {
      this.limit(spare ? SPARE_RISE : RISE, this.reached ? this.most : this.start);
    } else if (this.late > most && this.reached) {
      this.limit(Math.min(this.answerMs / this.coreMsMin, 1 / RISE), this.most);
    }
  }

  private beginWindow(nowMs: number, idleMs: number): void {
    this.windowStartMs = nowMs;
    this.idleMsThen = idleMs;
    this.blocks = 0;
    this.late = 0;
    this.soon = 0;
    this.coreMsMin = Number.POSITIVE_INFINITY;
    this.reached = false;
  }

  private limit(factor: number, most: number): void {
    const records = Math.floor(this.recordsMax * factor);
    this.recordsMax = Math.min(Math.max(records, this.least), Math.max(most, this.recordsMax));
    assert(this.recordsMax >= this.least, "some records are always taken");
  }
}
