// Signs of life of the main thread, twice a second into shared memory: a heartbeat, the delay of
// its event loop and its heap. When the loop is stuck they stop, which is what /livez looks at.

import { monitorEventLoopDelay } from "node:perf_hooks";
import { getHeapStatistics } from "node:v8";
import type { Metrics } from "./metrics.js";
import { monotonicMs } from "./shared-clock.js";

const HEARTBEAT_MS = 500;
/** The delay is figured anew after this many heartbeats: it shows the last seconds. */
const DELAY_WINDOW_BEATS = 30;
const LOOP_DELAY_RESOLUTION_MS = 10;

/** Starts beating; the timer keeps no process alive. */
export function startHeartbeat(metrics: Metrics): { stop(): void } {
  const delay = monitorEventLoopDelay({ resolution: LOOP_DELAY_RESOLUTION_MS });
  delay.enable();
  let beats = 0;
  const beat = () => {
    metrics.setHeartbeat(monotonicMs());
    metrics.setMainHeapBytes(getHeapStatistics().used_heap_size);
    if (delay.count > 0) {
      metrics.setLoopDelayNs(
        lateness(delay.percentile(50)),
        lateness(delay.percentile(99)),
        lateness(delay.max),
      );
    }
    beats += 1;
    if (beats % DELAY_WINDOW_BEATS === 0) delay.reset();
  };
  beat();
  const timer = setInterval(beat, HEARTBEAT_MS);
  timer.unref();
  return {
    stop: () => {
      clearInterval(timer);
      delay.disable();
    },
  };
}

/** The monitor measures the time between its ticks: what is over its resolution is delay. */
function lateness(ns: number): number {
  return Math.max(0, ns - LOOP_DELAY_RESOLUTION_MS * 1e6);
}
