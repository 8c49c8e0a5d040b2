// Advice to the kernel is a hint: memory is the same, zero at first and shared, in every size, and
// where the system tells, it was asked for large pages, or for memory before anything was written.
// What tables are given ahead follows their rows, and a table that does not grow is given nothing.

import { readFileSync } from "node:fs";
import { release } from "node:os";
import { setTimeout } from "node:timers/promises";
import t from "tap";
import { prepareMemory, reserveWords } from "../engine/memory.js";
import { loadNative } from "../protocol/native.js";
import { giveMemory, prepareWords } from "../src/kernel-memory.js";
import { giveAhead } from "../src/memory-ahead.js";
import { EngineKit } from "./engine-kit.js";
import { memoryReadable, presentBytes } from "./process-memory.js";

const ENABLED = "/sys/kernel/mm/transparent_hugepage/enabled";
const LARGE_WORDS = 16 * 1024 * 1024;
const LARGE_SIZE = LARGE_WORDS * Int32Array.BYTES_PER_ELEMENT;

/** Bytes that are given ahead of a table (src/memory-ahead.ts). */
const AHEAD_SIZE = 8 * 1024 * 1024;
const PAGE_SIZE = 4096;
const WRITTEN_STEP = 100_003;
const WAIT_MS = 10_000;
const LOOK_MS = 20;
const SEVERAL_LOOKS_MS = 250;

/** Whether memory can be given before it is written, and seen: Linux from 5.14 on, with koffi. */
function givesMemory(): boolean {
  const [major, minor] = release().split(".").map(Number) as [number, number];
  const linux = process.platform === "linux" && (major > 5 || (major === 5 && minor >= 14));
  return linux && loadNative() !== null && memoryReadable("self");
}

/** Bytes of `words` that are in memory. */
function presentOf(words: Int32Array): number {
  return presentBytes(loadNative()!.addressOf(words), words.byteLength);
}

/** Resolves when nine tenths of `bytes` of `words` are in memory, or after a while to false. */
async function isGiven(words: Int32Array, bytes = words.byteLength): Promise<boolean> {
  const end = performance.now() + WAIT_MS;
  while (presentOf(words) < 0.9 * bytes && performance.now() < end) await setTimeout(LOOK_MS);
  return presentOf(words) >= 0.9 * bytes;
}

/** Bytes of large pages that the process has, or null where the system does not tell. */
function largeBytes(): number | null {
  try {
    const line = /^AnonHugePages:\s+(\d+) kB/m.exec(
      readFileSync("/proc/self/smaps_rollup", "utf8"),
    );
    const given = /\[(always|madvise)\]/.test(readFileSync(ENABLED, "utf8"));
    return line !== null && given ? Number(line[1]) * 1024 : null;
  } catch {
    return null;
  }
}

/** How much more of its memory is in large pages when `words` have been filled, if that is told. */
function grownBy(words: Int32Array): number | null {
  const before = largeBytes();
  words.fill(1);
  return before === null ? null : largeBytes()! - before;
}

t.test("memory is zero, whole and written as ever", async (t) => {
  prepareMemory(prepareWords);
  for (const count of [1, 1000, LARGE_WORDS / 4 + 1, LARGE_WORDS]) {
    const words = reserveWords(count);
    t.equal(words.length, count);
    t.type(words.buffer, SharedArrayBuffer);
    t.ok(words.every((word) => word === 0));
    for (const at of [0, count >> 1, count - 1]) words[at] = at + 1;
    t.equal(words[count - 1], count);
  }
  prepareMemory(null);
});

t.test("the part of a table that is asked for comes in large pages, and no other", async (t) => {
  const words = reserveWords(LARGE_WORDS);
  const half = words.subarray(0, LARGE_WORDS / 2);
  prepareWords(half, false);
  const grown = grownBy(words);
  if (grown === null) {
    t.comment("this system has none, or does not tell");
    return;
  }
  t.ok(grown > LARGE_SIZE / 4, `${grown} bytes`);
  if (readFileSync(ENABLED, "utf8").includes("[madvise]")) t.ok(grown <= LARGE_SIZE / 2);
});

t.test("memory is given beside, and what is written meanwhile stays", async (t) => {
  if (!givesMemory()) return t.comment("this system cannot");
  for (const kind of ["small", "large"]) {
    const words = reserveWords(LARGE_WORDS);
    if (kind === "large") prepareWords(words, false);
    const given = giveMemory(words);
    for (let i = 0; i < LARGE_WORDS; i += WRITTEN_STEP) words[i] = i;
    t.ok(await given, `${kind} pages`);
    t.ok(await isGiven(words), `${kind} pages`);
    t.equal(
      words.findIndex((word, i) => word !== (i % WRITTEN_STEP === 0 ? i : 0)),
      -1,
      "every word as it was written, and zero else",
    );
  }
});

t.test("an index that will be filled soon is given at once, and no other", async (t) => {
  if (!givesMemory()) return t.comment("this system cannot");
  prepareMemory(prepareWords);
  const later = reserveWords(LARGE_WORDS);
  const soon = reserveWords(LARGE_WORDS, true);
  prepareMemory(null);
  t.ok(await isGiven(soon));
  t.ok(presentOf(later) < LARGE_SIZE / 10);
});

t.test("memory is given ahead of a table's rows, and to none that stands still", async (t) => {
  if (!givesMemory()) return t.comment("this system cannot");
  const { state } = new EngineKit({ usesPerDateMax: 1_000_000, cardsMax: 1_000_000 }).usual();
  state.settleTime();
  const uses = state.duplicates.of(state.businessDate);
  const { table } = uses;
  const ahead = await giveAhead(state, "as-needed");
  t.teardown(() => ahead.stop());

  await setTimeout(SEVERAL_LOOKS_MS);
  for (const { words } of state.tables) t.ok(presentOf(words) < AHEAD_SIZE / 2);
  t.ok(presentOf(uses.slots) < AHEAD_SIZE / 2, "nothing for what stands still");

  uses.add(1, 1);
  t.ok(await isGiven(uses.slots), "the whole index of a date that is in use");
  t.ok(await isGiven(table.words, AHEAD_SIZE), "and room for rows");
  await setTimeout(SEVERAL_LOOKS_MS);
  t.ok(presentOf(table.words) < 1.5 * AHEAD_SIZE, "no more of it than that");

  for (let stan = 2; table.rowCount * table.rowWords * 4 < AHEAD_SIZE; stan++) uses.add(1, stan);
  t.ok(await isGiven(table.words, 2 * AHEAD_SIZE), "and again behind the rows that came");

  uses.begin(20_300_101);
  uses.add(1, 1);
  t.ok(await isGiven(uses.slots), "a date that begins anew has memory anew");
  t.ok(await isGiven(table.words, AHEAD_SIZE));
  t.equal(uses.find(1, 1), 1);
  t.equal(uses.find(1, 2), 0);

  ahead.stop();
  while (table.rowCount * table.rowWords * 4 < AHEAD_SIZE) uses.add(2, table.rowCount);
  await setTimeout(SEVERAL_LOOKS_MS);
  t.ok(presentOf(table.words) < 1.5 * AHEAD_SIZE, "nothing when it has been stopped");
});

t.test("at start every table is given all, and a date that begins later is, too", async (t) => {
  if (!givesMemory()) return t.comment("this system cannot");
  const { state } = new EngineKit({ usesPerDateMax: 1_000_000, cardsMax: 1_000_000 }).usual();
  state.settleTime();
  const ahead = await giveAhead(state, "at-start");
  t.teardown(() => ahead.stop());
  const uses = state.duplicates.of(state.businessDate);
  for (const words of [...state.tables.map((table) => table.words), uses.slots]) {
    // All but the pages that its ends share with others.
    t.ok(presentOf(words) >= words.byteLength - 2 * PAGE_SIZE, `${words.byteLength} bytes`);
  }
  uses.add(1, 1);
  uses.begin(20_300_101);
  t.ok(await isGiven(uses.slots), "before it has a use");
  t.ok(await isGiven(uses.table.words));
  uses.add(1, 1);
  t.equal(uses.find(1, 1), 1);
});

t.test("what a machine has not is not taken at start", async (t) => {
  if (!givesMemory()) return t.comment("this system cannot");
  const { state } = new EngineKit({ usesPerDateMax: 1_000_000 }).usual();
  const { slots } = state.duplicates.dates[0]!;
  // Not nothing where it is memory that an earlier test has freed.
  const before = presentOf(slots);
  const { availableMemory } = process;
  t.teardown(() => Object.assign(process, { availableMemory }));
  Object.assign(process, { availableMemory: () => 100e6 });
  await t.rejects(giveAhead(state, "at-start"), {
    message: /^tables\.memory is at-start, which takes \d+ MB more, and 100 MB are left: lower/,
  });
  t.equal(presentOf(slots), before, "nothing was given");
});
