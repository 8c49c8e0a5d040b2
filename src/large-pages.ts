// Large pages for tables and their indexes, where Linux has them for those who ask
// (/sys/kernel/mm/transparent_hugepage/enabled: madvise or always). A random look-up among millions
// of cards misses the processor's table of pages, too, and a page is given 512 times less often.

import { prepareMemory } from "../engine/memory.js";
import { loadNative } from "../protocol/native.js";

/** Bytes of a large page of most processors. */
const LARGE_PAGE_SIZE = 2 * 1024 * 1024;
/** Smaller memory would be given whole to who needs a part of it. */
const SIZE_MIN = 2 * LARGE_PAGE_SIZE;
/** A page of the kernel, at whose multiples advice begins and ends. */
const PAGE_SIZE = 4096;
/** madvise(2). */
const MADV_HUGEPAGE = 14;

/** Asks for large pages for what this thread reserves from now on, where there are any. */
export function useLargePages(): void {
  const native = process.platform === "linux" ? loadNative() : null;
  if (native === null) return;
  const madvise = native.functionOf("int madvise(intptr_t start, size_t size, int advice)");
  prepareMemory((memory) => {
    if (memory.byteLength < SIZE_MIN) return;
    const address = native.addressOf(new Uint8Array(memory));
    const start = Math.ceil(address / PAGE_SIZE) * PAGE_SIZE;
    const end = Math.floor((address + memory.byteLength) / PAGE_SIZE) * PAGE_SIZE;
    // It may refuse: then pages stay small.
    madvise(start, end - start, MADV_HUGEPAGE);
  });
}
