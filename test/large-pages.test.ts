// Large pages are a hint: what is reserved with them is the same memory, zero at first and shared,
// in every size, and the kernel was asked for them where it has any.

import { readFileSync } from "node:fs";
import t from "tap";
import { prepareMemory, reserveWords } from "../engine/memory.js";
import { useLargePages } from "../src/large-pages.js";

const ENABLED = "/sys/kernel/mm/transparent_hugepage/enabled";
const SMALL_WORDS = 1000;
const LARGE_WORDS = 16 * 1024 * 1024;

t.teardown(() => prepareMemory(() => {}));

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

t.test("memory is zero, whole and written as ever", async (t) => {
  useLargePages();
  for (const count of [1, SMALL_WORDS, LARGE_WORDS / 4 + 1, LARGE_WORDS]) {
    const words = reserveWords(count);
    t.equal(words.length, count);
    t.type(words.buffer, SharedArrayBuffer);
    t.ok(words.every((word) => word === 0));
    for (const at of [0, count >> 1, count - 1]) words[at] = at + 1;
    t.equal(words[count - 1], count);
  }
});

t.test("the kernel gives large pages for large memory that is asked for with them", async (t) => {
  const before = largeBytes();
  if (before === null) {
    t.comment("this system has none, or does not tell");
    return;
  }
  const size = LARGE_WORDS * Int32Array.BYTES_PER_ELEMENT;
  useLargePages();
  const asked = reserveWords(LARGE_WORDS).fill(1);
  const given = largeBytes()! - before;
  t.ok(given > size / 2, `${given} of ${size} bytes in large pages`);
  t.equal(asked[LARGE_WORDS - 1], 1, "and it is still there");
});
