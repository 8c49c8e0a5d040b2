// The board of the MAC pool: each job of each order is done once, by whichever thread comes first,
// also when orders are small, many and reuse each other's places; a pool whose thread has ended
// says so to whoever waits; and it is taken where it is the sooner, by what was measured.

import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { Worker } from "node:worker_threads";
import t, { type Test } from "tap";
import { MacWork } from "../bench/mac-work.js";
import { MacBoard } from "../src/mac-board.js";
import { MAC_OPERATION } from "../src/mac-jobs.js";
import { MacPool } from "../src/mac-pool.js";
import type { BoardWorkerData } from "./board-worker.js";

const THREADS = 3;
const BATCHES = 3;
const JOBS_MAX = 300;
const ORDERS = 6000;

t.test("every job of every order is done once", async (t) => {
  const board = new MacBoard();
  const newCounts = () => new Int32Array(new SharedArrayBuffer(2 * JOBS_MAX * 4));
  const counts = Array.from({ length: BATCHES }, newCounts);
  const idle = new Int32Array(new SharedArrayBuffer(4));
  const data: BoardWorkerData = { memory: board.memory, counts, idle };
  const url = new URL("./board-worker.js", import.meta.url);
  const threads = Array.from({ length: THREADS }, () => new Worker(url, { workerData: data }));
  const ended = threads.map((thread) => new Promise((resolve) => thread.once("exit", resolve)));
  let wrong = 0;
  const lane = async (batch: number) => {
    for (let order = 0; order < ORDERS / BATCHES; order++) {
      const count = order % 7 === 0 ? 1 + (order % 3) : 1 + ((order * 37) % JOBS_MAX);
      const operation = order % 3 === 0 ? MAC_OPERATION.SIGN : MAC_OPERATION.VERIFY;
      counts[batch]!.fill(0);
      await board.order(batch, operation, count);
      const first = operation * JOBS_MAX;
      const ordered = (at: number) => at >= first && at < first + count;
      const once = counts[batch]!.every((times, at) => times === (ordered(at) ? 1 : 0));
      if (!once) wrong++;
    }
  };
  await Promise.all(counts.map((_, batch) => lane(batch)));
  t.equal(wrong, 0, `${ORDERS} orders`);
  t.ok(Atomics.load(idle, 0) > THREADS, "threads slept between orders, and were woken");
  board.end();
  t.same(await Promise.all(ended), [0, 0, 0], "threads end with the board");
});

t.test("a board has places for four orders, and says when it has no more", async (t) => {
  const board = new MacBoard();
  for (let i = 0; i < 4; i++) void board.order(0, MAC_OPERATION.VERIFY, 1);
  await t.rejects(board.order(0, MAC_OPERATION.VERIFY, 1), /the board has a place/);
});

t.test("a pool whose thread has ended tells whoever waits, then and later", async (t) => {
  const work = await MacWork.make(1, 16);
  const pool = new MacPool(1, work.data);
  await pool.calibrate();
  work.fill(16, 1);
  const run = (holder: number) => pool.run(holder, MAC_OPERATION.VERIFY, 16, 1);
  await t.rejects(run(99), TypeError, "a batch that is not there");
  await t.rejects(run(0), TypeError, "the next one, too");
  await pool.close();
  work.close();
});

t.test("an order leaves nothing behind when it is done", async (t) => {
  setFlagsFromString("--expose-gc");
  const collect = runInNewContext("gc") as () => void;
  const work = await MacWork.make(1, 16);
  const pool = new MacPool(1, work.data);
  work.fill(16, 1);
  const many = async () => {
    for (let i = 0; i < ORDERS; i++) await pool.run(0, MAC_OPERATION.VERIFY, 1, 96);
    collect();
    return process.memoryUsage().heapUsed;
  };
  const before = await many();
  const grown = ((await many()) - before) / ORDERS;
  t.ok(grown < 200, `${grown.toFixed(0)} bytes for each of ${ORDERS} orders`);
  await pool.close();
  work.close();
});

/** A MAC costs 1 us, an order 20 us: two threads are 1.2 times as soon beyond 60 jobs. */
async function measuredPool(t: Test): Promise<MacPool> {
  const work = await MacWork.make(1, 16);
  const pool = new MacPool(2, work.data);
  t.teardown(async () => {
    await pool.close();
    work.close();
  });
  Object.assign(pool, { costs: { perMacNs: 1000, perByteNs: 0, perOrderNs: 20_000 } });
  return pool;
}

t.test("a pool is taken from the size on at which it is sooner", async (t) => {
  const pool = await measuredPool(t);
  const sizes = Array.from({ length: 200 }, (_, count) => count);
  const taken = (least: number) => sizes.every((n) => pool.worthIt(n, 96) === n >= least);
  t.ok(taken(61));
  pool.tookInline(100, 9600, 1e9);
  t.ok(taken(61), "a slow batch inline says nothing of the pool");
  for (let i = 0; i < 50; i++) pool.tookInline(100, 9600, 79_000);
  t.ok(taken(127), "groups that take 0.79 us inline");
  for (let i = 0; i < 50; i++) pool.tookInline(16, 1600, 1);
  t.ok(taken(127), "few are not told of");
});

t.test("a pool that was too slow is tried again more and more seldom", async (t) => {
  const pool = await measuredPool(t);
  const { board } = pool as unknown as { board: MacBoard };
  t.intercept(board, "order", {
    value: () => new Promise((resolve) => setTimeout(resolve, 5)),
  });
  /** Batches inline until one goes to the pool. */
  const passedOver = () => {
    let count = 0;
    while (!pool.worthIt(100, 9600)) count++;
    return count;
  };
  t.equal(passedOver(), 0);
  const waits: number[] = [];
  for (let i = 0; i < 10; i++) {
    await pool.run(0, MAC_OPERATION.VERIFY, 100, 9600);
    waits.push(passedOver());
  }
  t.same(waits, [255, 511, 1023, 2047, 4095, 8191, 16_383, 32_767, 65_535, 65_535]);
});
