// Ends the process when what must come to the disk takes too long: a commit of the journal, after
// which nobody can say any more what is on the disk, or the checkpoint that a stop waits for. Its
// time begins anew after one in which the process stood still.

import type { Host } from "./host.js";
import { RunningTime } from "./running-time.js";

const COMMIT_LATE =
  "a commit of the journal took longer than journal.commitSecondsMax: check the disk";

export class CommitWatch {
  private readonly time: RunningTime;

  /**
   * `startedMs` tells when what is not on disk yet began; null there is none. `cause` is what the
   * fail stop says, of a commit when it is not given.
   */
  constructor(
    private readonly host: Host,
    private readonly secondsMax: number,
    private readonly startedMs: () => number | null,
    private readonly cause = COMMIT_LATE,
  ) {
    this.time = new RunningTime(host, (nowMs) => this.look(nowMs));
  }

  stop(): void {
    this.time.stop();
  }

  private look(nowMs: number): void {
    const startedMs = this.startedMs();
    if (startedMs === null) return;
    if (nowMs - Math.max(startedMs, this.time.resumedMs) < this.secondsMax * 1000) return;
    this.host.failStop(this.cause);
  }
}
