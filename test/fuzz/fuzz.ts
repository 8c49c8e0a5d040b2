// `npm run fuzz`: every fuzzer for some seconds each, or those that are named. One line a fuzzer
// on standard output, progress on standard error; the first broken property ends it with exit
// code 1, its seed, its smallest input and the command that shows it again. Ctrl-C ends it within
// some seconds, with what was tried so far.

import { randomInt } from "node:crypto";
import { parseArgs } from "node:util";
import { type Fuzzer, type FuzzResult, runFuzzer } from "./fuzzer.js";
import { CANARY, FUZZERS, SLOW_CANARY } from "./registry.js";

/** How long one seed is used. */
const SLICE_SECONDS = 5;
const RUNS_MAX = 2 ** 30;
const ALL = [...FUZZERS, CANARY, SLOW_CANARY];
const HELP = `npm run fuzz -- [NAME...] [--seconds S] [--seed N] [--path P]

Tries properties of every decoder on inputs from a seed, S seconds for each (60).
--path goes straight to one input, as a failure told it; with one NAME and its --seed.

${ALL.map(({ name, about }) => `  ${name.padEnd(12)} ${about}`).join("\n")}
`;

function usage(cause: string): never {
  process.stderr.write(`fuzz: ${cause}; see npm run fuzz -- --help\n`);
  process.exit(2);
}

function argumentsOf() {
  try {
    return parseArgs({
      allowPositionals: true,
      options: {
        help: { type: "boolean", default: false },
        seconds: { type: "string", default: "60" },
        seed: { type: "string" },
        path: { type: "string" },
      },
    });
  } catch (error) {
    return usage((error as Error).message.split("\n")[0]!);
  }
}

const { values, positionals } = argumentsOf();
if (values.help) {
  process.stdout.write(HELP);
  process.exit(0);
}
const seed = values.seed === undefined ? randomInt(2 ** 31) : Number(values.seed);
const seconds = Number(values.seconds);
if (!Number.isInteger(seed) || seed < 0 || seed >= 2 ** 32) usage("--seed is 0 to 4294967295");
if (!(seconds > 0)) usage("--seconds is more than 0");
if (values.path !== undefined && positionals.length !== 1) usage("--path goes with one NAME");
const unknown = positionals.find((name) => !ALL.some((fuzzer) => fuzzer.name === name));
if (unknown !== undefined) usage("no such fuzzer");
const chosen: readonly Fuzzer[] =
  positionals.length === 0 ? FUZZERS : ALL.filter(({ name }) => positionals.includes(name));

let stopping = false;
process.once("SIGINT", () => {
  stopping = true;
  process.stderr.write("\nstopping\n");
});
let total = 0;
for (const fuzzer of chosen) {
  if (stopping) break;
  const { runs, growths, failure } = await fuzz(fuzzer);
  total += runs;
  if (failure.length > 0) {
    process.stdout.write(`${failure.join("\n")}\n`);
    process.exit(1);
  }
  const line = { fuzzer: fuzzer.name, seed, inputs: runs, growths, broken: 0 };
  process.stdout.write(`${JSON.stringify(line)}\n`);
}
process.stdout.write(`${JSON.stringify({ fuzzers: chosen.length, inputs: total, broken: 0 })}\n`);
process.exit(stopping ? 130 : 0);

/** One fuzzer for its time, a few seconds from each of one seed after another. */
async function fuzz(fuzzer: Fuzzer): Promise<FuzzResult> {
  const endMs = performance.now() + seconds * 1000;
  let runs = 0;
  let growths = 0;
  for (let slice = 0; ; slice++) {
    const left = (endMs - performance.now()) / 1000;
    if (slice > 0 && (left <= 0 || stopping || values.path !== undefined)) break;
    const sliceSeed = (seed + slice) % 2 ** 32;
    const options = { seed: sliceSeed, seconds: Math.min(left, SLICE_SECONDS), runsMax: RUNS_MAX };
    const result = await runFuzzer(fuzzer, { ...options, path: values.path });
    runs += result.runs;
    growths += result.growths;
    if (result.failure.length > 0) return { runs, growths, failure: result.failure };
    const text = `${fuzzer.name}: seed ${sliceSeed}, ${runs} inputs, ${Math.ceil(left)} s left`;
    process.stderr.write(process.stderr.isTTY ? `\r${text}  ` : `${text}\n`);
  }
  return { runs, growths, failure: [] };
}
