// The pool of threads for MACs, and the decision when it is worth it: a lone MAC costs 0.4 us here
// and some 20 us through a thread, a large batch is done sooner by several threads while the main
// thread goes on receiving. The crossover is measured at start, and what the pool then really took
// corrects it: on a machine whose cores are busy with others, threads come late. The one home of
// piscina.

import { randomBytes } from "node:crypto";
import { availableParallelism } from "node:os";
import { performance } from "node:perf_hooks";
import { Piscina, workerData } from "piscina";
import { createMac } from "../protocol/mac.js";
import { MAC_ALGORITHM } from "../protocol/mac-algorithms.js";
import { MacBoard } from "./mac-board.js";
import { MAC_OPERATION, type MacWorkerData } from "./mac-jobs.js";

const SMALL_SIZE = 96;
const LARGE_SIZE = 8224;
const CALIBRATION_ROUNDS = 200;
/** The pool must be this much better than inline to be taken: a wrong guess costs latency. */
const MARGIN = 1.2;
/** How much of the pool's slowness a new measurement replaces. */
const SLOWNESS_WEIGHT = 0.2;
/**
 * A pool that was too slow is tried again after so many batches that would have gone to it, and
 * after twice as many each time that it was too slow again, up to a bound.
 */
const RETRY_BATCHES = 256;
const RETRY_BATCHES_MAX = 65_536;
/** Fewer jobs are not worth an order, whatever they are reckoned to take. */
const ORDER_JOBS_MIN = 32;

/** What a MAC costs inline and an order costs through the pool, nanoseconds. */
interface MacCosts {
  perMacNs: number;
  perByteNs: number;
  perOrderNs: number;
}

export class MacPool {
  private readonly piscina: Piscina | null;
  readonly threads: number;
  private readonly board = new MacBoard();
  /** What each thread has for its one task: it ends with the pool. */
  private readonly serving: readonly Promise<void>[];
  private costs: MacCosts = { perMacNs: 0, perByteNs: 0, perOrderNs: 0 };

  constructor(workers: number | "auto", data: MacWorkerData) {
    this.threads = poolThreads(workers);
    this.piscina =
      this.threads === 0
        ? null
        : new Piscina({
            filename: new URL("./mac-worker.js", import.meta.url).href,
            workerData: data,
            minThreads: this.threads,
            maxThreads: this.threads,
            idleTimeout: Number.POSITIVE_INFINITY,
            concurrentTasksPerWorker: 1,
          });
    this.serving = Array.from({ length: this.threads }, () => {
      return this.piscina!.run(this.board.memory);
    });
    for (const ended of this.serving) ended.catch((error: Error) => this.board.fail(error));
  }

  /** How many times longer the pool took than was to be expected, 1 and up. */
  private slowness = 1;
  /** What inline took, as a part of what was to be expected: groups are faster. */
  private inlineRatio = 1;
  private passedOver = 0;
  private retryAfter = RETRY_BATCHES;

  /** Measures the crossover. To be awaited before traffic. */
  async calibrate(): Promise<void> {
    if (this.piscina === null) return;
    const small = inlineNs(SMALL_SIZE);
    const perByteNs = Math.max((inlineNs(LARGE_SIZE) - small) / (LARGE_SIZE - SMALL_SIZE), 0);
    const perOrderNs = await this.orderNs();
    this.costs = { perMacNs: small - perByteNs * SMALL_SIZE, perByteNs, perOrderNs };
  }

  /** Whether `count` MACs over `size` bytes in all are better done by the pool. */
  worthIt(count: number, size: number): boolean {
    if (this.piscina === null || count < ORDER_JOBS_MIN) return false;
    const singlyNs = this.singlyNs(count, size);
    const inlineNs = singlyNs * this.inlineRatio;
    const pooledNs = (this.costs.perOrderNs + singlyNs / this.threads) * MARGIN;
    if (inlineNs <= pooledNs) return false;
    if (inlineNs > pooledNs * this.slowness) {
      this.retryAfter = RETRY_BATCHES;
      return true;
    }
    if (++this.passedOver < this.retryAfter) return false;
    this.passedOver = 0;
    this.retryAfter = Math.min(2 * this.retryAfter, RETRY_BATCHES_MAX);
    return true;
  }

  /**
   * Has an operation done on jobs 0..count-1 of a batch or block, by its number, over `size` bytes
   * in all, by all threads.
   */
  async run(holder: number, operation: number, count: number, size: number): Promise<void> {
    const start = performance.now();
    await this.board.order(holder, operation, count);
    const tookNs = (performance.now() - start) * 1e6;
    const expectedNs = this.costs.perOrderNs + this.singlyNs(count, size) / this.threads;
    const slowness = Math.max(1, tookNs / expectedNs);
    this.slowness += (slowness - this.slowness) * SLOWNESS_WEIGHT;
  }

  /** Tells what `count` MACs over `size` bytes in all took inline, nanoseconds. */
  tookInline(count: number, size: number, ns: number): void {
    if (this.piscina === null || count < ORDER_JOBS_MIN) return;
    const ratio = Math.min(ns / this.singlyNs(count, size), 1);
    this.inlineRatio += (ratio - this.inlineRatio) * SLOWNESS_WEIGHT;
  }

  private singlyNs(count: number, size: number): number {
    return count * this.costs.perMacNs + size * this.costs.perByteNs;
  }

  async close(): Promise<void> {
    this.board.end();
    await Promise.allSettled(this.serving);
    await this.piscina?.destroy();
  }

  /** What an order costs beside its jobs: one of the first job alone, whose keys are not there. */
  private async orderNs(): Promise<number> {
    const times: number[] = [];
    for (let i = 0; i < CALIBRATION_ROUNDS / 4; i++) {
      const start = performance.now();
      await this.board.order(0, MAC_OPERATION.VERIFY, 1);
      times.push(performance.now() - start);
    }
    return median(times) * 1e6;
  }
}

/**
 * Threads of a pool that is configured so. "auto" is one for each core but the main thread's; one
 * alone does nothing sooner than the main thread.
 */
export function poolThreads(workers: number | "auto"): number {
  if (workers !== "auto") return workers;
  const others = availableParallelism() - 1;
  return others > 1 ? others : 0;
}

/** In a thread of the pool: what the pool was made with. */
export function threadData(): MacWorkerData {
  return workerData as MacWorkerData;
}

function inlineNs(size: number): number {
  const mac = createMac(MAC_ALGORITHM.AES_128_CMAC, randomBytes(16));
  const bytes = Buffer.alloc(size + 16);
  const times: number[] = [];
  for (let i = 0; i < CALIBRATION_ROUNDS; i++) {
    const start = performance.now();
    for (let j = 0; j < 8; j++) mac.sign(bytes, 0, size, bytes, size);
    times.push((performance.now() - start) / 8);
  }
  mac.close();
  return median(times) * 1e6;
}

function median(values: number[]): number {
  return values.sort((a, b) => a - b)[values.length >> 1]!;
}
