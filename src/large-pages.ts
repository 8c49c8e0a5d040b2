// Large pages for the tables and indexes that a start loads, where Linux has them for who asks
// (/sys/kernel/mm/transparent_hugepage/enabled: madvise or always). A random look-up among millions
// of cards misses the processor's table of pages, too, and a page is given 512 times less often.
//
// Only what is filled before anyone waits: where the memory is full of files, the kernel makes room
// for a large page first, and a tap would wait for that.

import { loadNative } from "../protocol/native.js";

/** Bytes of a large page of most processors. */
const LARGE_PAGE_SIZE = 2 * 1024 * 1024;
/** Less is not worth a page of which a part is left over. */
const SIZE_MIN = 2 * LARGE_PAGE_SIZE;
/** A page of the kernel, at whose multiples advice begins and ends. */
const PAGE_SIZE = 4096;
/** madvise(2). */
const MADV_HUGEPAGE = 14;

type Advise = (words: Int32Array) => void;

/** Undefined until it was looked for, null where there is none. */
let advise: Advise | null | undefined;

/** Asks for large pages for words that are about to be filled, where there are any. */
export function askLargePages(words: Int32Array): void {
  if (words.byteLength < SIZE_MIN) return;
  if (advise === undefined) advise = findAdvise();
  advise?.(words);
}

function findAdvise(): Advise | null {
  const native = process.platform === "linux" ? loadNative() : null;
  if (native === null) return null;
  const madvise = native.functionOf("int madvise(intptr_t start, size_t size, int advice)");
  return (words) => {
    const address = native.addressOf(words);
    const start = Math.ceil(address / PAGE_SIZE) * PAGE_SIZE;
    const end = Math.floor((address + words.byteLength) / PAGE_SIZE) * PAGE_SIZE;
    // It may refuse: then pages stay small.
    madvise(start, end - start, MADV_HUGEPAGE);
  };
}
