// The one home of prom-client: Prometheus text made from shared memory at each scrape. Nothing is
// counted here; a metric is a name, a help text and a function that reads slots.
//
// Of prom-client's own metrics only those of the whole process are shown: heap, garbage collection
// and event loop would be this worker's, which nobody asks about.

import { collectDefaultMetrics, type Metric, Registry } from "prom-client";
import { FRAME_PROBLEM_NAMES } from "../../protocol/frame-problem.js";
import { REASON_NAMES, RESPONSE_CODES } from "../../protocol/reason.js";
import { GAUGE, HISTOGRAM, type HistogramReading, type Metrics, READY_ALL } from "../metrics.js";
import { monotonicMs } from "../shared-clock.js";

/** What runs: shown as the labels of tongka_build_info. */
export interface BuildInfo {
  version: string;
  commit: string;
}

interface Sample {
  value: number;
  labels?: Record<string, string | number>;
  metricName?: string;
}

const NANOSECONDS = 1e-9;
/** Monitoring that we leave out of the answer is at least made to cost nothing. */
const UNUSED_PRECISION_MS = 1000;

export class Exposition {
  readonly contentType: string;
  private readonly registry: Registry;
  private readonly metrics: Metrics;

  constructor(metrics: Metrics, build: BuildInfo) {
    this.registry = new Registry();
    this.contentType = this.registry.contentType;
    this.metrics = metrics;
    const labels = { ...build, node: process.versions.node };
    this.add("gauge", "tongka_build_info", "What runs; always 1.", () => [{ value: 1, labels }]);
    this.addDecisions();
    this.addThroughput();
    this.addTables();
    this.addPositions();
    this.addProcess();
  }

  /** The whole text of one scrape. */
  text(): Promise<string> {
    return this.registry.metrics();
  }

  private addDecisions(): void {
    const { metrics } = this;
    const byReason = (read: (reason: number) => number) =>
      REASON_NAMES.map((reason, number) => ({
        value: read(number),
        labels: { reason, response_code: RESPONSE_CODES[number]! },
      }));
    this.add("counter", "tongka_decisions_total", "Uses decided, by reason.", () =>
      byReason((reason) => metrics.decisions(reason)),
    );
    this.add("counter", "tongka_frames_total", "Frames answered as a whole, by reason.", () =>
      byReason((reason) => metrics.frames(reason)),
    );
    this.add("counter", "tongka_closed_total", "Connections closed for bad frames.", () =>
      FRAME_PROBLEM_NAMES.map((problem, number) => ({
        value: metrics.closed(number),
        labels: { problem },
      })),
    );
    this.counter("tongka_repeats_total", "Uses given their first answer again.", GAUGE.REPEATS);
    this.counter("tongka_commands_total", "Administrative commands.", GAUGE.COMMANDS);
  }

  private addThroughput(): void {
    const { metrics } = this;
    this.histogram(
      "tongka_latency_seconds",
      "Frame in to answer out, for each record.",
      HISTOGRAM.LATENCY,
      NANOSECONDS,
    );
    this.histogram(
      "tongka_commit_seconds",
      "Journal block handed over until on disk.",
      HISTOGRAM.COMMIT,
      NANOSECONDS,
    );
    this.histogram("tongka_batch_records", "Records committed together.", HISTOGRAM.BATCH, 1);
    this.histogram(
      "tongka_checkpoint_slice_seconds",
      "Main-thread time of a checkpoint slice.",
      HISTOGRAM.CHECKPOINT_SLICE,
      NANOSECONDS,
    );
    this.add("counter", "tongka_macs_total", "Message MACs verified or made, by place.", () => [
      { value: metrics.gauge(GAUGE.MACS_INLINE), labels: { place: "inline" } },
      { value: metrics.gauge(GAUGE.MACS_POOLED), labels: { place: "pool" } },
    ]);
    this.gauge("tongka_records_in_flight", "Records not yet answered.", GAUGE.IN_FLIGHT);
    this.gauge("tongka_connections", "Open terminal connections.", GAUGE.CONNECTIONS);
    this.gauge("tongka_sessions", "Terminals signed on.", GAUGE.SESSIONS);
  }

  private addTables(): void {
    this.gauge("tongka_cards", "Cards.", GAUGE.CARDS);
    this.gauge("tongka_holders", "Holders.", GAUGE.HOLDERS);
    this.gauge("tongka_terminals", "Terminals.", GAUGE.TERMINALS);
    this.gauge("tongka_blacklist_entries", "Blacklist entries.", GAUGE.BLACKLIST);
    this.gauge("tongka_uses_remembered", "Uses kept to answer repeats.", GAUGE.USES_REMEMBERED);
    this.gauge("tongka_catalogue_version", "Version in force.", GAUGE.CATALOGUE_VERSION);
  }

  private addPositions(): void {
    this.gauge("tongka_journal_position", "Last entry judged.", GAUGE.JOURNAL_POSITION);
    this.gauge("tongka_committed_position", "Last entry on disk.", GAUGE.COMMITTED_POSITION);
    this.gauge(
      "tongka_checkpoint_position",
      "Tables are on disk up to here.",
      GAUGE.CHECKPOINT_POSITION,
    );
    this.gauge(
      "tongka_checkpoint_wait_seconds",
      "Since a checkpoint last ended, while entries wait for the next; 0 when none waits.",
      GAUGE.CHECKPOINT_WAIT_SECONDS,
    );
    this.counter("tongka_journal_bytes_total", "Bytes put into the journal.", GAUGE.JOURNAL_BYTES);
    this.gauge("tongka_replayed_blocks", "Blocks replayed at start.", GAUGE.REPLAYED_BLOCKS);
    this.gauge("tongka_disk_free_bytes", "Room left for the journal.", GAUGE.DISK_FREE_BYTES);
  }

  private addProcess(): void {
    const { metrics } = this;
    this.add("gauge", "tongka_ready", "1 when uses are authorized.", () => [
      { value: metrics.gauge(GAUGE.READY) === READY_ALL ? 1 : 0 },
    ]);
    this.add("gauge", "tongka_heartbeat_age_seconds", "Since the main thread was alive.", () => [
      { value: heartbeatAgeMs(metrics) / 1e3 },
    ]);
    this.add("gauge", "tongka_event_loop_delay_seconds", "Main thread, last seconds.", () => [
      this.quantile("0.5", GAUGE.LOOP_DELAY_P50_NS),
      this.quantile("0.99", GAUGE.LOOP_DELAY_P99_NS),
      this.quantile("1", GAUGE.LOOP_DELAY_MAX_NS),
    ]);
    this.gauge(
      "tongka_main_heap_bytes",
      "JavaScript heap of the main thread.",
      GAUGE.MAIN_HEAP_BYTES,
    );
    const all = new Registry();
    collectDefaultMetrics({ register: all, eventLoopMonitoringPrecision: UNUSED_PRECISION_MS });
    for (const { name } of all.getMetricsAsArray() as unknown as { name: string }[]) {
      if (name.startsWith("process_")) this.registry.registerMetric(all.getSingleMetric(name)!);
    }
  }

  private quantile(quantile: string, slot: number): Sample {
    return { value: this.metrics.gauge(slot) * NANOSECONDS, labels: { quantile } };
  }

  private gauge(name: string, help: string, slot: number): void {
    this.add("gauge", name, help, () => [{ value: this.metrics.gauge(slot) }]);
  }

  private counter(name: string, help: string, slot: number): void {
    this.add("counter", name, help, () => [{ value: this.metrics.gauge(slot) }]);
  }

  private histogram(name: string, help: string, which: number, unit: number): void {
    this.add("histogram", name, help, () =>
      histogramSamples(name, this.metrics.histogram(which), unit),
    );
  }

  /** Registers an object that answers get() as prom-client's own metrics do. */
  private add(type: string, name: string, help: string, read: () => Sample[]): void {
    const metric = {
      name,
      help,
      type,
      aggregator: "sum",
      get: () => Promise.resolve({ name, help, type, aggregator: "sum", values: read() }),
      reset: () => undefined,
    };
    this.registry.registerMetric(metric as unknown as Metric);
  }
}

/** Milliseconds since the main thread's last heartbeat; Infinity before the first. */
export function heartbeatAgeMs(metrics: Metrics): number {
  const last = metrics.gauge(GAUGE.HEARTBEAT_MS);
  return last === 0 ? Number.POSITIVE_INFINITY : Math.max(0, monotonicMs() - last);
}

/** Buckets as Prometheus wants them: cumulative, with +Inf, sum and count. */
function histogramSamples(name: string, reading: HistogramReading, unit: number): Sample[] {
  const samples: Sample[] = [];
  let count = 0;
  reading.buckets.forEach((bucket, index) => {
    count += bucket;
    const edge = reading.edges[index];
    const le = edge === undefined ? "+Inf" : Number((edge * unit).toPrecision(12));
    samples.push({ value: count, labels: { le }, metricName: `${name}_bucket` });
  });
  samples.push({ value: reading.sum * unit, metricName: `${name}_sum` });
  samples.push({ value: count, metricName: `${name}_count` });
  return samples;
}
