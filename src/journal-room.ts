// Room in the journal's file behind its last block, made while none is being written. A commit
// that makes the file longer takes the file system's own journal to the disk with it; one that
// finds room there takes its pages alone.
//
// Zeros are appended, so that they never meet a block that is there, and past the page cache, or
// the next commit would have them to write. To a reader zeros are the end of the blocks.
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
  private fd: number | null = null;
  private name = "";
  private closed = false;
  /** Bytes of blocks since the last look. */
  private written = 0;
  /** V8 puts memory that can grow at the start of a page, which a write past the cache needs. */
  private readonly zeros = new Uint8Array(new ArrayBuffer(STEP_SIZE, { maxByteLength: STEP_SIZE }));

  /** Of the journal in `folder`, of whose files none has blocks beyond `fileSizeMax` bytes. */
  constructor(
    private readonly folder: string,
    private readonly fileSizeMax: number,
  ) {}

  /** To be told of each block that was written, of `size` bytes. */
  wrote(size: number): void {
    this.written = size < STEP_SIZE ? this.written + size : 0;
  }

  /** Whether it is time for `make`. */
  get isDue(): boolean {
    return this.written >= LOOK_SIZE && !this.closed;
  }

  /** Makes room of a step in file `name`, unless there is enough from `offset`, in bytes, on. */
  make({ name, offset }: { name: string; offset: number }): void {
    this.written = 0;
    if (this.closed) return;
    try {
      const fd = this.fdOf(name);
      const { size } = fstatSync(fd);
      if (size - offset >= ROOM_SIZE || size >= this.fileSizeMax) return;
      const { bavail, bsize } = statfsSync(this.folder);
      if (bavail * bsize >= FREE_MIN && writeSync(fd, this.zeros) === STEP_SIZE) return;
    } catch {
      // As when the disk has little left, or the file system knows of no writes past its cache.
    }
    this.close();
  }

  close(): void {
    this.closed = true;
    if (this.fd !== null) closeSync(this.fd);
    this.fd = null;
  }

  private fdOf(name: string): number {
    if (this.fd !== null && this.name === name) return this.fd;
    if (this.fd !== null) closeSync(this.fd);
    this.fd = null;
    const { O_WRONLY, O_APPEND, O_DIRECT } = constants;
    if (O_DIRECT === undefined) throw new Error("no writes past the page cache here");
    this.fd = openSync(join(this.folder, "journal", name), O_WRONLY | O_APPEND | O_DIRECT);
    this.name = name;
    return this.fd;
  }
}
