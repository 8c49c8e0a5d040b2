// Tells when checkpoints do not come to an end: a write that is never done, a disk that is far too
// slow, one that has failed. The process goes on, for the journal has everything; but a restart
// replays ever more.
//
// The twist: entries wait for a checkpoint only when there are some, so an idle server is never
// late; and only time in which the process ran is counted.

import type { Host } from "./host.js";
import type { Metrics } from "./metrics.js";
import { RunningTime } from "./running-time.js";

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
  private readonly time: RunningTime;
  private checkpoint: number;
  private waitedMs = 0;
  private isLate = false;

  constructor(
    host: Host,
    private readonly checkpointSeconds: number,
    private readonly progress: () => CheckpointProgress,
    private readonly metrics: Metrics,
    private readonly watcher: CheckpointWatcher,
  ) {
    this.checkpoint = progress().checkpoint;
    this.time = new RunningTime(host, (_nowMs, ranMs) => this.look(ranMs));
  }

  stop(): void {
    this.time.stop();
  }

  private look(ranMs: number): void {
    this.waitedMs += ranMs;
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
