// A histogram of microseconds, and percentiles up to p99.99. The bench's one home of
// hdr-histogram-js.
//
// The twist: that library's counting takes a power and a logarithm each, for which a load generator
// has no time, and values kept until they are counted grow until the collector stops it for 20 ms,
// which counts as the server's. So they are counted here as finely as there, in one array.

import { build } from "hdr-histogram-js";

const MICROSECONDS_MAX = 60_000_000;
const PERCENTILES = [50, 75, 90, 95, 99, 99.5, 99.9, 99.95, 99.99, 100];

/**
 * Counts of values, one behind the other: of each microsecond below 2^16, of each 64 below 2^22,
 * of each 4,096 above; three digits, as in the histogram.
 */
const EXACT_BITS = 16;
const COARSE_BITS = 22;
const COARSE_SHIFT = 6;
const COARSEST_SHIFT = 12;
const COARSE_FIRST = 1 << EXACT_BITS;
const COARSEST_FIRST = COARSE_FIRST + (1 << (COARSE_BITS - COARSE_SHIFT));
const COUNTS_LENGTH = COARSEST_FIRST + (MICROSECONDS_MAX >> COARSEST_SHIFT) + 1;

export class Latencies {
  private readonly counts = new Uint32Array(COUNTS_LENGTH);
  count = 0;

  recordMs(ms: number): void {
    const microseconds = Math.min(Math.max(Math.round(ms * 1000), 1), MICROSECONDS_MAX);
    this.counts[placeOf(microseconds)]!++;
    this.count++;
  }

  /** Microseconds. */
  at(percentile: number): number {
    return this.histogram().getValueAtPercentile(percentile);
  }

  /** Microseconds by percentile. */
  percentiles(): Record<string, number> {
    const histogram = this.histogram();
    const at = (percentile: number) => histogram.getValueAtPercentile(percentile);
    return Object.fromEntries(PERCENTILES.map((each) => [String(each), at(each)]));
  }

  private histogram() {
    const histogram = build({
      lowestDiscernibleValue: 1,
      highestTrackableValue: MICROSECONDS_MAX,
      numberOfSignificantValueDigits: 3,
    });
    for (const [place, count] of this.counts.entries()) {
      if (count > 0) histogram.recordValueWithCount(valueAt(place), count);
    }
    return histogram;
  }
}

function placeOf(microseconds: number): number {
  if (microseconds < 1 << EXACT_BITS) return microseconds;
  if (microseconds < 1 << COARSE_BITS) return COARSE_FIRST + (microseconds >> COARSE_SHIFT);
  return COARSEST_FIRST + (microseconds >> COARSEST_SHIFT);
}

/** The least that is counted there. */
function valueAt(place: number): number {
  if (place < COARSE_FIRST) return place;
  if (place < COARSEST_FIRST) return (place - COARSE_FIRST) << COARSE_SHIFT;
  return (place - COARSEST_FIRST) << COARSEST_SHIFT;
}

/**
 * A quantile of what was counted between edges, linear in between, as Prometheus reckons it. The
 * last count is of what lies over the last edge, and told as that.
 */
export function quantileBetween(edges: Float64Array, counts: readonly number[], q: number): number {
  const total = counts.reduce((sum, count) => sum + count, 0);
  let below = 0;
  for (const [i, edge] of edges.entries()) {
    const count = counts[i]!;
    if (count > 0 && below + count >= q * total) {
      const from = edges[i - 1] ?? 0;
      return from + ((q * total - below) / count) * (edge - from);
    }
    below += count;
  }
  return edges.at(-1)!;
}
