// What the kernel is told of the memory of tables and indexes, where it is Linux and koffi is
// installed. That they are to lie in large pages, where the kernel has them for who asks
// (/sys/kernel/mm/transparent_hugepage/enabled: madvise or always): a random look-up among millions
// of cards misses the processor's table of pages, too. And that memory is to be given now, by a
// thread beside, and not when it is first written: the kernel zeroes it and may have to make room,
// and a virtual machine pays again at its host's.
//
// Both are hints. Where they are refused, memory is the same, and given as it is written.

import { loadNative, type NativeFunction } from "../protocol/native.js";

/** Bytes of a large page of most processors. */
const LARGE_PAGE_SIZE = 2 * 1024 * 1024;
/** Less is not worth a page of which a part is left over. */
const SIZE_MIN = 2 * LARGE_PAGE_SIZE;
/** A page of the kernel, at whose multiples advice begins and ends. */
const PAGE_SIZE = 4096;
/** madvise(2). */
const MADV_HUGEPAGE = 14;
/** madvise(2), from Linux 5.14 on. */
const MADV_POPULATE_WRITE = 23;

interface Kernel {
  madvise: NativeFunction;
  addressOf(words: Int32Array): number;
}

/** Undefined until it was looked for, null where there is none. */
let found: Kernel | null | undefined;

/**
 * For `prepareMemory`: words that were just reserved, and whether all of them will be written soon,
 * in no order. Few of them are left as they are.
 */
export function prepareWords(words: Int32Array, soon: boolean): void {
  if (words.byteLength < SIZE_MIN) return;
  const kernel = findKernel();
  kernel?.madvise(...pagesOf(kernel, words), MADV_HUGEPAGE);
  if (soon) void giveMemory(words);
}

/**
 * Has a thread beside give the memory of words, which keep their values. Resolves to whether all of
 * it was given.
 */
export function giveMemory(words: Int32Array): Promise<boolean> {
  const kernel = findKernel();
  if (kernel === null) return Promise.resolve(false);
  return new Promise((resolve) => {
    kernel.madvise.async(
      ...pagesOf(kernel, words),
      MADV_POPULATE_WRITE,
      // Until it is called the words are kept from the collector.
      (_: unknown, result: number) => resolve(result === 0 && words.length > 0),
    );
  });
}

function findKernel(): Kernel | null {
  if (found !== undefined) return found;
  const native = process.platform === "linux" ? loadNative() : null;
  found = native && {
    madvise: native.functionOf("int madvise(intptr_t start, size_t size, int advice)"),
    addressOf: native.addressOf,
  };
  return found;
}

/** Start and size of the pages that lie in words as a whole. */
function pagesOf({ addressOf }: Kernel, words: Int32Array): [start: number, size: number] {
  const address = addressOf(words);
  const start = Math.ceil(address / PAGE_SIZE) * PAGE_SIZE;
  const end = Math.floor((address + words.byteLength) / PAGE_SIZE) * PAGE_SIZE;
  return [start, Math.max(end - start, 0)];
}
