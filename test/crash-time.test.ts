// The crash matrix in short: folders that are not as they were, a process that stands still, a
// clock that jumps, a disk that hangs. `npm run crash` is the whole.

import t from "tap";
import { HANG_CASE } from "./crash/fault-case.js";
import { JOURNAL_CASE, ROOT_KEY_CASE } from "./crash/refusal-cases.js";
import { runShort, shortContext } from "./crash/short.js";
import { CLOCK_CASE, STOP_CASE } from "./crash/time-cases.js";

const SETTINGS = { rounds: 0, cuts: 0, faults: 0, stopSeconds: [2.5, 2.5], jumpHours: [5, -5] };
const shared = await shortContext(t, SETTINGS);

t.test("root keys that are not the one", async (t) => {
  t.match((await runShort(t, shared, ROOT_KEY_CASE))!.totals, { refusals: 4, restarts: 2 });
});

t.test("journals that are not the one", async (t) => {
  t.match((await runShort(t, shared, JOURNAL_CASE))!.totals, { refusals: 2, restarts: 2 });
});

t.test("a process that stands still", async (t) => {
  t.match((await runShort(t, shared, STOP_CASE))!.totals, { stops: SETTINGS.stopSeconds.length });
});

t.test("a clock that jumps", async (t) => {
  const context = await runShort(t, shared, CLOCK_CASE);
  if (context !== null) t.match(context.totals, { jumps: SETTINGS.jumpHours.length });
});

t.test("a stop whose checkpoint hangs", async (t) => {
  const context = await runShort(t, shared, HANG_CASE);
  if (context !== null) t.match(context.totals, { faults: 1, cuts: 1, restarts: 2 });
});
