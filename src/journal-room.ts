// Room in the journal's file behind its last page, made while no block is being written. A commit
// that makes the file longer takes the file system's own journal to the disk with it; one that
// finds room there takes its pages alone.
//
// Zeros are appended, so that they never meet a page that is there, and past the page cache, or the
// next commit would have them to write. lmdb tells the end by its own last page: what is behind is
// nothing to it, at a start either.
//
// It is a help and no promise. Where it fails once it is left, and commits take longer.

import { closeSync, constants, fstatSync, openSync, statfsSync, writeSync } from "node:fs";
import { join } from "node:path";

/**
 * Bytes of zeros in one write: some 0.4 ms, for which a block that comes meanwhile waits. Beside a
 * block as large it is small what making the file longer costs, and no room is made.
 */
export const STEP_SIZE = 256 * 1024;
/** Bytes of room that are made at most, beyond a step. */
export const ROOM_SIZE = 4 * 1024 * 1024;
/** Bytes of blocks from one look to the next: a server that is hardly used makes no room. */
const LOOK_SIZE = 64 * 1024;
/** Bytes that the disk must have left for others. */
export const FREE_MIN = 1024 * 1024 * 1024;

export class JournalRoom {
  private fd: number | null;
  /** Bytes of blocks since the last look. */
  private written = 0;
  /** V8 puts memory that can grow at the start of a page, which a write past the cache needs. */
  private readonly zeros = new Uint8Array(new ArrayBuffer(STEP_SIZE, { maxByteLength: STEP_SIZE }));

  constructor(private readonly folder: string) {
    this.fd = openPastCache(join(folder, "journal", "data.mdb"));
  }

  /** To be told of each block that was written, of `size` bytes. */
  wrote(size: number): void {
    this.written = size < STEP_SIZE ? this.written + size : 0;
  }

  /** Whether it is time for `make`. */
  get isDue(): boolean {
    return this.written >= LOOK_SIZE && this.fd !== null;
  }

  /** Makes room of a step, unless there is enough from `pagesEnd`, in bytes, on. */
  make(pagesEnd: number): void {
    this.written = 0;
    if (this.fd === null) return;
    try {
      if (fstatSync(this.fd).size - pagesEnd >= ROOM_SIZE) return;
      const { bavail, bsize } = statfsSync(this.folder);
      if (bavail * bsize >= FREE_MIN && writeSync(this.fd, this.zeros) === STEP_SIZE) return;
    } catch {
      // As when the disk has little left.
    }
    this.close();
  }

  close(): void {
    if (this.fd !== null) closeSync(this.fd);
    this.fd = null;
  }
}

/** Null where the file system or the platform knows of no writes past the page cache. */
function openPastCache(file: string): number | null {
  const { O_WRONLY, O_APPEND, O_DIRECT } = constants;
  if (O_DIRECT === undefined) return null;
  try {
    return openSync(file, O_WRONLY | O_APPEND | O_DIRECT);
  } catch {
    return null;
  }
}
