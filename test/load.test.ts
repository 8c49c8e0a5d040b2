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
  "overload-apart": 1,
  connections: 1,
  stall: 1,
  restart: 1,
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
const BLOCK_MS = 10;

/** What blocks of some time look like. */
interface Blocks {
  waitMs: number;
  commitMs?: number;
  /** Of the time of each, what the core had nothing to do. */
  idleMs?: number;
  /** Whether the bound was reached meanwhile. */
  reached: boolean;
}

/** An admission and its clocks. */
class Driven extends Admission {
  private nowMs = 0;
  private idleMs = 0;

  constructor(most = MOST) {
    super(most, ANSWER_MS);
  }

  /** Blocks for `forMs`, one every `blockMs`. */
  see(each: Blocks, forMs = 1000, blockMs = BLOCK_MS): void {
    for (const end = this.nowMs + forMs; this.nowMs < end; this.nowMs += blockMs) {
      if (each.reached) this.refuses(MOST);
      this.idleMs += each.idleMs ?? 0;
      const { waitMs, commitMs = 0.5 } = each;
      this.answered({ waitMs, commitMs, idleMs: this.idleMs }, this.nowMs);
    }
  }
}

t.test("admission: late answers lower the bound only when it was reached", async (t) => {
  const admission = new Driven();
  t.notOk(admission.refuses(8000), "a burst is taken");
  t.ok(admission.refuses(MOST), "not all that memory has room for");
  const slow = new Driven();
  slow.see({ waitMs: 100, reached: false });
  t.notOk(slow.refuses(8000), "slow answers alone refuse nobody");
  admission.see({ waitMs: 100, reached: true });
  t.ok(admission.refuses(300), "overload does");
  t.notOk(admission.refuses(60), "but some are always taken");
  admission.see({ waitMs: 1, reached: false });
  t.notOk(admission.refuses(8000), "and a second later it is over");
});

t.test("admission: most blocks of a moment tell, not the soonest one", async (t) => {
  const mixed = (most: number, one: number) => {
    const admission = new Driven();
    for (let i = 0; i < 100; i++) {
      admission.see({ waitMs: i % 5 === 0 ? one : most, reached: true }, BLOCK_MS);
    }
    return admission;
  };
  t.ok(mixed(20, 1).refuses(300), "one block in time of a few");
  t.notOk(mixed(4, 100).refuses(8000), "one late block of a few");
});

t.test("admission: a block that waited for less than two commits tells nothing more", async (t) => {
  const admission = new Driven();
  admission.see({ waitMs: 20, reached: true }, 40);
  admission.see({ waitMs: 0.7, reached: true }, BLOCK_MS);
  admission.see({ waitMs: 20, reached: true }, BLOCK_MS);
  t.ok(admission.refuses(6000), "most were late");
  t.notOk(admission.refuses(5000), "but it falls by a part, not to the least");
});

t.test("admission: what was not asked for does not raise the bound", async (t) => {
  const quiet = new Driven();
  quiet.see({ waitMs: 1, reached: false });
  t.ok(quiet.refuses(20_000), "quick answers to few say nothing of many");
  const busy = new Driven();
  busy.see({ waitMs: 1, reached: true });
  t.notOk(busy.refuses(20_000), "quick answers at the bound do");
});

t.test("admission: a slow disk is no overload", async (t) => {
  const slow: Blocks = { waitMs: 44, commitMs: 20, reached: true };
  const admission = new Driven();
  admission.see({ ...slow, reached: false });
  admission.see(slow);
  t.notOk(admission.refuses(8000), "commits take what they take");
  const late = new Driven();
  late.see({ waitMs: 100, reached: true });
  t.ok(late.refuses(300));
  late.see({ ...slow, waitMs: 42 });
  t.notOk(late.refuses(8000), "nor a disk that grew slow under overload");
});

t.test("admission: a core with time to spare refuses nobody for being late", async (t) => {
  const admission = new Driven();
  admission.see({ waitMs: 100, idleMs: 3, reached: true });
  t.notOk(admission.refuses(8000));
});

t.test("admission: when the core has time to spare again, it is soon as it was", async (t) => {
  const admission = new Driven();
  admission.see({ waitMs: 100, reached: true });
  admission.see({ waitMs: 1, idleMs: 8, reached: false }, 300);
  t.notOk(admission.refuses(8000));
  const busy = new Driven();
  busy.see({ waitMs: 100, reached: true });
  busy.see({ waitMs: 1, idleMs: 0, reached: false }, 300);
  t.ok(busy.refuses(8000), "a core that is busy is not asked for so much at once");
});

t.test("admission: blocks longer than a moment lower the bound, too", async (t) => {
  const admission = new Driven();
  admission.see({ waitMs: 150, reached: true }, 900, 150);
  t.ok(admission.refuses(300));
});

t.test("admission: never more than memory has room for", async (t) => {
  const admission = new Driven(8);
  admission.see({ waitMs: 1, reached: true });
  t.ok(admission.refuses(8));
  t.notOk(admission.refuses(7));
});
