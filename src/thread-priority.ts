// Priorities of threads: under that of the main thread for those that no tap waits for, so that
// where both want a core an import, a report or the compiler waits, not a tap.

import { readdirSync, readlinkSync } from "node:fs";
import { getPriority, setPriority } from "node:os";
import { basename } from "node:path";

/** A tenth of the weight of a thread that was left alone (nice(1)). */
const NICE_OWN = 10;
/** A third: with a tenth what the main thread runs is sometimes compiled late under full load. */
const NICE_HELPERS = 5;
const NICE_MOST = 19;

/** Lowers the priority of the thread that calls it, where the system has one for each thread. */
export function lowerPriority(): void {
  attempt(() => lower(Number(basename(readlinkSync("/proc/thread-self"))), NICE_OWN));
}

/**
 * The threads besides the main one. Before the first of ours is started these are those of V8,
 * which compile and collect for every thread of the process, and Node.js's own.
 */
export function threadsBeside(): number[] {
  let ids: number[] = [];
  attempt(() => {
    ids = readdirSync("/proc/self/task").map(Number);
  });
  return ids.filter((id) => id !== process.pid);
}

/** Lowers the priority of such threads, of those that are still there. */
export function lowerHelpers(ids: readonly number[]): void {
  for (const id of ids) attempt(() => lower(id, NICE_HELPERS));
}

function lower(id: number, by: number): void {
  setPriority(id, Math.min(getPriority(id) + by, NICE_MOST));
}

/** Not allowed, or no /proc: then all compete as before, which is no reason not to serve. */
function attempt(action: () => void): void {
  if (process.platform !== "linux") return;
  try {
    action();
  } catch {
    // As said.
  }
}
