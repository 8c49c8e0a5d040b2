// Latencies as a histogram of microseconds with three significant digits. The only place that
// knows hdr-histogram-js.

import { build, type Histogram } from "hdr-histogram-js";

const LATENCY_US_MAX = 60_000_000;

/** Milliseconds. */
export interface LatencyFigures {
  p50: number;
  p99: number;
  p999: number;
  max: number;
}

export class LatencyHistogram {
  private readonly histogram: Histogram;

  constructor() {
    this.histogram = build({
      lowestDiscernibleValue: 1,
      highestTrackableValue: LATENCY_US_MAX,
      numberOfSignificantValueDigits: 3,
    });
  }

  /** Records a latency in milliseconds; what is over a minute counts as a minute. */
  record(ms: number): void {
    this.histogram.recordValue(Math.min(LATENCY_US_MAX, Math.max(1, Math.round(ms * 1000))));
  }

  figures(): LatencyFigures {
    const at = (percentile: number) => this.histogram.getValueAtPercentile(percentile) / 1000;
    return { p50: at(50), p99: at(99), p999: at(99.9), max: this.histogram.maxValue / 1000 };
  }
}
