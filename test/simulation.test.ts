// The simulator, for some seconds: fixed seeds, a fresh one, the same one twice, and a canary that
// must be found. What the false disk found in the stores stands here by itself, too.

import { randomInt } from "node:crypto";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import t from "tap";
import { BlockWriter, sealBlock } from "../engine/block.js";
import { CARD_EVENT } from "../engine/domain.js";
import { BLOCK_HASH_START } from "../engine/state.js";
import { Table } from "../engine/table.js";
import { Checkpointer } from "../src/checkpointer.js";
import type { Core } from "../src/core.js";
import type { Database, OpenDatabase } from "../src/database.js";
import { JournalStore } from "../src/journal-store.js";
import { Metrics } from "../src/metrics.js";
import { TableStore } from "../src/table-store.js";
import { EngineKit, LIMITS, START_MS } from "./engine-kit.js";
import { Chance } from "./simulation/chance.js";
import {
  type DiskFaults,
  FalseDatabase,
  FalseFile,
  NO_DISK_FAULTS,
} from "./simulation/false-disk.js";
import { FalseClock, FalseHost } from "./simulation/false-host.js";
import { FalseJournal, FalseJournalDisk } from "./simulation/false-journal.js";
import { MUTATIONS } from "./simulation/mutation-list.js";
import { type RunResult, simulate } from "./simulation/simulation.js";
import { Timeline } from "./simulation/timeline.js";
import { ROOT } from "./source-text.js";

const FIXED_SEEDS = [11, 24, 34];
const SEEDS_WITH_ALL = 8;
/** Messages by MTI and function code, commands, and faults of network, disk, process and clock. */
const EVERYTHING = [
  ...["use 100", "use 120", "use 400", "use 420"],
  ...["management 1", "management 2", "management 101", "management 301"],
  ...[0, 1, 2, 3, 4, 5, 6, 7].map((event) => `card event ${event}`),
  ...["list-add", "list-remove", "terminal", "organisation", "catalogue"],
  ...["frame lost", "frame repeated", "frame delayed", "frame cut", "frame changed"],
  ...["a transaction will fail: write", "a transaction will fail: flush", "disk full"],
  ...["a block is not written, or not whole", "a file is not made"],
  ...["a flush fails", "a flush is not tried again", "what was seen is gone"],
  ...["damage is refused", "damage behind a checkpoint"],
  ...["power is cut", "it is killed", "it stopped itself", "a block is torn", "clock jumps"],
  "slice of a batch",
  ...["message of several frames", "several frames refused at once"],
];

function held(result: RunResult): string {
  return [result.broken, ...result.trace].join("\n").trim();
}

t.test("fixed seeds: every promise holds", async (t) => {
  for (const seed of FIXED_SEEDS) {
    const result = await simulate(seed);
    t.equal(held(result), "", `seed ${seed}`);
    t.ok(result.answers > 100 && result.repeats > 0, "uses and repeats are answered");
    t.ok(result.crashes > 0 && result.commands > 50, "nodes crash, and commands are answered");
    t.ok(result.counted["slice of a batch"]! > 10, "batches are decided in slices");
  }
});

t.test("a fresh seed: every promise holds", async (t) => {
  const seed = randomInt(2 ** 31);
  const result = await simulate(seed);
  t.equal(held(result), "", `seed ${seed}: npm run simulate -- --seed ${seed} --seconds 0`);
});

t.test("everything that can be sent, asked or can strike is in a few seeds", async (t) => {
  const counted = new Set<string>();
  for (let seed = 1; seed <= SEEDS_WITH_ALL; seed++) {
    const result = await simulate(seed);
    t.equal(held(result), "", `seed ${seed}`);
    for (const name of Object.keys(result.counted)) counted.add(name);
  }
  t.same([...counted].sort(), [...EVERYTHING].sort());
});

t.test("the faults seeded into it still have their place in the code", async (t) => {
  t.ok(MUTATIONS.length >= 20);
  for (const { name, file, from } of MUTATIONS) {
    const code = readFileSync(join(ROOT, "dist", file), "utf8");
    t.equal(code.split(from).length - 1, 1, name);
  }
});

t.test("the same seed is the same run, byte for byte", async (t) => {
  const [first, second, other] = [await simulate(10), await simulate(10), await simulate(4)];
  t.equal(first.digest, second.digest);
  t.same(first, second);
  t.not(first.digest, other.digest);
});

t.test("a canary: an answer before its commit is found", async (t) => {
  const { append } = JournalStore.prototype;
  JournalStore.prototype.append = function (firstPosition, bytes) {
    append.call(this, firstPosition, Uint8Array.from(bytes)).catch(() => {});
    return Promise.resolve();
  };
  try {
    const result = await simulate(2);
    t.match(result.broken, /^(answered and not durable|a command that must be done is not)/);
    t.ok(result.step > 0 && result.trace.length > 0, "with its step and a trace");
  } finally {
    JournalStore.prototype.append = append;
  }
});

/** A process with a disk of its own, for one store. */
function disk(file: FalseFile, timeline: Timeline, faults: DiskFaults = NO_DISK_FAULTS) {
  const chance = new Chance(1);
  const database = new FalseDatabase(
    file,
    timeline,
    chance,
    faults,
    () => true,
    () => {},
  );
  const open: OpenDatabase = <K extends number | string>() => database as unknown as Database<K>;
  return { database, open };
}

async function runOut(timeline: Timeline): Promise<void> {
  await new Promise((resolve) => setImmediate(resolve));
  while (await timeline.step());
}

/** A process's journal on a false disk. */
function journalOn(journal: FalseJournal, timeline: Timeline, faults = NO_DISK_FAULTS) {
  const parts = [timeline, new Chance(1), faults] as const;
  const disk = new FalseJournalDisk(
    journal,
    ...parts,
    () => true,
    () => {},
  );
  return new JournalStore("", { openDisk: () => disk });
}

/** A block without entries, sealed. */
function emptyBlock(): Uint8Array {
  const writer = new BlockWriter(4096);
  writer.begin(1, 1, 0, 0);
  writer.beginEntry(0x0800, 1, 1, 1);
  writer.endEntry();
  writer.close(BLOCK_HASH_START);
  const bytes = Uint8Array.from(writer.written);
  sealBlock(bytes);
  return bytes;
}

t.test("what a killed process left in memory is put on disk at the next start", async (t) => {
  const timeline = new Timeline();
  const journal = new FalseJournal();
  const bytes = emptyBlock();
  void journalOn(journal, timeline).append(1, bytes);
  await timeline.step();
  t.equal(journal.visibleBlocks().length, 1, "it is visible");
  t.equal(journal.durableCount, 0, "and not durable");
  void journalOn(journal, new Timeline()).confirm();
  const restarted = new Timeline();
  const confirmed = journalOn(journal, restarted).confirm();
  await runOut(restarted);
  await confirmed;
  journal.cutPower(new Chance(1));
  t.same(journal.visibleBlocks()[0]?.bytes, bytes, "a power cut does not take it");
});

t.test("what is seen after a flush that failed is written again at the next start", async (t) => {
  for (let seed = 1; seed <= 5; seed++) {
    const timeline = new Timeline();
    const journal = new FalseJournal();
    const bytes = emptyBlock();
    const failing = journalOn(journal, timeline, { ...NO_DISK_FAULTS, failFlush: 1 });
    const appended = failing.append(1, bytes);
    appended.catch(() => {});
    await runOut(timeline);
    await t.rejects(appended, "it is not answered");
    const [name] = journal.names();
    journal.forget(name!, new Chance(seed));
    t.equal(journal.visibleBlocks().length, 1, "and yet it is seen");
    const restarted = new Timeline();
    const confirmed = journalOn(journal, restarted).confirm();
    await runOut(restarted);
    await confirmed;
    journal.cutPower(new Chance(seed));
    t.same(journal.visibleBlocks()[0]?.bytes, bytes, "a power cut does not take it");
  }
});

t.test("no checkpoint is completed after one whose head failed", async (t) => {
  const timeline = new Timeline();
  const file = new FalseFile();
  const faults = { ...NO_DISK_FAULTS, failWrite: 1 };
  const tables = new TableStore("", disk(file, timeline, faults).open);
  const table = new Table(1, "cards", 12, 100);
  const registers = { position: 1, timeMs: 1, blacklistPosition: 0, blockHash: BLOCK_HASH_START };
  const head = { registers, rowCounts: { [table.id]: 1 } };
  const failed = tables.putHead(head, [["catalogue/1", Buffer.from("{}")]]);
  failed.catch(() => {});
  await runOut(timeline);
  await t.rejects(failed, "the disk is full");
  faults.failWrite = 0;
  const later = tables.putHead({ ...head, registers: { ...registers, position: 2 } }, []);
  later.catch(() => {});
  await runOut(timeline);
  await t.rejects(later, "it would lack the documents of the one before");
  t.notOk(file.visible.has("head"));
});

t.test("checkpoints end with one that cannot be written, and say so once", async (t) => {
  const timeline = new Timeline();
  const file = new FalseFile();
  const faults = { ...NO_DISK_FAULTS, failWrite: 1 };
  const tables = new TableStore("", disk(file, timeline, faults).open);
  const kit = new EngineKit().usual();
  kit.seal();
  const clock = new FalseClock(timeline, START_MS);
  const host = new FalseHost(timeline, clock, new Chance(1), () => {});
  const atBoundary = (task: () => void) => task();
  const core = { atBoundary, afterCommit: atBoundary } as unknown as Core;
  const checkpointer = new Checkpointer(kit.engine, core, tables, new Metrics(), host, 0);
  const told: unknown[] = [];
  checkpointer.start(1, (error) => told.push((error as Error).message));
  await runOut(timeline);
  t.same(told, ["a page of a checkpoint could not be written"], "the timer has ended");
  t.ok(timeline.nowUs < 5e6, "after the first");
  faults.failWrite = 0;
  await t.rejects(checkpointer.run(), /could not be written/, "nor is one made by hand");
  t.notOk(file.visible.has("head"));
  kit.use();
  kit.seal();
  kit.state.invariants();
});

t.test("a checkpoint leaves the disk to uses while they come", async (t) => {
  const all = await pagesTogether(Number.NEGATIVE_INFINITY);
  t.ok(
    all.together.length === 1 && all.together[0]! > 32,
    "none come: as fast as the disk takes it",
  );
  const paced = await pagesTogether(0);
  t.equal(paced.together[0], 32, "they come: a few pages, and these are on disk before the next");
  t.ok(paced.together.length > 1 && Math.max(...paced.together) === 32);
  const restUsMin = Math.min(2 * paced.writeUs, 20_000);
  t.ok(paced.writeUs > 0 && paced.restUs >= restUsMin, "it rests for longer than it wrote");
  const sum = (counts: number[]) => counts.reduce((a, b) => a + b, 0);
  t.equal(sum(paced.together), sum(all.together), "all the same pages");
});

/** Makes a checkpoint of some pages while frames come, the last at `lastTakenMs`. */
async function pagesTogether(lastTakenMs: number) {
  const timeline = new Timeline();
  const together: number[] = [];
  let writeUs = 0;
  let settledUs = 0;
  let restUs = 0;
  let count = 0;
  class CountingStore extends TableStore {
    override putPage(...page: Parameters<TableStore["putPage"]>): void {
      if (count === 0 && together.length === 1) restUs = timeline.nowUs - settledUs;
      count++;
      super.putPage(...page);
    }
    override async settled(): Promise<void> {
      const begunUs = timeline.nowUs;
      await super.settled();
      if (count === 0) return;
      together.push(count);
      count = 0;
      if (together.length > 1) return;
      settledUs = timeline.nowUs;
      writeUs = settledUs - begunUs;
    }
  }
  class StillHost extends FalseHost {
    override monotonicMs = () => timeline.nowUs / 1000;
  }
  const kit = new EngineKit().usual();
  for (let i = 2; i < LIMITS.cardsMax; i++) kit.card(i, CARD_EVENT.LOAD);
  kit.seal();
  const host = new StillHost(timeline, new FalseClock(timeline, START_MS), new Chance(1), () => {});
  const atBoundary = (task: () => void) => task();
  const core = { atBoundary, afterCommit: atBoundary, lastTakenMs };
  const store = new CountingStore("", disk(new FalseFile(), timeline).open);
  const parts = [kit.engine, core as unknown as Core, store, new Metrics(), host] as const;
  const made = new Checkpointer(...parts, 0).run();
  await runOut(timeline);
  await made;
  return { together, writeUs, restUs };
}

t.test("pages with rows of another size are refused", async (t) => {
  const timeline = new Timeline();
  const tables = new TableStore("", disk(new FalseFile(), timeline).open);
  const table = new Table(1, "cards", 12, 300);
  const buffer = tables.takeBuffer(table.pageWords)!;
  tables.putPage({ table, page: 0, wordCount: table.pageWords }, buffer, 1);
  await runOut(timeline);
  tables.loadTable(table, 1, 2);
  const narrow = new Table(1, "cards", 7, 300);
  t.throws(
    () => tables.loadTable(narrow, 1, 2),
    /rows of another size: remove the folder "tables"/,
  );
});
