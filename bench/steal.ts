// Steal: processor time that a virtual machine wanted and its host gave to others. A figure beside
// much of it is the host's, not the server's, so every result says how much it was.

import { readFileSync } from "node:fs";

/** Fields of a "cpu" line of /proc/stat (proc_stat(5)) that add up to all time; the last one. */
const FIELD_COUNT = 8;
const STEAL_FIELD = 7;

/** Watches from now on; the result tells the steal since, per cent of all processors' time. */
export function watchSteal(): () => number {
  const before = processorTimes();
  return () => stealBetween(before, processorTimes());
}

/** Per cent of the time between two readings. */
export function stealBetween(before: readonly number[], after: readonly number[]): number {
  const spent = after.map((ticks, i) => ticks - before[i]!);
  const all = spent.reduce((sum, ticks) => sum + ticks, 0);
  return all === 0 ? 0 : (100 * spent[STEAL_FIELD]!) / all;
}

/** Ticks of all processors together, by field: user, nice, system, idle, ..., steal. */
export function processorTimes(text = readFileSync("/proc/stat", "utf8")): number[] {
  return text
    .split("\n", 1)[0]!
    .trim()
    .split(/\s+/)
    .slice(1, FIELD_COUNT + 1)
    .map(Number);
}
