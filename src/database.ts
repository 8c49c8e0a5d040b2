// The database under the tables: ordered keys, values of bytes, writes that become visible and
// then durable. The one home of lmdb, and the seam where a simulator puts a false disk.
//
// The twist of lmdb: the promise of a write means visible, its `flushed` means on disk.

import { mkdirSync } from "node:fs";
import { open } from "lmdb";
import { failStop } from "./fail-stop.js";

const OPTIONS = {
  encoding: "binary" as const,
  noSubdir: false,
  safeRestore: true,
  separateFlushed: true,
  // Else lmdb calls a write flushed whose last step, the page that names it, has failed.
  overlappingSync: false,
  maxReaders: 64,
};

/** Resolves when the write is visible; `flushed` resolves when it is on disk. */
export interface Write extends Promise<boolean> {
  flushed?: Promise<unknown>;
}

export interface KeyRange<K> {
  start: K;
  end?: K;
}

export interface Database<K extends number | string> {
  get(key: K): Buffer | undefined;
  /** As `get`, in a buffer that the next read fills again; its `length` is that of the value. */
  getBinaryFast(key: K): Buffer | undefined;
  put(key: K, value: Uint8Array): Write;
  remove(key: K): Write;
  /** Makes the writes of `action` visible together or not at all. */
  transaction(action: () => unknown): Write;
  /** From `start` on, `end` not included; numbers come before strings. */
  getRange(range: KeyRange<K>): Iterable<{ key: K; value: Buffer }>;
  getKeys(range: KeyRange<K>): Iterable<K>;
  close(): Promise<void>;
}

export type OpenDatabase = <K extends number | string>(path: string) => Database<K>;

/** Opens the database in folder `path`, which is made when it is not there. */
export const openLmdb: OpenDatabase = <K extends number | string>(path: string) => {
  mkdirSync(path, { recursive: true, mode: 0o700 });
  return open<Buffer, K>({ ...OPTIONS, path }) as unknown as Database<K>;
};

/** Resolves when what was put is on disk; rejects when any step failed. */
export async function durable(put: Write): Promise<void> {
  await put;
  await put.flushed;
}

/**
 * Ends the process when lmdb tells of a failed commit by a rejection that nobody can catch, as it
 * does beside those of the puts: what it would write next is not to be trusted.
 */
export function stopOnFailedCommit(): void {
  if (process.listeners("unhandledRejection").includes(onRejection)) return;
  process.on("unhandledRejection", onRejection);
}

function onRejection(error: unknown): void {
  if (!(error instanceof Error && "commitError" in error)) throw error;
  stopUnwritten();
}

/** Ends the process: the data folder could not be written. */
export function stopUnwritten(): never {
  failStop(
    "the data folder could not be written: check its disk and free space, then run the same " +
      "again; what was answered or reported as done is there",
  );
}
