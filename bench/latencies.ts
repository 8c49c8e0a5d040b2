// A histogram of microseconds, and percentiles up to p99.99. The bench's one home of
// hdr-histogram-js.
//
// Values are kept as they come and counted when they are asked for: counting takes a power and a
// logarithm each, which a load generator has no time for.

import { build } from "hdr-histogram-js";

const MICROSECONDS_MAX = 60_000_000;
/** Small enough that making one holds nothing up. */
const CHUNK_LENGTH = 1 << 14;
const PERCENTILES = [50, 75, 90, 95, 99, 99.5, 99.9, 99.95, 99.99, 100];

export class Latencies {
  private readonly histogram = build({
    lowestDiscernibleValue: 1,
    highestTrackableValue: MICROSECONDS_MAX,
    numberOfSignificantValueDigits: 3,
  });

  /** Microseconds that are not counted yet; all chunks but the last are full. */
  private chunks = [new Uint32Array(CHUNK_LENGTH)];
  private used = 0;

  recordMs(ms: number): void {
    if (this.used === CHUNK_LENGTH) {
      this.chunks.push(new Uint32Array(CHUNK_LENGTH));
      this.used = 0;
    }
    const microseconds = Math.round(ms * 1000);
    const value = Math.min(Math.max(microseconds, 1), MICROSECONDS_MAX);
    this.chunks.at(-1)![this.used++] = value;
  }

  get count(): number {
    return this.histogram.totalCount + (this.chunks.length - 1) * CHUNK_LENGTH + this.used;
  }

  /** Microseconds. */
  at(percentile: number): number {
    this.countKept();
    return this.histogram.getValueAtPercentile(percentile);
  }

  /** Microseconds by percentile. */
  percentiles(): Record<string, number> {
    return Object.fromEntries(PERCENTILES.map((each) => [String(each), this.at(each)]));
  }

  private countKept(): void {
    const { chunks, used } = this;
    const last = chunks.length - 1;
    chunks.forEach((chunk, c) => {
      const end = c === last ? used : CHUNK_LENGTH;
      for (let i = 0; i < end; i++) this.histogram.recordValue(chunk[i]!);
    });
    this.chunks = [chunks[last]!];
    this.used = 0;
  }
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
