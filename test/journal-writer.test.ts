// The journal's writer: a real thread on a real folder. What its crashes leave is test/crash's.

import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Worker } from "node:worker_threads";
import t from "tap";
import { JournalStore } from "../src/journal-store.js";
import { DONE_WORD, JournalWriter, ORDERS_WORD } from "../src/journal-writer.js";
import { append, BLOCK_SIZE_MIN, blockOf, journalFolder, sealedOf } from "./journal-kit.js";

const BLOCK_SIZE_MAX = 4096;
const LIMITS = { blockSizeMax: BLOCK_SIZE_MAX, fileSizeMax: 65_536 };
const POLL_MS = 5000;
const HELD_UP_MS = 300;

t.test("what was appended is sealed and in the journal, also after a restart", async (t) => {
  const folder = journalFolder(t);
  const store = new JournalStore(folder);
  const writer = await JournalWriter.open(folder, LIMITS);
  const sizes = new Map([
    [1, BLOCK_SIZE_MIN],
    [2, BLOCK_SIZE_MAX],
    [3, 160],
  ]);
  for (const [position, size] of sizes) {
    t.equal(store.blockOf(position)?.length === size, false);
    await append(writer, position, blockOf(position, size));
    t.same(store.blockOf(position), sealedOf(position, size));
    const memory = new Uint8Array(writer.memory[position & 1]!, 0, size);
    t.same(Uint8Array.from(memory), sealedOf(position, size), "the main thread finds the hash");
  }
  await writer.close();
  await store.close();
  const restarted = new JournalStore(folder, { readOnly: true });
  t.same(
    [...restarted.from(1)],
    [...sizes].map(([position, size]) => sealedOf(position, size)),
  );
  await restarted.close();
});

t.test("a look tells that a block is on disk before the event loop does", async (t) => {
  const writer = await JournalWriter.open(journalFolder(t), LIMITS);
  let done = false;
  const appended = append(writer, 1, blockOf(1, 160)).then(() => {
    done = true;
  });
  const end = performance.now() + POLL_MS;
  while (!done && performance.now() < end) {
    writer.poll();
    await null;
  }
  t.ok(done, "no turn of the event loop was taken meanwhile");
  await appended;
  await writer.close();
});

t.test("a commit takes what the disk takes, however late one looks", async (t) => {
  const writer = await JournalWriter.open(journalFolder(t), LIMITS);
  const { words } = writer as unknown as { words: Int32Array };
  const startedMs = performance.now();
  const appended = append(writer, 1, blockOf(1, 160));
  while (Atomics.load(words, DONE_WORD) === 0) Atomics.wait(words, DONE_WORD, 0, 1);
  const doneMs = performance.now() - startedMs;
  Atomics.wait(words, DONE_WORD, 1, HELD_UP_MS);
  const commitMs = await appended;
  t.ok(commitMs > 0 && commitMs <= doneMs, `${commitMs} of ${doneMs} ms`);
  t.ok(performance.now() - startedMs >= HELD_UP_MS, "the main thread was held up");
  await writer.close();
});

t.test("a wake-up that comes late writes nothing, and nobody waits without end", async (t) => {
  const folder = journalFolder(t);
  const writer = await JournalWriter.open(folder, LIMITS);
  const { words } = writer as unknown as { words: Int32Array };
  for (let position = 1; position <= 20; position++) {
    const end = performance.now() + POLL_MS;
    // As when the main thread is held up between its order and the wake-up for it.
    while (Atomics.notify(words, ORDERS_WORD) === 0 && performance.now() < end);
    t.ok(performance.now() < end, "the thread sleeps");
    await append(writer, position, blockOf(position, 160));
    t.equal(words[DONE_WORD], position, "one block, written once");
  }
  await writer.close();
  const store = new JournalStore(folder, { readOnly: true });
  t.equal([...store.from(1)].length, 20);
  await store.close();
});

t.test("when the thread is gone no block is taken, and none is left waiting", async (t) => {
  const writer = await JournalWriter.open(journalFolder(t), LIMITS);
  await append(writer, 1, blockOf(1, 160));
  const { worker } = writer as unknown as { worker: Worker };
  const ended = worker.terminate();
  await t.rejects(append(writer, 2, blockOf(2, 160)), /thread has ended/);
  await ended;
  await t.rejects(append(writer, 3, blockOf(3, 160)), /thread has ended/);
  await writer.close();
});

t.test("a block that lies elsewhere is not taken", async (t) => {
  const writer = await JournalWriter.open(journalFolder(t), LIMITS);
  t.throws(() => writer.append(1, blockOf(1, 160)), /where the thread looks/);
  const behind = new Uint8Array(writer.memory[0], 8, 160);
  t.throws(() => writer.append(1, behind), /where the thread looks/);
  await append(writer, 1, blockOf(1, 160));
  await writer.close();
});

t.test("a journal that cannot be opened is an error at once", async (t) => {
  const folder = join(journalFolder(t), "data");
  mkdirSync(folder);
  writeFileSync(join(folder, "journal"), "a file");
  await t.rejects(JournalWriter.open(folder, LIMITS));
});
