// The client's clock: a seam, so that tests and simulators can bring their own time.

export interface Clock {
  /** Milliseconds since 1970 UTC. */
  nowMs(): number;
  /** Calls `run` once after `delayMs`; the function returned cancels it. */
  after(delayMs: number, run: () => void): () => void;
}

export const SYSTEM_CLOCK: Clock = {
  nowMs: () => Date.now(),
  after(delayMs, run) {
    const timer = setTimeout(run, delayMs);
    return () => clearTimeout(timer);
  },
};

const CHINA_OFFSET_MS = 8 * 3_600_000;

/** The calendar date in UTC+8 as YYYYMMDD. */
export function chinaDate(nowMs: number): number {
  const date = new Date(nowMs + CHINA_OFFSET_MS);
  return date.getUTCFullYear() * 10_000 + (date.getUTCMonth() + 1) * 100 + date.getUTCDate();
}
