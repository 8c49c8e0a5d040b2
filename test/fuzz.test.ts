// The fuzzers for a moment each, from a fresh seed, and the canaries, which must fail: one is made
// small, told by name and seed, and fails again from what was told.

import t from "tap";
import { runFuzzer } from "./fuzz/fuzzer.js";
import { CANARY, FUZZERS, SLOW_CANARY } from "./fuzz/registry.js";

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
  t.match(failure[0], /^BROKEN slow-canary: 8 times the input takes \d+ times as long$/);
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
    const { runs, failure } = await runFuzzer(fuzzer, options);
    t.same(failure, [], `${runs} inputs from seed ${SEED}`);
    t.ok(runs > 0);
    total += runs;
  });
}
t.teardown(() => t.comment(`fuzz inputs tried: ${total} (seed ${SEED})`));
