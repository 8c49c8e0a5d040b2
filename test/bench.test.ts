// The bench measures: every case runs, at a tiny scale, and its figures come out as table, JSON,
// page and picture. How large they are is not looked at here.

import { execFile } from "node:child_process";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";
import { build } from "hdr-histogram-js";
import t from "tap";
import { idNumberOf } from "../bench/card-file.js";
import { CASES } from "../bench/cases.js";
import { makeFrames } from "../bench/frames.js";
import { Latencies, quantileBetween } from "../bench/latencies.js";
import { mediansPage, readRuns } from "../bench/medians.js";
import { randomFrom } from "../bench/random.js";
import { reportPage, reportPicture } from "../bench/report.js";
import { type Results, resultsOf } from "../bench/results.js";
import { madeUpKeys } from "../bench/sign-on.js";
import { standStillBeside } from "../bench/stand-still.js";
import { processorTimes, stealBetween } from "../bench/steal.js";
import { caseLines, headLine } from "../bench/table.js";
import { panOf, writeCardBlock } from "../bench/world.js";
import { PAN_BLOCK_SIZE, PAN_KIND_CARD, panValid, writePanBlock } from "../protocol/pan.js";
import { idNumberFault } from "../src/id-number.js";
import { plainNode } from "./plain-node.js";
import { ROOT } from "./source-text.js";

const SCALE = "0.001";
const OUTPUT_SIZE_MAX = 16 * 1024 * 1024;
const SETTINGS = { scale: 1, large: false, alone: false, configuration: {} };
/** Processes of cases at a time. */
const LANES = 2;

/** Under that of a whole file (.taprc). */
const DEADLINE_MS = 280_000;

/** Measurements that each case must have at the least. */
const EXPECTED: Record<string, readonly string[]> = {
  stages: [
    "cipher",
    "decode",
    "tokenize",
    "mac-single",
    "duplicate",
    "decide",
    "apply",
    "journal",
    "encode",
  ],
  core: ["", "allocated"],
  "wire-single": ["", "server-cpu", "echo"],
  "wire-batch": ["", "server-cpu", "echo"],
  http: ["", "server-cpu", "echo", "plain-node"],
  latency: [
    "commit",
    "stood-still",
    "least",
    "capacity",
    "at-50-disturbed-first",
    "at-25",
    "at-50",
    "at-75",
    "at-50-disturbed",
    "apart-capacity",
    "apart-at-50",
  ],
  "mac-pool": ["inline", "threads-1"],
  scale: ["1000/import", "1000/card", "10000/restart", "10000/throughput", "10000/memory"],
  blacklist: ["0/throughput", "1000/effect", "10000/throughput"],
  allocation: ["single/bytes", "single/pause", "batch/bytes"],
};

t.test("cards and holders of the bench are well-formed, and the fast way is the right one", (t) => {
  const fast = Buffer.alloc(PAN_BLOCK_SIZE);
  const slow = Buffer.alloc(PAN_BLOCK_SIZE);
  for (const index of [0, 1, 9, 10, 987_654_321, 99_999_999, 500_000_000_123]) {
    t.ok(panValid(panOf(index)));
    writeCardBlock(fast, 0, index);
    writePanBlock(slow, 0, panOf(index), PAN_KIND_CARD);
    t.same(fast, slow);
    t.equal(idNumberFault(idNumberOf(index)), "");
  }
  const several = Array.from({ length: 5000 }, (_, i) => idNumberOf(i * 4001));
  t.equal(new Set(several).size, several.length, "every index has an ID number of its own");
  t.end();
});

t.test("every case measures", { timeout: DEADLINE_MS }, async (t) => {
  const results = await runAll();
  t.same(
    Object.keys(EXPECTED),
    CASES.map(({ name }) => name),
  );
  for (const { name, text } of CASES) {
    const ofCase = (each: { name: string }) => each.name.split("/")[0] === name;
    const measurements = results.cases.filter(ofCase);
    const skipped = results.skipped.filter(ofCase);
    const names = measurements.map((each) => each.name);
    const expected = [...EXPECTED[name]!, "steal"];
    const missing = expected
      .map((each) => (each === "" ? name : `${name}/${each}`))
      .filter((each) => !names.includes(each));
    t.same(missing, [], name);
    t.equal(new Set(names).size, names.length, `${name} names each figure once`);
    for (const each of measurements) {
      t.ok(Number.isFinite(each.value) && each.unit !== "" && each.text !== "", each.name);
    }
    for (const { why } of skipped) t.match(why, /apt-get install|one processor/);
    t.equal(caseLines(name, text, measurements, skipped)[1], `${name}: ${text}`);
  }
  const compared = results.cases.filter((each) => each.comparedWith !== null);
  for (const { name, ratio, value, comparedWith } of compared) {
    const other = results.cases.find((each) => each.name === comparedWith);
    t.equal(ratio, value / other!.value, `${name} is compared with ${comparedWith}`);
  }
  t.match(headLine(results), /scale 0.001: no figures to quote/);
  t.match(reportPage(results), /<svg .*Uses a second.*Latency by percentile.*<table>/s);
  t.notMatch(reportPage(results) + reportPicture(results), /NaN|undefined|Infinity|<script|https:/);
});

t.test("a terminal is given no more uses than it has STANs", async (t) => {
  const random = randomFrom(1);
  const plan = {
    terminalId: 1,
    businessDate: 20_260_101,
    frameCount: 1,
    recordsPerFrame: 8,
    firstSequence: 1,
    nextCard: () => Math.floor(random() * 10),
  };
  const keys = madeUpKeys();
  t.equal(makeFrames({ ...plan, firstSequence: 124_998 }, keys).count, 1);
  t.throws(
    () => makeFrames({ ...plan, firstSequence: 125_000 }, keys),
    /1000000 uses.*999999 STANs/,
  );
});

t.test("latencies are all counted, asked for in between and at the end", (t) => {
  const latencies = new Latencies();
  // A thousandth of them is late, in each of three parts.
  const part = 50_000;
  for (let p = 1; p <= 3; p++) {
    for (let i = 0; i < part; i++) latencies.recordMs(i % 1000 === 0 ? 20 : 0.1);
    t.equal(latencies.count, p * part, "before it is asked for percentiles");
    t.equal(latencies.at(50), 100);
    t.equal(latencies.at(99.8), 100);
    t.equal(Math.round(latencies.at(100) / 100), 200, "20 ms, to three digits");
    t.equal(latencies.count, p * part, "and after");
  }
  latencies.recordMs(-1);
  t.equal(latencies.percentiles()["50"], 100);
  t.equal(latencies.at(0.0001), 1, "a microsecond at the least");
  t.end();
});

t.test("latencies of every length are counted as finely as the histogram would", (t) => {
  const latencies = new Latencies();
  const histogram = build({
    lowestDiscernibleValue: 1,
    highestTrackableValue: 60_000_000,
    numberOfSignificantValueDigits: 3,
  });
  const random = randomFrom(7);
  const edges = [1, 2 ** 16 - 1, 2 ** 16, 2 ** 16 + 63, 2 ** 22 - 1, 2 ** 22, 60_000_000];
  const lengths = [...edges, ...Array.from({ length: 20_000 }, () => 2 ** (random() * 25.8))];
  for (const length of lengths) {
    latencies.recordMs(length / 1000);
    histogram.recordValue(Math.round(length));
  }
  for (const [percentile, length] of Object.entries(latencies.percentiles())) {
    t.equal(length, histogram.getValueAtPercentile(Number(percentile)), `p${percentile}`);
  }
  latencies.recordMs(3_600_000);
  t.equal(
    latencies.at(100),
    latencies.at(99.999),
    "an hour counts as the minute there is room for",
  );
  t.end();
});

t.test("quantiles between edges are linear, as Prometheus reckons them", async (t) => {
  const edges = Float64Array.of(10, 20, 40);
  for (const [q, expected, counts] of [
    [0.5, 10, [5, 5, 0, 0]],
    [0.25, 5, [5, 5, 0, 0]],
    [0.75, 15, [5, 5, 0, 0]],
    [1, 20, [5, 5, 0, 0]],
    [0.5, 30, [0, 0, 8, 0]],
    [0.95, 39, [0, 0, 20, 0]],
    [0.99, 40, [90, 0, 0, 10]],
    [0.5, 40, [0, 0, 0, 3]],
  ] as const) {
    t.equal(quantileBetween(edges, counts, q), expected, `${q} of ${counts.join(", ")}`);
  }
});

t.test("whether a thread stood still is told of work that is done at once, too", async (t) => {
  const { part, longestMs } = await standStillBeside(async () => {});
  t.ok(part >= 0 && part <= 1, String(part));
  t.ok(longestMs >= 0);
});

t.test("steal is what the host kept of the processors' time", (t) => {
  // Guests' time, behind it, is in user and nice already.
  const before = processorTimes("cpu  100 0 50 800 10 0 0 40 7 0\ncpu0 1 2\n");
  const after = processorTimes("cpu  160 0 60 800 10 0 0 70 9 0\n");
  t.equal(stealBetween(before, after), 30);
  t.equal(stealBetween(before, before), 0);
  t.equal(processorTimes().length, before.length, "and the kernel here has it");
  t.end();
});

t.test("runs are put together by their medians, and only such as belong together", (t) => {
  const folder = t.testdir({ "broken.json": "{" });
  const path = (name: string, value: number, commit = "c0ffee") => {
    const p = { "50": value, "99": 2 * value, "99.9": 3 * value };
    const figure = { name: "one/case", text: "", unit: "us", percentiles: p };
    const cases = [{ ...figure, value, ratio: value / 2, comparedWith: "one/peer" }];
    const results = { ...resultsOf(SETTINGS), commit, cases };
    writeFileSync(join(folder, name), JSON.stringify(results));
    return join(folder, name);
  };
  const paths = [path("a.json", 30), path("b.json", 10), path("c.json", 20)];
  const page = mediansPage(readRuns(paths));
  t.match(page, "| one/case | 20 us | 10 to 30 | 10 x one/peer; p50 20, p99 40, p99.9 60 |");
  const other = path("d.json", 20, "decaf");
  t.throws(() => readRuns([...paths, other]), /not of one commit/);
  t.throws(() => readRuns([join(folder, "broken.json")]), /broken.json holds no results/);
  t.throws(() => readRuns([]), /needs the files/);
  t.end();
});

/** Runs the real command with a part of the cases in each lane; their results as one. */
async function runAll(): Promise<Results> {
  const lanes = await Promise.all(
    Array.from({ length: LANES }, async (_, lane) => {
      const names = CASES.map(({ name }) => name).filter((_, i) => i % LANES === lane);
      const bench = [join(ROOT, "dist", "bench", "bench.js"), ...names, "--json", "--scale", SCALE];
      const { stdout } = await promisify(execFile)(...plainNode(bench), {
        maxBuffer: OUTPUT_SIZE_MAX,
      });
      return JSON.parse(stdout) as Results;
    }),
  );
  const [first] = lanes as [Results, ...Results[]];
  const cases = lanes.flatMap((results) => results.cases);
  const skipped = lanes.flatMap((results) => results.skipped);
  return { ...first, cases, skipped };
}
