// Admission: how many records may be in flight, so that what is taken is answered in time.
//
// limits.recordsInFlightMax bounds memory, not time: when more is offered than can be answered, a
// queue of that length makes every answer late. So the wait of each block is watched, and the bound
// follows it: records in flight = rate of answers x time of an answer.
// The twist: late is not overloaded. A slow commit, a cold start or a slow machine makes answers
// late, too, and to refuse would help nobody. The bound falls only when it was reached and no block
// of a window was in time, and rises again as soon as they are.

import { assert } from "../protocol/assert.js";

const WINDOW_MS = 50;
/** As many are always taken. */
const RECORDS_LEAST = 256;
/** Where it begins: a burst, and not yet all that memory has room for. */
const RECORDS_START = 16_384;
const RISE = 1.5;
/** Part of the time aimed at below which there is room for more. */
const EASY_PART = 0.7;

export class Admission {
  private recordsMax: number;
  private readonly least: number;
  private windowEndMs = 0;
  /** The shortest wait of a block in this window. */
  private waitMsMin = Number.POSITIVE_INFINITY;
  private blocks = 0;
  /** The shortest commit of this window, and of the last one that was no overload. */
  private commitMsMin = Number.POSITIVE_INFINITY;
  private diskMs = 0;
  /** Whether the bound was reached in this window. */
  private reached = false;

  /** `most` is the bound of memory, `answerMs` the time aimed at. */
  constructor(
    private readonly most: number,
    private readonly answerMs: number,
  ) {
    this.least = Math.min(RECORDS_LEAST, most);
    this.recordsMax = Math.min(RECORDS_START, most);
  }

  /** Whether a frame is refused while `records` are in flight. */
  refuses(records: number): boolean {
    if (records < this.recordsMax) return false;
    this.reached = true;
    return true;
  }

  /**
   * Tells how long the first frame of a block has waited for its answer, now that it leaves, and
   * how long the commit took. A frame waits for that and for the commit before, whatever the load:
   * a slow disk is not overload. How slow it is shows when there is none, for under overload the
   * core is late to learn of its commits.
   */
  answered(waitMs: number, commitMs: number, nowMs: number): void {
    this.waitMsMin = Math.min(this.waitMsMin, waitMs);
    this.commitMsMin = Math.min(this.commitMsMin, commitMs);
    this.blocks++;
    if (nowMs < this.windowEndMs) return;
    const answerMs = this.answerMs + 2 * this.diskMs;
    // One block alone is a slow moment.
    const late = this.waitMsMin > answerMs && this.blocks > 1;
    if (late && this.reached) this.limit(answerMs / this.waitMsMin);
    else if (this.waitMsMin < answerMs * EASY_PART) this.limit(RISE);
    if (!this.reached && this.blocks > 1) this.diskMs = this.commitMsMin;
    this.beginWindow(nowMs);
  }

  private beginWindow(nowMs: number): void {
    this.windowEndMs = nowMs + WINDOW_MS;
    this.waitMsMin = Number.POSITIVE_INFINITY;
    this.commitMsMin = Number.POSITIVE_INFINITY;
    this.blocks = 0;
    this.reached = false;
  }

  private limit(factor: number): void {
    const records = Math.floor(this.recordsMax * factor);
    this.recordsMax = Math.min(Math.max(records, this.least), this.most);
    assert(this.recordsMax >= this.least, "some records are always taken");
  }
}
