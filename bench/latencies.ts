// A histogram of microseconds, and percentiles up to p99.99. The bench's one home of
// hdr-histogram-js.

import { build } from "hdr-histogram-js";

const MICROSECONDS_MAX = 60_000_000;
const PERCENTILES = [50, 75, 90, 95, 99, 99.5, 99.9, 99.95, 99.99, 100];

export class Latencies {
  private readonly histogram = build({
    lowestDiscernibleValue: 1,
    highestTrackableValue: MICROSECONDS_MAX,
    numberOfSignificantValueDigits: 3,
  });

  recordMs(ms: number): void {
    const microseconds = Math.round(ms * 1000);
    this.histogram.recordValue(Math.min(Math.max(microseconds, 1), MICROSECONDS_MAX));
  }

  get count(): number {
    return this.histogram.totalCount;
  }

  /** Microseconds. */
  at(percentile: number): number {
    return this.histogram.getValueAtPercentile(percentile);
  }

  /** Microseconds by percentile. */
  percentiles(): Record<string, number> {
    return Object.fromEntries(PERCENTILES.map((each) => [String(each), this.at(each)]));
  }
}
