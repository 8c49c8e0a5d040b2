// Large pages are a hint: what is filled with them is the same memory, zero at first and shared, in
// every size, and the kernel was asked for them where it has any. What is reserved outside of a
// load has small ones.

import { readFileSync } from "node:fs";
import t from "tap";
import { prepareMemory, reserveWords } from "../engine/memory.js";
import { askLargePages } from "../src/large-pages.js";

const ENABLED = "/sys/kernel/mm/transparent_hugepage/enabled";
const LARGE_WORDS = 16 * 1024 * 1024;
const LARGE_SIZE = LARGE_WORDS * Int32Array.BYTES_PER_ELEMENT;

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
  prepareMemory(askLargePages);
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
  askLargePages(half);
  const grown = grownBy(words);
  if (grown === null) {
    t.comment("this system has none, or does not tell");
    return;
  }
  t.ok(grown > LARGE_SIZE / 4, `${grown} bytes`);
  if (readFileSync(ENABLED, "utf8").includes("[madvise]")) t.ok(grown <= LARGE_SIZE / 2);
});
