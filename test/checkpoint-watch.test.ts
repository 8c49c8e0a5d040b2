// A checkpoint that does not end is told of, in the log and in the metrics, and the server serves
// on; and who has nothing to write, or stood still, is not late. Nor is a commit of the journal.

import { readFileSync, rmSync } from "node:fs";
import t, { type Test } from "tap";
import { CheckpointWatch } from "../src/checkpoint-watch.js";
import { CommitWatch } from "../src/commit-watch.js";
import type { Host } from "../src/host.js";
import { createLogger } from "../src/log.js";
import { GAUGE, Metrics } from "../src/metrics.js";
import { TableStore } from "../src/table-store.js";
import { clientOf, ITEM_BUS, panOf, seededFolder, serve, TERMINALS, until } from "./server-kit.js";

const CHECKPOINT_SECONDS = 1;
const LATE_SECONDS = 5;
const FLAGS = { "journal.checkpointSeconds": CHECKPOINT_SECONDS };

/** Holds every head of a checkpoint back until it is released. */
function holdHeads(t: Test): () => void {
  const { putHead } = TableStore.prototype;
  let release!: () => void;
  const released = new Promise<void>((resolve) => {
    release = resolve;
  });
  TableStore.prototype.putHead = async function (head, documents) {
    await released;
    await putHead.call(this, head, documents);
  };
  t.teardown(() => {
    TableStore.prototype.putHead = putHead;
    release();
  });
  return release;
}

t.test("a server whose checkpoint does not end says so, and serves", async (t) => {
  const folder = await seededFolder(t, FLAGS);
  const logFile = `${folder}.log`;
  t.teardown(() => rmSync(logFile, { force: true }));
  const log = createLogger("watched", "info", logFile);
  const server = await serve(t, { folder, flags: FLAGS, log });
  const release = holdHeads(t);
  const client = clientOf(t, server.terminalsUrl, TERMINALS[0]!);
  const use = { pan: panOf(1), itemCode: ITEM_BUS, amountMinor: 200 };
  const lines = (text: string) => {
    const all = readFileSync(logFile, "utf8").split("\n");
    return all.filter((line) => line.includes(text));
  };
  const metrics = async () => (await fetch(`${server.controlUrl}/metrics`)).text();
  const waited = async () => {
    return Number(/^tongka_checkpoint_wait_seconds (.*)$/m.exec(await metrics())![1]);
  };
  await client.authorize(use);
  await until("the warning", () => lines("no checkpoint has ended for long").length > 0);
  t.match(JSON.parse(lines("no checkpoint")[0]!), { level: 40, seconds: LATE_SECONDS });
  t.ok((await waited()) >= LATE_SECONDS, "the metric tells how long");
  t.equal((await client.authorize(use)).responseCode, "00", "uses go on");
  t.equal((await fetch(`${server.controlUrl}/readyz`)).status, 200);
  release();
  await until("one has ended", () => lines("a checkpoint has ended again").length > 0);
  await until("none waits", async () => (await waited()) === 0);
  t.equal(lines("no checkpoint has ended for long").length, 1, "it was told once");
});

/** A process whose clock the test moves, to the next look of what watches in it. */
function falseProcess() {
  const stops: string[] = [];
  let nowMs = 0;
  let look = () => {};
  const every = (_ms: number, task: () => void) => {
    look = task;
    return { stop: () => {} };
  };
  const failStop = (cause: string) => stops.push(cause);
  const host = { monotonicMs: () => nowMs, every, failStop } as unknown as Host;
  const pass = (ms: number) => {
    nowMs += ms;
    look();
  };
  return { host, pass, stops, nowMs: () => nowMs };
}

/** A watch over positions that the test moves. */
function watch() {
  const at = { checkpoint: 7, committed: 7 };
  const told: (number | string)[] = [];
  const metrics = new Metrics();
  const { host, pass } = falseProcess();
  new CheckpointWatch(host, CHECKPOINT_SECONDS, () => at, metrics, {
    late: (seconds) => told.push(seconds),
    ended: () => told.push("ended"),
  });
  return { at, told, pass, waited: () => metrics.gauge(GAUGE.CHECKPOINT_WAIT_SECONDS) };
}

t.test("who has nothing to write is not late", async (t) => {
  const { at, told, pass, waited } = watch();
  for (let i = 0; i < 100; i++) pass(250);
  t.equal(waited(), 0);
  at.committed = 8;
  for (let i = 0; i < 4 * LATE_SECONDS - 1; i++) pass(250);
  t.same(told, [], "not yet");
  pass(250);
  t.same(told, [LATE_SECONDS]);
  for (let i = 0; i < 100; i++) pass(250);
  t.same(told, [LATE_SECONDS], "once");
  at.checkpoint = 8;
  at.committed = 9;
  pass(250);
  t.same(told, [LATE_SECONDS, "ended"], "the next one waits from here on");
  t.equal(waited(), 0);
  for (let i = 0; i < 4 * LATE_SECONDS; i++) pass(250);
  t.same(told, [LATE_SECONDS, "ended", LATE_SECONDS], "and is told of again");
});

t.test("time in which the process stood still is not counted", async (t) => {
  const { at, told, pass, waited } = watch();
  at.committed = 8;
  pass(250);
  pass(3_600_000);
  t.same(told, []);
  t.ok(waited() < LATE_SECONDS);
});

t.test("a commit that takes too long ends the process, unless it stood still", async (t) => {
  const { host, pass, stops, nowMs } = falseProcess();
  let startedMs: number | null = null;
  new CommitWatch(host, 2, () => startedMs, "a commit hangs");
  for (let i = 0; i < 20; i++) pass(250);
  t.same(stops, [], "there is none");
  startedMs = nowMs();
  for (let i = 0; i < 7; i++) pass(250);
  pass(3_600_000);
  t.same(stops, [], "the hour is not the disk's");
  for (let i = 0; i < 7; i++) pass(250);
  t.same(stops, [], "it has its time anew");
  pass(250);
  t.same(stops, ["a commit hangs"]);
});
