// The false process of one life of a node: its clocks, turns and timers are events of the timeline,
// and when it is dead, nothing that it had planned happens.

import type { Host } from "../../src/host.js";
import type { Chance } from "./chance.js";
import type { Timeline } from "./timeline.js";

/** A clock of the day that jumps when it is told to. */
export class FalseClock {
  private offsetMs: number;
  /** Latest time ever told. */
  latestMs = 0;

  constructor(
    private readonly timeline: Timeline,
    startMs: number,
  ) {
    this.offsetMs = startMs;
  }

  nowMs(): number {
    const nowMs = Math.floor(this.timeline.nowUs / 1000) + this.offsetMs;
    this.latestMs = Math.max(this.latestMs, nowMs);
    return nowMs;
  }

  jump(byMs: number): void {
    this.offsetMs += byMs;
  }
}

export class FalseHost implements Host {
  alive = true;
  /** Why the process stopped itself, "" when it did not. */
  stoppedBecause = "";
  private monotonic = 0;

  constructor(
    private readonly timeline: Timeline,
    private readonly clock: FalseClock,
    private readonly chance: Chance,
    private readonly stopped: () => void,
  ) {}

  nowMs(): number {
    return this.clock.nowMs();
  }

  /** Goes a little forward at each look, so that slices of work have an end. */
  monotonicMs(): number {
    this.monotonic = Math.max(this.monotonic, this.timeline.nowUs / 1000);
    this.monotonic += this.chance.below(8) * 0.04;
    return this.monotonic;
  }

  /** The core of a simulation is taken for busy: only then does it refuse for being late. */
  idleMs(): number {
    return 0;
  }

  soon(task: () => void): void {
    // The event loop is busy with something else now and then.
    this.plan(1 + this.chance.below(this.chance.hit(0.2) ? 3000 : 40), task);
  }

  after(ms: number, task: () => void): void {
    this.plan(ms * 1000, task);
  }

  every(ms: number, task: () => void): { stop(): void } {
    let running = true;
    const beat = () => {
      if (!running) return;
      task();
      this.plan(ms * 1000, beat);
    };
    this.plan(ms * 1000, beat);
    return {
      stop: () => {
        running = false;
      },
    };
  }

  random(size: number): Uint8Array {
    return this.chance.bytes(size);
  }

  failStop(cause: string): void {
    this.stoppedBecause = cause;
    this.alive = false;
    this.stopped();
  }

  private plan(delayUs: number, task: () => void): void {
    this.timeline.after(delayUs, () => {
      if (this.alive) task();
    });
  }
}
