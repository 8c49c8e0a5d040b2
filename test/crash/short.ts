// A short version of the cases for `npm test`: one library and one seeded folder for all cases of a
// file, a fresh seed unless SEED gives one.

import { randomInt } from "node:crypto";
import type { Test } from "tap";
import { type Context, type CrashCase, noTotals, type Settings } from "./case.js";
import { CaseScope } from "./case-scope.js";
import { contextOf } from "./cases.js";

const SEED = Number(process.env["SEED"] ?? randomInt(2 ** 31));

/** What the cases of a test file share. */
export function shortContext(t: Test, settings: Settings): Promise<Context> {
  const scope = new CaseScope();
  t.teardown(() => scope.end());
  return contextOf({
    scope,
    seed: SEED,
    settings,
    signal: new AbortController().signal,
    row: () => {},
    skip: () => {},
    progress: () => {},
  });
}

/** Runs a case; returns what it did, having held that it found nothing; null it was skipped. */
export async function runShort(
  t: Test,
  shared: Context,
  { name, run }: CrashCase,
): Promise<Context | null> {
  let skipped = "";
  const row = (text: string) => t.comment(text);
  const skip = (text: string) => {
    skipped = text;
  };
  const context = { ...shared, totals: noTotals(), found: [], row, skip };
  await run(context);
  const { lost, invented, countedTwice, changed, unexpected } = context.totals;
  const found = { lost, invented, countedTwice, changed, unexpected };
  const none = { lost: 0, invented: 0, countedTwice: 0, changed: 0, unexpected: 0 };
  t.same(found, none, `again: SEED=${SEED}, or npm run crash -- ${name} --seed ${SEED}`);
  t.same(context.found, []);
  if (skipped === "") return context;
  t.pass(skipped, { skip: skipped });
  return null;
}
