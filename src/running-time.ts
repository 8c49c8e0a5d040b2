// Looks at something a few times a second, and knows time in which the process itself stood still
// (SIGSTOP, a machine that sleeps): the look after it comes late.
//
// The twist: whoever was stopped sees its clock before it sees what the world did meanwhile. So
// that time is not held against a disk that may long be done.

import type { Host } from "./host.js";

const LOOK_MS = 250;
/** A look that comes later than this: the process itself did not run. */
const LATE_LOOK_MS = 1000;

export class RunningTime {
  /** When the process was last found to go on after it stood still, by its monotonic clock. */
  resumedMs = Number.NEGATIVE_INFINITY;
  private readonly timer: { stop(): void };
  private lookedMs: number;

  /** `look` is told the time, and for how long the process has run since the last look. */
  constructor(
    private readonly host: Host,
    private readonly look: (nowMs: number, ranMs: number) => void,
  ) {
    this.lookedMs = host.monotonicMs();
    this.timer = host.every(LOOK_MS, () => this.tick());
  }

  stop(): void {
    this.timer.stop();
  }

  private tick(): void {
    const nowMs = this.host.monotonicMs();
    const passedMs = nowMs - this.lookedMs;
    this.lookedMs = nowMs;
    if (passedMs > LATE_LOOK_MS) this.resumedMs = nowMs;
    this.look(nowMs, Math.min(passedMs, LATE_LOOK_MS));
  }
}
