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
/** A commit beside a core that works all the while. */
const BUSY = { commitMs: 0.5, idleMs: 0 };

/** What blocks of some time look like, and whether the bound was reached meanwhile. */
interface Blocks {
  waitMs: number;
  commitMs?: number;
  /** Of each commit, what the core had nothing to do. */
  idleMs?: number;
  reached: boolean;
}

/** A second of blocks, one every 10 ms. */
function blocks(admission: Admission, fromMs: number, each: Blocks, forMs = 1000): number {
  const { waitMs, commitMs = 0.5, idleMs = 0, reached } = each;
  let nowMs = fromMs;
  for (; nowMs < fromMs + forMs; nowMs += 10) {
    if (reached) admission.refuses(MOST);
    admission.answered(waitMs, { commitMs, idleMs }, nowMs);
  }
  return nowMs;
}

t.test("admission: late answers lower the bound only when it was reached", async (t) => {
  const admission = new Admission(MOST, ANSWER_MS);
  t.notOk(admission.refuses(8000), "a burst is taken");
  t.ok(admission.refuses(MOST), "not all that memory has room for");
  const slow = new Admission(MOST, ANSWER_MS);
  blocks(slow, 0, { waitMs: 100, reached: false });
  t.notOk(slow.refuses(8000), "slow answers alone refuse nobody");
  const nowMs = blocks(admission, 0, { waitMs: 100, reached: true });
  t.ok(admission.refuses(300), "overload does");
  t.notOk(admission.refuses(60), "but some are always taken");
  blocks(admission, nowMs, { waitMs: 1, reached: false });
  t.notOk(admission.refuses(8000), "and a second later it is over");
});

t.test("admission: most blocks of a moment tell, not the soonest one", async (t) => {
  const admission = new Admission(MOST, ANSWER_MS);
  for (let nowMs = 0; nowMs < 1000; nowMs += 10) {
    admission.refuses(MOST);
    admission.answered(nowMs % 50 === 0 ? 1 : 20, BUSY, nowMs);
  }
  t.ok(admission.refuses(300), "one block in time of a few");
  const moment = new Admission(MOST, ANSWER_MS);
  for (let nowMs = 0; nowMs < 1000; nowMs += 10) {
    moment.refuses(MOST);
    moment.answered(nowMs % 50 === 0 ? 100 : 4, BUSY, nowMs);
  }
  t.notOk(moment.refuses(8000), "one late block of a few");
});

t.test("admission: what was not asked for does not raise the bound", async (t) => {
  const quiet = new Admission(MOST, ANSWER_MS);
  blocks(quiet, 0, { waitMs: 1, reached: false });
  t.ok(quiet.refuses(20_000), "quick answers to few say nothing of many");
  const busy = new Admission(MOST, ANSWER_MS);
  blocks(busy, 0, { waitMs: 1, reached: true });
  t.notOk(busy.refuses(20_000), "quick answers at the bound do");
});

t.test("admission: a slow disk is no overload", async (t) => {
  const slow: Blocks = { waitMs: 44, commitMs: 20, idleMs: 8, reached: false };
  const admission = new Admission(MOST, ANSWER_MS);
  const nowMs = blocks(admission, 0, slow);
  blocks(admission, nowMs, { ...slow, reached: true });
  t.notOk(admission.refuses(8000), "commits take what they take");
  const late = new Admission(MOST, ANSWER_MS);
  const thenMs = blocks(late, 0, { waitMs: 100, reached: true });
  t.ok(late.refuses(300));
  blocks(late, thenMs, { ...slow, reached: true });
  t.notOk(late.refuses(8000), "nor a disk that grew slow under overload");
});

t.test("admission: a busy core does not take its own lateness for the disk's", async (t) => {
  const admission = new Admission(MOST, ANSWER_MS);
  const nowMs = blocks(admission, 0, { waitMs: 12, commitMs: 4, reached: false });
  blocks(admission, nowMs, { waitMs: 12, commitMs: 4, reached: true });
  t.ok(admission.refuses(300), "commits that it learns of late are not slow");
});

t.test("admission: what a frame waited before it was taken counts", async (t) => {
  const turns = (admission: Admission, turnMs: number, idleMs: number) => {
    for (let i = 1; i <= 100; i++) {
      admission.refuses(MOST);
      admission.began(i * turnMs, i * idleMs);
      admission.answered(2, BUSY, i * turnMs + 2);
    }
  };
  const long = new Admission(MOST, ANSWER_MS);
  turns(long, 20, 0);
  t.ok(long.refuses(300), "answers soon after long turns of the event loop are late");
  const idle = new Admission(MOST, ANSWER_MS);
  turns(idle, 20, 19);
  t.notOk(idle.refuses(8000), "what the core had nothing to do is no turn");
});

t.test("admission: when the core has time to spare again, it is soon as it was", async (t) => {
  const rest: Blocks = { waitMs: 1, idleMs: 8, reached: false };
  const admission = new Admission(MOST, ANSWER_MS);
  const nowMs = blocks(admission, 0, { waitMs: 100, reached: true });
  blocks(admission, nowMs, rest, 300);
  t.notOk(admission.refuses(8000));
  const busy = new Admission(MOST, ANSWER_MS);
  blocks(busy, 0, { waitMs: 100, reached: true });
  blocks(busy, nowMs, { ...rest, idleMs: 0 }, 300);
  t.ok(busy.refuses(8000), "a core that is busy is not asked for so much at once");
});

t.test("admission: blocks longer than a moment lower the bound, too", async (t) => {
  const admission = new Admission(MOST, ANSWER_MS);
  for (let i = 1; i <= 6; i++) {
    admission.refuses(MOST);
    admission.answered(150, BUSY, i * 150);
  }
  t.ok(admission.refuses(300));
});

t.test("admission: never more than memory has room for", async (t) => {
  const admission = new Admission(8, ANSWER_MS);
  blocks(admission, 0, { waitMs: 1, reached: true });
  t.ok(admission.refuses(8));
  t.notOk(admission.refuses(7));
});
