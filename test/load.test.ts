// The load tests, each for a moment: what must hold whatever the machine. The same cases in full,
// with what hangs on the machine: npm run load.

import { readFileSync } from "node:fs";
import { join } from "node:path";
import t from "tap";
import { Admission } from "../src/admission.js";
import { LOAD_CASES, runLoadCase } from "./load/cases.js";
import { ROOT } from "./source-text.js";

const SECONDS: Record<string, number> = {
  overload: 1,
  // In half a second few frames are taken, and the medians that it compares come near each other.
  "overload-single": 2.5,
  connections: 1,
  stall: 1,
  soak: 2,
};
const DEADLINE_MS = 120_000;

for (const loadCase of LOAD_CASES) {
  t.test(`${loadCase.name}: ${loadCase.text}`, { timeout: DEADLINE_MS }, async (t) => {
    const amount = { seconds: SECONDS[loadCase.name]!, short: true };
    const report = await runLoadCase(loadCase, amount, (line) => t.comment(line));
    const certain = report.checks.filter(({ timed }) => !timed);
    t.ok(certain.length >= 3, "it checks something");
    for (const { text, holds } of certain) t.ok(holds, text);
    for (const { name, value } of report.figures) t.ok(Number.isFinite(value), name);
  });
}

t.test("the page names every case", async (t) => {
  const page = readFileSync(join(ROOT, "test", "load", "README.md"), "utf8");
  for (const { name } of LOAD_CASES) t.match(page, new RegExp(`^\\| ${name} `, "m"));
});

const MOST = 65_536;
const ANSWER_MS = 5;

/** Blocks that waited `waitMs` for a while, while the bound was reached or not. */
function blocks(admission: Admission, waitMs: number, fromMs: number, reached: boolean): number {
  let nowMs = fromMs;
  for (; nowMs < fromMs + 1000; nowMs += 10) {
    if (reached) admission.refuses(MOST);
    admission.answered(waitMs, 0, nowMs);
  }
  return nowMs;
}

t.test("admission: late answers lower the bound only when it was reached", async (t) => {
  const admission = new Admission(MOST, ANSWER_MS);
  t.notOk(admission.refuses(10_000), "a burst is taken");
  t.ok(admission.refuses(MOST), "not all that memory has room for");
  const slow = new Admission(MOST, ANSWER_MS);
  blocks(slow, 100, 0, false);
  t.notOk(slow.refuses(10_000), "slow answers alone refuse nobody");
  const nowMs = blocks(admission, 100, 0, true);
  t.ok(admission.refuses(300), "overload does");
  t.notOk(admission.refuses(200), "but some are always taken");
  blocks(admission, 1, nowMs, false);
  t.notOk(admission.refuses(10_000), "and a second later it is over");
});

t.test("admission: a slow disk and a slow moment are no overload", async (t) => {
  const admission = new Admission(MOST, ANSWER_MS);
  for (let nowMs = 0; nowMs < 2000; nowMs += 20) {
    if (nowMs > 1000) admission.refuses(MOST);
    admission.answered(44, 20, nowMs);
  }
  t.notOk(admission.refuses(10_000), "commits take what they take");
  const moment = new Admission(MOST, ANSWER_MS);
  for (let nowMs = 0; nowMs < 1000; nowMs += 10) {
    moment.refuses(MOST);
    moment.answered(nowMs % 50 === 0 ? 100 : 4, 0, nowMs);
  }
  t.notOk(moment.refuses(10_000), "one late block of a few");
});

t.test("admission: never more than memory has room for", async (t) => {
  const admission = new Admission(8, ANSWER_MS);
  blocks(admission, 1, 0, true);
  t.ok(admission.refuses(8));
  t.notOk(admission.refuses(7));
});
