// How the time of a decoder grows with its input. Each fuzzer says one of two things: the works
// that are measured here, or that its input has a fixed size.
//
// A machine that is slow, or busy with others, must not spoil the verdict. So nothing is held
// against a clock: small inputs and a large one, the same size in all, are timed in turn, and the
// middle of several ratios counts. It is 1 where time is in proportion to size, on any machine, and
// FACTOR where it grows with the square.

import { setTimeout } from "node:timers/promises";

export interface GrowingWork {
  /** What grows. */
  what: string;
  /** Of the small input, in whatever unit. */
  size: number;
  /** Makes an input of that size; what it returns is timed, and can be called again and again. */
  prepare(size: number): () => unknown;
  /** What is counted in place of time: where it is most of the cost, or a disk is waited for. */
  count?: () => number;
}

export interface FixedInput {
  /** What its size is: no input can be larger. */
  fixedSize: string;
}

export type Growth = FixedInput | readonly GrowingWork[];

/** How many times as large the large input is. */
export const FACTOR = 16;
/** As far from 1 as from FACTOR. */
const RATIO_MAX = 4;
/**
 * Less, and a cost that is there without any input would hide how the rest grows: where the small
 * input costs a third of it or more, a square of that rest is still seen.
 */
const RATIO_MIN = 1 / 3;
/**
 * Ratios of which the middle one counts, and how often that is tried before it is believed, after a
 * pause each time: a whole attempt may pass while the thread that compiles waits for a core.
 */
const ROUNDS = 5;
const ATTEMPTS = 4;
const PAUSE_MS = 100;
/** Less than that cannot be timed well. */
const SAMPLE_MS_MIN = 0.5;
const CALLS_MAX = 1 << 16;

export type Clock = () => number;

export interface Measured {
  what: string;
  /** Time of the large input by that of as much in small ones. */
  ratio: number;
  /** What is wrong; "" when the time is in proportion to the size. */
  problem: string;
}

/** Milliseconds for which this process, all its threads together, has had a core. */
export function cpuMs(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1000;
}

export function isFixed(growth: Growth): growth is FixedInput {
  return "fixedSize" in growth;
}

export async function measure(
  { what, size, prepare, count }: GrowingWork,
  clock: Clock = count ?? (() => performance.now()),
): Promise<Measured> {
  const small = prepare(size);
  const large = prepare(size * FACTOR);
  await large();
  const calls = await callsOf(small, clock);
  let ratio = 0;
  for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
    if (attempt > 0) await setTimeout(PAUSE_MS);
    ratio = await middleRatio(small, large, calls, clock);
    if (ratio >= RATIO_MIN && ratio <= RATIO_MAX) return { what, ratio, problem: "" };
  }
  const times = (ratio * FACTOR).toFixed(1);
  // Where nothing was counted there is no ratio.
  const blind = !(ratio >= RATIO_MIN) ? ": too small to show how it grows" : "";
  return { what, ratio, problem: `${what}: ${FACTOR} times as much takes ${times} times${blind}` };
}

/** How many large inputs a sample takes, and FACTOR times as many small ones. */
async function callsOf(small: () => unknown, clock: Clock): Promise<number> {
  let calls = 1;
  while (calls < CALLS_MAX && (await timeOf(small, calls * FACTOR, clock)) < SAMPLE_MS_MIN) {
    calls *= 2;
  }
  return calls;
}

async function middleRatio(
  small: () => unknown,
  large: () => unknown,
  calls: number,
  clock: Clock,
): Promise<number> {
  const ratios: number[] = [];
  for (let round = 0; round < ROUNDS; round++) {
    const smallMs = await timeOf(small, calls * FACTOR, clock);
    const largeMs = await timeOf(large, calls, clock);
    ratios.push(largeMs / smallMs);
  }
  return ratios.sort((a, b) => a - b)[ROUNDS >> 1]!;
}

async function timeOf(work: () => unknown, calls: number, clock: Clock): Promise<number> {
  const start = clock();
  for (let i = 0; i < calls; i++) {
    const done = work();
    if (done instanceof Promise) await done;
  }
  return clock() - start;
}
