// The crash matrix in short: kills, power cuts, calls that fail, a full disk; that what is lost
// would be found, and the command itself. `npm run crash` is the whole.

import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import t from "tap";
import { explain } from "../src/cli/explain.js";
import { type Context, noTotals } from "./crash/case.js";
import { CASES } from "./crash/cases.js";
import { FAULT_CASE } from "./crash/fault-case.js";
import { FULL_DISK_CASE } from "./crash/full-disk-case.js";
import { KILL_CASE } from "./crash/kill-case.js";
import { Life } from "./crash/life.js";
import { keyOf } from "./crash/load.js";
import { POWER_CUT_CASE } from "./crash/power-cut-case.js";
import { runShort, shortContext } from "./crash/short.js";
import { TWICE_FAULTS, twiceControl } from "./crash/twice-control.js";
import { plainNode } from "./plain-node.js";
import { until } from "./server-kit.js";
import { ROOT } from "./source-text.js";

const SETTINGS = { rounds: 2, cuts: 11, faults: 3, stopSeconds: [], jumpHours: [] };
const shared = await shortContext(t, SETTINGS);

t.test("kill -9, and a server that counts twice", async (t) => {
  const context = await runShort(t, shared, KILL_CASE);
  t.match(context!.totals, { kills: SETTINGS.rounds, controlsTwice: 1 });
  t.ok(context!.totals.answers > 0 && context!.totals.repeats > 0);
});

t.test("the control that counts twice fails where its server does not", async (t) => {
  const [counted, recorded] = TWICE_FAULTS as [string, string];
  const recordsUnseen = "kill: a server that records repeats was not found out";
  const countsUnseen = "kill: a server that counts twice was not found out";
  const tries: [string[], RegExp, string[]][] = [
    [[], /: 0 uses recorded twice, 0 cards counted twice$/, [recordsUnseen, countsUnseen]],
    [[counted], /: 0 uses recorded twice, [1-9]\d* cards counted twice$/, [recordsUnseen]],
    [[recorded], /: [1-9]\d* uses recorded twice, 0 cards counted twice$/, [countsUnseen]],
  ];
  const tryOne = async ([faults, row, found]: (typeof tries)[number]) => {
    const rows: string[] = [];
    const own = { totals: noTotals(), found: [], row: (text: string) => rows.push(text) };
    const context: Context = { ...shared, ...own };
    await twiceControl(context, faults);
    t.match(rows, [row], faults.join() || "without a fault");
    t.same(context.found, found);
    t.match(context.totals, { controlsTwice: 0, unexpected: found.length });
  };
  await Promise.all(tries.map(tryOne));
});

t.test("power cuts, and a disk that ignores syncs", async (t) => {
  const context = await runShort(t, shared, POWER_CUT_CASE);
  if (context === null) return;
  t.match(context.totals, { cuts: SETTINGS.cuts, controls: 2, controlsLost: 2 });
  t.ok(context.totals.answers > 500 && context.totals.repeats > 10);
});

t.test("calls that fail", async (t) => {
  const context = await runShort(t, shared, FAULT_CASE);
  if (context !== null) t.match(context.totals, { faults: SETTINGS.faults });
});

t.test("a full disk", async (t) => {
  const context = await runShort(t, shared, FULL_DISK_CASE);
  // The second start may be refused, or end when the disk is full again.
  if (context !== null) {
    t.equal(context.totals.faults, 1);
    t.equal(context.totals.restarts + context.totals.refusals, 3);
  }
  const full = Object.assign(new Error("ENOSPC: write"), { code: "ENOSPC", syscall: "write" });
  t.match(explain(full).lines, ["the disk is full: make room and run again"]);
});

t.test("a canary: what is lost or invented is found", async (t) => {
  const life = new Life({ ...shared, totals: noTotals(), found: [] }, "canary");
  const server = await life.start();
  const gone = life.load(server);
  await life.grow(50);
  const [first, second, third] = life.ledger.answered;
  first!.outcome = { ...first!.outcome!, rrn: first!.outcome!.rrn + 1 };
  await life.repeat(server, 1_000_000);
  t.equal(life.context.totals.changed, 1, "a repeat with another answer");
  await server.end("SIGKILL");
  await gone;
  second!.outcome = { ...second!.outcome!, reason: second!.outcome!.reason + 1 };
  life.ledger.asked.delete(keyOf(third!.record));
  const { lost, invented } = await life.judge();
  t.same(lost, [keyOf(first!.record), keyOf(second!.record)]);
  t.same(invented, [keyOf(third!.record)]);
});

t.test("Ctrl-C ends the command and leaves nothing", async (t) => {
  const folder = t.testdir();
  const path = join(ROOT, "dist", "test", "crash", "crash.js");
  const child = spawn(...plainNode([path, "kill", "--rounds", "1000"]), {
    env: { ...process.env, TMPDIR: folder },
    stdio: ["ignore", "ignore", "ignore"],
  });
  t.teardown(() => child.kill("SIGKILL"));
  await until("a server", () => processesWith(folder) > 1);
  child.kill("SIGINT");
  t.same(await once(child, "exit"), [130, null]);
  t.same(readdirSync(folder), []);
  t.equal(processesWith(folder), 0);
});

t.test("the command's own words", async (t) => {
  const path = join(ROOT, "dist", "test", "crash", "crash.js");
  const said = (args: string[]) => spawnSync(...plainNode([path, ...args]), { encoding: "utf8" });
  const help = said(["--help"]);
  t.equal(help.status, 0);
  for (const { name } of CASES) t.match(help.stdout, name);
  t.match(said(["nothing"]), { status: 2, stderr: /no case nothing/ });
  t.match(said(["kill", "--rounds", "x"]), { status: 2, stderr: /numbers are whole/ });
  const none = said(["kill", "--rounds", "0", "--seed", "3", "--json"]);
  t.match(JSON.parse(none.stdout), { seed: 3, kills: 0, lost: 0, unexpected: 0 });
});

/** Processes whose temporary folder is `folder`. */
function processesWith(folder: string): number {
  const own = (pid: string) => {
    try {
      return readFileSync(`/proc/${pid}/environ`, "utf8").includes(`TMPDIR=${folder}\0`);
    } catch {
      return false;
    }
  };
  return readdirSync("/proc").filter((name) => /^[0-9]+$/.test(name) && own(name)).length;
}
