// Ends the process when what must come to the disk takes too long: a commit of the journal, after
// which nobody can say any more what is on the disk, or the checkpoint that a stop waits for.
//
// The twist: a process that was stopped (SIGSTOP), or whose machine slept, sees its clock before it
// sees what the disk did meanwhile. Time in which it stood still is not the disk's.

import type { Host } from "./host.js";

const LOOK_MS = 250;
/** A look that comes so late: the process itself did not run. */
const LATE_MS = 1000;

export class CommitWatch {
  private readonly timer: { stop(): void };
  private lookedMs: number;
  private resumedMs = 0;

  /**
   * `startedMs` tells when what is not on disk yet began; null there is none. `cause` is what the
   * fail stop says.
   */
  constructor(
    private readonly host: Host,
    private readonly secondsMax: number,
    private readonly startedMs: () => number | null,
    private readonly cause: string,
  ) {
    this.lookedMs = host.monotonicMs();
    this.timer = host.every(LOOK_MS, () => this.look());
  }

  stop(): void {
    this.timer.stop();
  }

  private look(): void {
    const nowMs = this.host.monotonicMs();
    if (nowMs - this.lookedMs > LATE_MS) this.resumedMs = nowMs;
    this.lookedMs = nowMs;
    const startedMs = this.startedMs();
    if (startedMs === null) return;
    if (nowMs - Math.max(startedMs, this.resumedMs) < this.secondsMax * 1000) return;
    this.host.failStop(this.cause);
  }
}
