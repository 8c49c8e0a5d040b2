// Tells when checkpoints do not come to an end: a write that is never done, a disk that is far too
// slow, one that has failed. The process goes on, for the journal has everything; but a restart
// replays ever more.
//
// The twist: entries wait for a checkpoint only when there are some, so an idle server is never
// late; and time in which the process stood still (SIGSTOP, a machine that sleeps) is not counted.

import type { Host } from "./host.js";
import type { Metrics } from "./metrics.js";

const LOOK_MS = 250;
/** A look that comes later than this: the process itself did not run. */
const LATE_LOOK_MS = 1000;
/** Late is what has taken so many times journal.checkpointSeconds. */
const INTERVALS_MAX = 5;

/** Positions of the last complete checkpoint and of the last entry on disk. */
export interface CheckpointProgress {
  checkpoint: number;
  committed: number;
}

export interface CheckpointWatcher {
  /** Told once, until one has ended. */
  late(seconds: number): void;
  /** One has ended after all. */
  ended(): void;
}

export class CheckpointWatch {
  private readonly timer: { stop(): void };
  private lookedMs: number;
  private checkpoint: number;
  private waitedMs = 0;
  private isLate = false;

  constructor(
    private readonly host: Host,
    private readonly checkpointSeconds: number,
    private readonly progress: () => CheckpointProgress,
    private readonly metrics: Metrics,
    private readonly watcher: CheckpointWatcher,
  ) {
    this.lookedMs = host.monotonicMs();
    this.checkpoint = progress().checkpoint;
    this.timer = host.every(LOOK_MS, () => this.look());
  }

  stop(): void {
    this.timer.stop();
  }

  private look(): void {
    const nowMs = this.host.monotonicMs();
    this.waitedMs += Math.min(nowMs - this.lookedMs, LATE_LOOK_MS);
    this.lookedMs = nowMs;
    const { checkpoint, committed } = this.progress();
    if (checkpoint !== this.checkpoint || checkpoint >= committed) this.ended(checkpoint);
    const seconds = this.waitedMs / 1000;
    this.metrics.setCheckpointWaitSeconds(seconds);
    if (this.isLate || seconds < this.checkpointSeconds * INTERVALS_MAX) return;
    this.isLate = true;
    this.watcher.late(Math.floor(seconds));
  }

  private ended(checkpoint: number): void {
    this.checkpoint = checkpoint;
    this.waitedMs = 0;
    if (!this.isLate) return;
    this.isLate = false;
    this.watcher.ended();
  }
}
