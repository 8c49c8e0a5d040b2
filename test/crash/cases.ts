// The cases of the crash matrix in the order in which they run, and what all of them share.

import type { Random } from "../random.js";
import { seeded } from "../random.js";
import { seededFolder } from "../server-kit.js";
import { type Context, type CrashCase, noTotals, type Settings } from "./case.js";
import type { CaseScope } from "./case-scope.js";
import { FAULT_CASE } from "./fault-case.js";
import { FULL_DISK_CASE } from "./full-disk-case.js";
import { KILL_CASE } from "./kill-case.js";
import { POWER_CUT_CASE } from "./power-cut-case.js";
import { Preload } from "./preload.js";
import { JOURNAL_CASE, ROOT_KEY_CASE } from "./refusal-cases.js";
import { CLOCK_CASE, STOP_CASE } from "./time-cases.js";

export const CASES: readonly CrashCase[] = [
  KILL_CASE,
  POWER_CUT_CASE,
  FAULT_CASE,
  FULL_DISK_CASE,
  ROOT_KEY_CASE,
  JOURNAL_CASE,
  STOP_CASE,
  CLOCK_CASE,
];

/** Hours by which the clock is off, in turn. A day's change at most: two dates are kept. */
export const JUMP_HOURS = [3, -3, 11, -20, 20, 0];

export interface ContextOptions {
  scope: CaseScope;
  seed: number;
  settings: Settings;
  signal: AbortSignal;
  row: Context["row"];
  skip: Context["skip"];
  progress: Context["progress"];
}

/** Builds the library and seeds the folder that every case begins with. */
export async function contextOf(options: ContextOptions): Promise<Context> {
  const { scope, seed } = options;
  const random: Random = seeded(seed);
  const template = await seededFolder(scope);
  const preload = Preload.build(scope);
  return { ...options, random, template, preload, totals: noTotals(), found: [] };
}
