// The files under the journal: whole reads, writes that are on disk when they are done, and no
// knowledge of what is in them. The seam where a simulator puts a false disk.

import {
  closeSync,
  fdatasyncSync,
  fstatSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readdirSync,
  readSync,
  writeSync,
} from "node:fs";
import { dirname, join } from "node:path";

export interface JournalDisk {
  /** Names of all files there are. */
  names(): string[];
  /** Bytes of a file; -1 when it is not there. */
  size(name: string): number;
  /** Fills `into` with what stands from `offset` on; returns how many bytes there were. */
  read(name: string, offset: number, into: Uint8Array): number;
  /** Makes an empty file, which is there after a power cut, too, when this returns. */
  create(name: string): void;
  /** Writes all of `bytes`: on disk when it returns, or when what it returns resolves. */
  write(name: string, offset: number, bytes: Uint8Array): void | Promise<void>;
  /** Puts on disk what a process before this one has written, in the same way. */
  sync(name: string): void | Promise<void>;
  close(): void;
}

/** Opens a disk on `folder`, which is made when it is not there and may be written. */
export type OpenJournalDisk = (folder: string, readOnly: boolean) => JournalDisk;

/** Open files at most: who reads a journal from end to end passes many. */
const OPEN_MAX = 8;

class FolderDisk implements JournalDisk {
  private readonly open = new Map<string, number>();

  constructor(
    private readonly folder: string,
    private readonly readOnly: boolean,
  ) {
    if (readOnly || mkdirSync(folder, { recursive: true, mode: 0o700 }) === undefined) return;
    syncFolder(dirname(folder));
  }

  names(): string[] {
    return readdirSync(this.folder);
  }

  size(name: string): number {
    const fd = this.fdOf(name);
    return fd === null ? -1 : fstatSync(fd).size;
  }

  read(name: string, offset: number, into: Uint8Array): number {
    const fd = this.fdOf(name);
    let count = 0;
    while (fd !== null && count < into.length) {
      const more = readSync(fd, into, count, into.length - count, offset + count);
      if (more === 0) break;
      count += more;
    }
    return count;
  }

  create(name: string): void {
    this.keep(name, openSync(join(this.folder, name), "wx+", 0o600));
    syncFolder(this.folder);
  }

  write(name: string, offset: number, bytes: Uint8Array): void {
    const fd = this.fdOf(name);
    if (fd === null) throw new Error("a file of the journal is gone");
    // A disk without room may take a part, and say so by no error.
    if (writeSync(fd, bytes, 0, bytes.length, offset) !== bytes.length) {
      throw new Error("a block was not written whole");
    }
    fdatasyncSync(fd);
  }

  sync(name: string): void {
    const fd = this.fdOf(name);
    if (fd === null) throw new Error("a file of the journal is gone");
    fsyncSync(fd);
    syncFolder(this.folder);
  }

  close(): void {
    for (const fd of this.open.values()) closeSync(fd);
    this.open.clear();
  }

  private fdOf(name: string): number | null {
    const fd = this.open.get(name);
    if (fd !== undefined) return fd;
    try {
      return this.keep(name, openSync(join(this.folder, name), this.readOnly ? "r" : "r+"));
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === "ENOENT") return null;
      throw error;
    }
  }

  /** The oldest of too many is closed: it is opened again when it is asked for. */
  private keep(name: string, fd: number): number {
    for (const [oldest, oldFd] of this.open) {
      if (this.open.size < OPEN_MAX) break;
      closeSync(oldFd);
      this.open.delete(oldest);
    }
    this.open.set(name, fd);
    return fd;
  }
}

/** Puts on disk which files are in a folder. */
function syncFolder(folder: string): void {
  const fd = openSync(folder, "r");
  try {
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
}

export const openFolder: OpenJournalDisk = (folder, readOnly) => new FolderDisk(folder, readOnly);
