// The process around the core: clocks, turns of the event loop, timers, random bytes, and its end.
// One object, so that a simulator can put a false one in its place and run the same core from a
// seed. Invariant: what the core does follows from what its host, its stores and its callers do.

import { randomBytes } from "node:crypto";
import { performance } from "node:perf_hooks";
import { failStop } from "./fail-stop.js";

export interface Host {
  /** The clock of the day, milliseconds since 1970 UTC; may be set back or forward. */
  nowMs(): number;
  /** A clock that only goes forward, milliseconds. */
  monotonicMs(): number;
  /** How long the event loop has waited with nothing to do until now, milliseconds. */
  idleMs(): number;
  /** Runs `task` in a turn of the event loop of its own. */
  soon(task: () => void): void;
  /** Runs `task` after `ms`. */
  after(ms: number, task: () => void): void;
  /** Runs `task` every `ms` until the timer is stopped; keeps no process alive. */
  every(ms: number, task: () => void): { stop(): void };
  /** `size` bytes that no one can guess. */
  random(size: number): Uint8Array;
  /** Ends the process at once; `cause` is one constant line. */
  failStop(cause: string): void;
}

/** The host of a real process; `nowMs` may be another clock. */
export function systemHost(nowMs: () => number = Date.now): Host {
  return {
    nowMs,
    monotonicMs: () => performance.now(),
    idleMs: () => performance.eventLoopUtilization().idle,
    soon: (task) => void setImmediate(task),
    after: (ms, task) => void setTimeout(task, ms),
    every: (ms, task) => {
      const timer = setInterval(task, ms);
      timer.unref();
      return { stop: () => clearInterval(timer) };
    },
    random: (size) => new Uint8Array(randomBytes(size)),
    failStop,
  };
}
