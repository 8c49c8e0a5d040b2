// Ends the process when a commit of the journal takes too long: nobody can say any more what is on
// the disk.
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

  /** `startedMs` tells when the commit that is not on disk yet began; null there is none. */
  constructor(
    private readonly host: Host,
    private readonly secondsMax: number,
    private readonly startedMs: () => number | null,
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
    this.host.failStop(
      "a commit of the journal took longer than journal.commitSecondsMax: check the disk",
    );
  }
}
