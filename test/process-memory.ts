// The memory of a running process (Linux): every page that it can write to and that is there, heap,
// stacks, buffers, shared tables and the libraries' own data, as /proc shows it to who started it.
// Mapped files that it only reads are left out: they are looked at as files.

import { closeSync, openSync, readFileSync, readSync } from "node:fs";

const PAGE_SIZE = 4096;
const PAGEMAP_ENTRY_SIZE = 8;
/** Of the eight bytes of an entry: the page is in memory, or in swap. */
const PRESENT_MASK = 0xc0;
const CHUNK_PAGES = 2048;
/** Bytes that a chunk repeats of the one before, so that nothing is cut in two. */
const OVERLAP = 128;

export interface MemoryChunk {
  /** What the kernel says of the mapping: its addresses, rights and name. */
  mapping: string;
  address: number;
  bytes: Buffer;
}

/** Whether a child's memory can be read here. */
export function memoryReadable(pid: number | "self"): boolean {
  try {
    closeSync(openSync(`/proc/${pid}/mem`, "r"));
    return true;
  } catch {
    return false;
  }
}

/** The memory of process `pid`, chunk by chunk; a chunk's bytes are good until the next. */
export function* memoryOf(pid: number | "self"): Generator<MemoryChunk> {
  const memory = openSync(`/proc/${pid}/mem`, "r");
  const pagemap = openSync(`/proc/${pid}/pagemap`, "r");
  try {
    for (const mapping of readFileSync(`/proc/${pid}/maps`, "latin1").split("\n")) {
      const head = /^([0-9a-f]+)-([0-9a-f]+) rw/.exec(mapping);
      if (head === null) continue;
      const start = Number.parseInt(head[1]!, 16);
      const end = Number.parseInt(head[2]!, 16);
      for (const [from, to] of presentRuns(pagemap, start, end)) {
        yield* chunks(memory, mapping, from, to);
      }
    }
  } finally {
    closeSync(memory);
    closeSync(pagemap);
  }
}

/** Bytes of the process's own pages in `size` bytes from `address` on that are in memory. */
export function presentBytes(address: number, size: number): number {
  const start = Math.floor(address / PAGE_SIZE) * PAGE_SIZE;
  const end = start + Math.floor(size / PAGE_SIZE) * PAGE_SIZE;
  const pagemap = openSync("/proc/self/pagemap", "r");
  let bytes = 0;
  for (const [from, to] of presentRuns(pagemap, start, end)) bytes += to - from;
  closeSync(pagemap);
  return bytes;
}

/** Ranges of pages that are in memory: reserved ones that were never written hold nothing. */
function* presentRuns(pagemap: number, start: number, end: number): Generator<[number, number]> {
  const count = (end - start) / PAGE_SIZE;
  const entries = Buffer.alloc(count * PAGEMAP_ENTRY_SIZE);
  const offset = (start / PAGE_SIZE) * PAGEMAP_ENTRY_SIZE;
  readSync(pagemap, entries, 0, entries.length, offset);
  let runStart = -1;
  for (let page = 0; page <= count; page++) {
    const last = page * PAGEMAP_ENTRY_SIZE + PAGEMAP_ENTRY_SIZE - 1;
    const present = page < count && (entries[last]! & PRESENT_MASK) !== 0;
    if (present && runStart < 0) runStart = page;
    if (present || runStart < 0) continue;
    yield [start + runStart * PAGE_SIZE, start + page * PAGE_SIZE];
    runStart = -1;
  }
}

function* chunks(
  memory: number,
  mapping: string,
  from: number,
  to: number,
): Generator<MemoryChunk> {
  for (let at = from; at < to; at += CHUNK_PAGES * PAGE_SIZE) {
    const start = Math.max(from, at - OVERLAP);
    const bytes = Buffer.alloc(Math.min(at + CHUNK_PAGES * PAGE_SIZE, to) - start);
    yield { mapping, address: start, bytes: bytes.subarray(0, read(memory, bytes, start)) };
  }
}

/** A mapping may be gone by now: then nothing of it is there. */
function read(memory: number, bytes: Buffer, address: number): number {
  try {
    return readSync(memory, bytes, 0, bytes.length, address);
  } catch {
    return 0;
  }
}
