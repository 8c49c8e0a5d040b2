// Hot counters in shared memory: the main thread writes, the control worker reads.
//
//   slot    what
//   0       gauges, GAUGE
//   64      uses decided, by reason (REASON_SLOTS)
//   320     frames answered without deciding, by reason (REASON_SLOTS)
//   576     connections closed for a malformed frame, by problem (PROBLEM_SLOTS)
//   640     histograms, HISTOGRAM_SLOTS each: sum, then bucket counts, the last open-ended
//
// Each slot is a Float64 with one writer; an aligned 8-byte store is never seen half done on the
// processors we run on, so no atomics. Counting allocates nothing: 6 ns, 11 to 36 to observe.
// The invariant: a histogram's count is the sum of its buckets, so a reader cannot see them differ.

import { assert } from "../protocol/assert.js";
import { REASON_COUNT } from "../protocol/reason.js";

/** Gauges and plain counters by slot. Append only within one process: both threads share code. */
export const GAUGE = {
  READY: 0,
  HEARTBEAT_MS: 1,
  IN_FLIGHT: 2,
  CONNECTIONS: 3,
  SESSIONS: 4,
  CARDS: 5,
  HOLDERS: 6,
  TERMINALS: 7,
  BLACKLIST: 8,
  JOURNAL_POSITION: 9,
  COMMITTED_POSITION: 10,
  CHECKPOINT_POSITION: 11,
  JOURNAL_BYTES: 12,
  REPEATS: 13,
  USES_REMEMBERED: 14,
  CATALOGUE_VERSION: 15,
  LOOP_DELAY_P50_NS: 16,
  LOOP_DELAY_P99_NS: 17,
  LOOP_DELAY_MAX_NS: 18,
  MACS_INLINE: 19,
  MACS_POOLED: 20,
  COMMANDS: 21,
  REPLAYED_BLOCKS: 22,
  DISK_FREE_BYTES: 23,
  MAIN_HEAP_BYTES: 24,
  CHECKPOINT_WAIT_SECONDS: 25,
} as const;

/** Bits of the READY slot. Ready is all of READY_ALL and nothing else. */
export const READY_REPLAYED = 1;
export const READY_JOURNAL = 2;
export const READY_LISTENING = 4;
export const READY_DRAINING = 8;
export const READY_ALL = READY_REPLAYED | READY_JOURNAL | READY_LISTENING;

const REASON_SLOTS = 256;
const PROBLEM_SLOTS = 64;
const HISTOGRAM_SLOTS = 32;
const GAUGE_SLOTS = 64;
const DECISIONS = GAUGE_SLOTS;
const FRAMES = DECISIONS + REASON_SLOTS;
const CLOSED = FRAMES + REASON_SLOTS;
const HISTOGRAMS = CLOSED + PROBLEM_SLOTS;

/** Upper edges of durations, nanoseconds: 25 us to 1 s. */
export const DURATION_EDGES_NS = Float64Array.of(
  25e3,
  50e3,
  100e3,
  250e3,
  500e3,
  1e6,
  2.5e6,
  5e6,
  10e6,
  25e6,
  50e6,
  100e6,
  250e6,
  500e6,
  1e9,
);
/** Upper edges of counts of records, powers of four. */
const RECORD_EDGES = Float64Array.of(1, 4, 16, 64, 256, 1024, 4096, 16_384, 65_536);

export const HISTOGRAM = { LATENCY: 0, COMMIT: 1, BATCH: 2, CHECKPOINT_SLICE: 3 } as const;
const HISTOGRAM_EDGES = [DURATION_EDGES_NS, DURATION_EDGES_NS, RECORD_EDGES, DURATION_EDGES_NS];
const SLOTS = HISTOGRAMS + HISTOGRAM_EDGES.length * HISTOGRAM_SLOTS;

assert(REASON_COUNT <= REASON_SLOTS, "every reason has a slot");
assert(
  HISTOGRAM_EDGES.every((edges) => edges.length + 2 <= HISTOGRAM_SLOTS),
  "every histogram fits its slots",
);

/** A histogram as read at one moment. `buckets` are not cumulative; the last is open-ended. */
export interface HistogramReading {
  edges: Float64Array;
  buckets: Float64Array;
  sum: number;
}

export class Metrics {
  readonly buffer: SharedArrayBuffer;
  private readonly slots: Float64Array;

  /** Without `buffer`, allocates a new one; with it, reads or writes what another thread shares. */
  constructor(buffer?: SharedArrayBuffer) {
    this.buffer = buffer ?? new SharedArrayBuffer(SLOTS * Float64Array.BYTES_PER_ELEMENT);
    this.slots = new Float64Array(this.buffer);
    assert(this.slots.length === SLOTS, "metrics share one layout");
  }

  /** Counts `count` uses decided with `reason` (protocol/reason.ts). */
  countDecision(reason: number, count: number): void {
    assert(reason >= 0 && reason < REASON_COUNT, "reason is known");
    this.slots[DECISIONS + reason]! += count;
  }

  /** Counts a frame answered as a whole (MAC, session, overload ...) with `reason`. */
  countFrame(reason: number): void {
    assert(reason >= 0 && reason < REASON_COUNT, "reason is known");
    this.slots[FRAMES + reason]! += 1;
  }

  /** Counts a connection closed for what was wrong with its bytes; 0..PROBLEM_SLOTS-1. */
  countClosed(problem: number): void {
    assert(problem >= 0 && problem < PROBLEM_SLOTS, "problem is known");
    this.slots[CLOSED + problem]! += 1;
  }

  /** Counts `count` uses answered with the answer given before. */
  countRepeat(count: number): void {
    this.slots[GAUGE.REPEATS]! += count;
  }

  /** Counts message MACs verified or made, in the main thread and in the pool. */
  countMacs(inline: number, pooled: number): void {
    this.slots[GAUGE.MACS_INLINE]! += inline;
    this.slots[GAUGE.MACS_POOLED]! += pooled;
  }

  /** Counts `count` commands (administration) put through the engine. */
  countCommands(count: number): void {
    this.slots[GAUGE.COMMANDS]! += count;
  }

  /** Counts bytes of blocks put into the journal. */
  countJournalBytes(size: number): void {
    this.slots[GAUGE.JOURNAL_BYTES]! += size;
  }

  /** From the last byte of a frame in to its answer handed to the socket, for `count` records. */
  observeLatencyNs(ns: number, count: number): void {
    this.observe(HISTOGRAM.LATENCY, DURATION_EDGES_NS, ns, count);
  }

  /** From a block handed to the store until it is on disk. */
  observeCommitNs(ns: number): void {
    this.observe(HISTOGRAM.COMMIT, DURATION_EDGES_NS, ns, 1);
  }

  /** Records judged and committed together. */
  observeBatch(records: number): void {
    this.observe(HISTOGRAM.BATCH, RECORD_EDGES, records, 1);
  }

  /** One slice of a checkpoint, main-thread time. */
  observeCheckpointSliceNs(ns: number): void {
    this.observe(HISTOGRAM.CHECKPOINT_SLICE, DURATION_EDGES_NS, ns, 1);
  }

  setInFlight(records: number): void {
    this.slots[GAUGE.IN_FLIGHT] = records;
  }

  setConnections(count: number): void {
    this.slots[GAUGE.CONNECTIONS] = count;
  }

  setSessions(count: number): void {
    this.slots[GAUGE.SESSIONS] = count;
  }

  setCards(count: number): void {
    this.slots[GAUGE.CARDS] = count;
  }

  setHolders(count: number): void {
    this.slots[GAUGE.HOLDERS] = count;
  }

  setTerminals(count: number): void {
    this.slots[GAUGE.TERMINALS] = count;
  }

  setBlacklist(count: number): void {
    this.slots[GAUGE.BLACKLIST] = count;
  }

  /** Uses in the duplicate memory, all business dates together. */
  setUsesRemembered(count: number): void {
    this.slots[GAUGE.USES_REMEMBERED] = count;
  }

  setCatalogueVersion(version: number): void {
    this.slots[GAUGE.CATALOGUE_VERSION] = version;
  }

  /** Position of the last entry judged. */
  setJournalPosition(position: number): void {
    this.slots[GAUGE.JOURNAL_POSITION] = position;
  }

  /** Position of the last entry on disk. */
  setCommittedPosition(position: number): void {
    this.slots[GAUGE.COMMITTED_POSITION] = position;
  }

  /** Position up to which the tables are on disk. */
  setCheckpointPosition(position: number): void {
    this.slots[GAUGE.CHECKPOINT_POSITION] = position;
  }

  /** How long entries have waited for a checkpoint that has not ended; 0 none waits. */
  setCheckpointWaitSeconds(seconds: number): void {
    this.slots[GAUGE.CHECKPOINT_WAIT_SECONDS] = seconds;
  }

  /** Blocks replayed at start. */
  setReplayedBlocks(count: number): void {
    this.slots[GAUGE.REPLAYED_BLOCKS] = count;
  }

  setDiskFreeBytes(size: number): void {
    this.slots[GAUGE.DISK_FREE_BYTES] = size;
  }

  /** JavaScript heap of the main thread. */
  setMainHeapBytes(size: number): void {
    this.slots[GAUGE.MAIN_HEAP_BYTES] = size;
  }

  /** Sets or clears one of the READY bits. */
  setReady(bit: number, on: boolean): void {
    const bits = this.slots[GAUGE.READY]!;
    this.slots[GAUGE.READY] = on ? bits | bit : bits & ~bit;
  }

  /** The main thread is alive; `nowMs` of the clock that all threads share (monotonicMs). */
  setHeartbeat(nowMs: number): void {
    this.slots[GAUGE.HEARTBEAT_MS] = nowMs;
  }

  /** Delay of the main thread's event loop since the last call, nanoseconds. */
  setLoopDelayNs(p50: number, p99: number, max: number): void {
    this.slots[GAUGE.LOOP_DELAY_P50_NS] = p50;
    this.slots[GAUGE.LOOP_DELAY_P99_NS] = p99;
    this.slots[GAUGE.LOOP_DELAY_MAX_NS] = max;
  }

  /** Value of a slot of GAUGE. */
  gauge(slot: number): number {
    assert(slot >= 0 && slot < GAUGE_SLOTS, "gauge has a slot");
    return this.slots[slot]!;
  }

  /** Uses decided with `reason`. */
  decisions(reason: number): number {
    return this.slots[DECISIONS + reason]!;
  }

  /** Frames answered as a whole with `reason`. */
  frames(reason: number): number {
    return this.slots[FRAMES + reason]!;
  }

  /** Connections closed for `problem`. */
  closed(problem: number): number {
    return this.slots[CLOSED + problem]!;
  }

  /** A copy of one of HISTOGRAM. */
  histogram(which: number): HistogramReading {
    const edges = HISTOGRAM_EDGES[which]!;
    const start = HISTOGRAMS + which * HISTOGRAM_SLOTS;
    const buckets = this.slots.slice(start + 1, start + 1 + edges.length + 1);
    return { edges, buckets, sum: this.slots[start]! };
  }

  private observe(which: number, edges: Float64Array, value: number, count: number): void {
    let bucket = 0;
    while (bucket < edges.length && value > edges[bucket]!) bucket++;
    const start = HISTOGRAMS + which * HISTOGRAM_SLOTS;
    this.slots[start]! += value * count;
    this.slots[start + 1 + bucket]! += count;
  }
}
