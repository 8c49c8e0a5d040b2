// The fuzzers for a moment each, from a fresh seed, and the canaries, which must fail: one is made
// small, told by name and seed, and fails again from what was told.

import t from "tap";
import { runFuzzer } from "./fuzz/fuzzer.js";
import { isFixed, measure } from "./fuzz/growth.js";
import { CANARY, FUZZERS, SLOW_CANARY } from "./fuzz/registry.js";
import { seeded } from "./random.js";

const SEED = Number(process.env.SEED ?? Date.now() % 2 ** 31);
const SECONDS = 0.8;
const RUNS_MAX = 1000;

t.test(
  "canary: a broken property is seen, made small, and told with how to see it again",
  async (t) => {
    const options = { seed: SEED, seconds: 5, runsMax: 10_000 };
    const { failure } = await runFuzzer(CANARY, options);
    t.match(failure[0], new RegExp(`^BROKEN canary, property 0, seed ${SEED}: what is written`));
    t.match(failure[1], /^input: \[Uint8Array\.from\(\[(0,)*42(,0)*\]\)\]$/, "a small input");
    const again = /--seed (\d+) --path (\S+)$/.exec(failure[2]!)!;
    const path = again[2]!;
    const shown = await runFuzzer(CANARY, { ...options, seed: Number(again[1]), path });
    t.equal(shown.failure[1], failure[1], "the same input from what was told");
    t.equal(shown.runs, 1, "at once");
  },
);

t.test("canary: work that grows with the square is seen", async (t) => {
  const { failure } = await runFuzzer(SLOW_CANARY, { seed: SEED, seconds: 1, runsMax: 1 });
  t.match(failure[0], /^BROKEN slow-canary: pairs: 16 times as much takes \d+\.\d times$/);
});

/** Work of so many steps for an input, on a machine that becomes slower and stands still often. */
async function measuredBeside(steps: (size: number) => number) {
  const random = seeded(SEED);
  let nowMs = 0;
  let stepMs = 1e-4;
  const prepare = (size: number) => () => {
    stepMs *= 1.002;
    nowMs += steps(size) * stepMs;
    if (random.below(500) === 0) nowMs += 50;
  };
  return measure({ what: "steps", size: 100, prepare }, () => nowMs);
}

t.test("a machine that is slow or busy does not change what is seen of growth", async (t) => {
  t.match(await measuredBeside((size) => size), { problem: "" });
  t.match(await measuredBeside((size) => 100 + size), { problem: "" });
  const square = await measuredBeside((size) => size * size);
  t.match(square.problem, /^steps: 16 times as much takes \d+\.\d times$/);
  const mixed = await measuredBeside((size) => 200 + size + (size * size) / 100);
  t.match(mixed.problem, /^steps: 16 times/, "a square is seen behind what is there anyway");
  const blind = await measuredBeside((size) => 1000 + size);
  t.match(blind.problem, /too small to show how it grows$/);
});

t.test("every fuzzer measures how time grows, or says that its input cannot", async (t) => {
  for (const { name, growth } of FUZZERS) {
    if (isFixed(growth)) t.match(growth.fixedSize, /^\d+ (or \d+ )?bytes/, name);
    else t.ok(growth.length > 0, name);
  }
  const works = FUZZERS.flatMap(({ growth }) => (isFixed(growth) ? [] : growth));
  t.comment(`works measured: ${works.length}`);
});

t.test("names are given once", async (t) => {
  const names = [...FUZZERS, CANARY, SLOW_CANARY].map(({ name }) => name);
  t.equal(new Set(names).size, names.length);
  t.ok(FUZZERS.length >= 15, `${FUZZERS.length} fuzzers`);
});

let total = 0;
for (const fuzzer of FUZZERS) {
  t.test(`${fuzzer.name}: ${fuzzer.about}`, async (t) => {
    const options = { seed: SEED, seconds: SECONDS, runsMax: RUNS_MAX };
    const { runs, growths, failure } = await runFuzzer(fuzzer, options);
    t.same(failure, [], `${runs} inputs from seed ${SEED}`);
    t.ok(runs > 0);
    t.equal(growths, isFixed(fuzzer.growth) ? 0 : fuzzer.growth.length, "works measured");
    total += runs;
  });
}
t.teardown(() => t.comment(`fuzz inputs tried: ${total} (seed ${SEED})`));
