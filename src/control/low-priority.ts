// The priority of the control plane's thread: under that of the main thread, so that where both
// want a core an import or a report waits, not a tap.

import { readlinkSync } from "node:fs";
import { getPriority, setPriority } from "node:os";
import { basename } from "node:path";

/** A tenth of the weight of a thread that was left alone (nice(1)). */
const NICE = 10;
const NICE_MOST = 19;

/** Lowers the priority of the thread that calls it, where the system has one for each thread. */
export function lowerPriority(): void {
  if (process.platform !== "linux") return;
  try {
    const id = Number(basename(readlinkSync("/proc/thread-self")));
    setPriority(id, Math.min(getPriority(id) + NICE, NICE_MOST));
  } catch {
    // Not allowed, or no /proc: then it competes as before, which is no reason not to serve.
  }
}
