// Counters in shared memory and the text Prometheus reads from them.

import t, { type Test } from "tap";
import { FRAME_PROBLEM } from "../protocol/frame-problem.js";
import { REASON, REASON_COUNT, REASON_NAMES, RESPONSE_CODES } from "../protocol/reason.js";
import { Exposition } from "../src/control/exposition.js";
import { startHeartbeat } from "../src/heartbeat.js";
import { DURATION_EDGES_NS, Metrics, READY_ALL, READY_DRAINING } from "../src/metrics.js";

const BUILD = { version: "1.2.3", commit: "abc" };
const SAMPLE = /^([a-z_]+)(?:\{((?:[a-z_]+="[^"\\]*",?)*)\})? (\S+)$/;

/** Samples by "name{labels}"; fails the test on any line that is not of the format. */
async function scrape(t: Test, metrics: Metrics): Promise<Map<string, number>> {
  const text = await new Exposition(metrics, BUILD).text();
  const samples = new Map<string, number>();
  for (const line of text.split("\n")) {
    if (line === "" || line.startsWith("# HELP ") || line.startsWith("# TYPE ")) continue;
    const match = SAMPLE.exec(line);
    if (!match) {
      t.fail(`not a sample: ${line}`);
      continue;
    }
    samples.set(
      `${match[1]}${match[2] ? `{${match[2]}}` : ""}`,
      Number(match[3]!.replace("+Inf", "Infinity")),
    );
  }
  return samples;
}

t.test("each count is in the text under its name and labels", async (t) => {
  const metrics = new Metrics();
  for (let reason = 0; reason < REASON_COUNT; reason++) {
    metrics.countDecision(reason, reason + 1);
    metrics.countFrame(reason);
  }
  metrics.countClosed(FRAME_PROBLEM.TOO_LARGE);
  metrics.countRepeat(3);
  metrics.countMacs(5, 6);
  metrics.setInFlight(7);
  metrics.setJournalPosition(2 ** 40);
  const samples = await scrape(t, metrics);
  for (let reason = 0; reason < REASON_COUNT; reason++) {
    const labels = `{reason="${REASON_NAMES[reason]}",response_code="${RESPONSE_CODES[reason]}"}`;
    t.equal(samples.get(`tongka_decisions_total${labels}`), reason + 1);
    t.equal(samples.get(`tongka_frames_total${labels}`), 1);
  }
  t.equal(samples.get('tongka_closed_total{problem="TOO_LARGE"}'), 1);
  t.equal(samples.get('tongka_closed_total{problem="TRUNCATED"}'), 0);
  t.equal(samples.get("tongka_repeats_total"), 3);
  t.equal(samples.get('tongka_macs_total{place="pool"}'), 6);
  t.equal(samples.get("tongka_records_in_flight"), 7);
  t.equal(samples.get("tongka_journal_position"), 2 ** 40);
  t.equal(
    samples.get(`tongka_build_info{version="1.2.3",commit="abc",node="${process.versions.node}"}`),
    1,
  );
  t.ok(samples.get("process_cpu_seconds_total")! > 0);
  t.notOk(
    [...samples.keys()].some((name) => name.startsWith("nodejs_")),
    "not the worker's own",
  );
});

t.test("histograms are cumulative and agree with what was observed", async (t) => {
  const metrics = new Metrics();
  const values = [1, 25e3, 25_001, 999e3, 1e6, 3e6, 1e9, 5e9];
  for (const [index, ns] of values.entries()) metrics.observeLatencyNs(ns, index + 1);
  metrics.observeBatch(1);
  metrics.observeBatch(70_000);
  metrics.observeCommitNs(400e3);
  metrics.observeCheckpointSliceNs(2e9);
  const samples = await scrape(t, metrics);
  let before = 0;
  for (const edge of DURATION_EDGES_NS) {
    const expected = values.reduce((sum, ns, i) => sum + (ns <= edge ? i + 1 : 0), 0);
    const le = Number((edge * 1e-9).toPrecision(12));
    const count = samples.get(`tongka_latency_seconds_bucket{le="${le}"}`);
    t.equal(count, expected, `le ${le}`);
    t.ok(count! >= before);
    before = count!;
  }
  t.equal(samples.get('tongka_latency_seconds_bucket{le="+Inf"}'), 36);
  t.equal(samples.get("tongka_latency_seconds_count"), 36);
  const sum = values.reduce((total, ns, i) => total + ns * (i + 1), 0) * 1e-9;
  t.ok(Math.abs(samples.get("tongka_latency_seconds_sum")! - sum) < 1e-9);
  t.equal(samples.get('tongka_batch_records_bucket{le="1"}'), 1);
  t.equal(samples.get('tongka_batch_records_bucket{le="65536"}'), 1);
  t.equal(samples.get("tongka_batch_records_sum"), 70_001);
  t.equal(samples.get('tongka_commit_seconds_bucket{le="0.0005"}'), 1);
  t.equal(samples.get('tongka_checkpoint_slice_seconds_bucket{le="1"}'), 0);
  t.equal(samples.get("tongka_checkpoint_slice_seconds_count"), 1);
});

t.test("a second Metrics over the same memory sees the counts", async (t) => {
  const writer = new Metrics();
  const reader = new Metrics(writer.buffer);
  writer.countDecision(REASON.CARD_LOST, 9);
  t.equal(reader.decisions(REASON.CARD_LOST), 9);
  t.throws(() => new Metrics(new SharedArrayBuffer(8)), /metrics share one layout/);
  t.throws(() => writer.countDecision(REASON_COUNT, 1), /reason is known/);
});

t.test("ready is all bits and no other", async (t) => {
  const metrics = new Metrics();
  t.equal((await scrape(t, metrics)).get("tongka_ready"), 0);
  metrics.setReady(READY_ALL, true);
  t.equal((await scrape(t, metrics)).get("tongka_ready"), 1);
  metrics.setReady(READY_DRAINING, true);
  t.equal((await scrape(t, metrics)).get("tongka_ready"), 0);
});

t.test("the heartbeat is young while the loop turns", async (t) => {
  const metrics = new Metrics();
  t.equal((await scrape(t, metrics)).get("tongka_heartbeat_age_seconds"), Infinity);
  const heartbeat = startHeartbeat(metrics);
  t.teardown(() => heartbeat.stop());
  await new Promise((resolve) => setTimeout(resolve, 600));
  const samples = await scrape(t, metrics);
  t.ok(samples.get("tongka_heartbeat_age_seconds")! < 5);
  t.ok(samples.get("tongka_main_heap_bytes")! > 1e6);
  t.ok(samples.get('tongka_event_loop_delay_seconds{quantile="0.99"}')! < 1);
});
