// `npm run simulate -- --seed N --seconds S [--trace]`: runs seed after seed from N on until S
// seconds are over. One line tells how far it is; the first broken promise ends it with exit code
// 1, its seed, its step and a minimal trace. `--seed N --seconds 0` runs that one seed, `--runs R`
// runs R of them. Ctrl-C ends it after the run that goes, with the totals so far.

import { randomInt } from "node:crypto";
import { performance } from "node:perf_hooks";
import { parseArgs } from "node:util";
import { type RunResult, simulate } from "./simulation.js";

const HELP = `usage: npm run simulate [-- options]

  --seed N       first seed (a random one without it)
  --seconds S    seed after seed until S seconds are over (default 60); 0 runs one
  --runs R       as many runs instead
  --trace        print every event

A broken promise ends it with exit code 1, seed, step and a minimal trace. Totals go to standard
output as JSON: uses and crashes for each second, and how often which message, command and fault.
`;

const { values } = parseArgs({
  options: {
    seed: { type: "string" },
    seconds: { type: "string", default: "60" },
    runs: { type: "string" },
    trace: { type: "boolean", default: false },
    help: { type: "boolean", default: false },
  },
});
if (values.help) {
  process.stdout.write(HELP);
  process.exit(0);
}
const first = values.seed === undefined ? randomInt(2 ** 31) : Number(values.seed);
const seconds = Number(values.seconds);
const runsMax = values.runs === undefined ? null : Number(values.runs);
if (!Number.isInteger(first) || first < 0 || first >= 2 ** 32 || !(seconds >= 0)) {
  process.stderr.write("simulate: --seed is 0 to 4294967295, --seconds is 0 and up\n");
  process.exit(2);
}

const started = performance.now();
const total = { runs: 0, uses: 0, answers: 0, repeats: 0, commands: 0, crashes: 0 };
const counted: Record<string, number> = {};
let interrupted = false;
process.once("SIGINT", () => {
  interrupted = true;
});
for (let seed = first; ; seed = (seed + 1) % 2 ** 32) {
  const print = values.trace ? (line: string) => process.stdout.write(`${line}\n`) : null;
  const result = await simulate(seed, print);
  add(result);
  if (result.broken !== "") fail(result);
  progress(seed, elapsed());
  if (interrupted) break;
  if (runsMax === null ? elapsed() >= seconds : total.runs >= runsMax) break;
}
process.stderr.write("\n");
const perSecond = (count: number) => Math.round(count / elapsed());
const speed = { usesPerSecond: perSecond(total.uses), crashesPerSecond: perSecond(total.crashes) };
const sorted = Object.fromEntries(Object.entries(counted).sort(([a], [b]) => (a < b ? -1 : 1)));
const totals = { first, ...total, seconds: Math.round(elapsed()), ...speed, counted: sorted };
process.stdout.write(`${JSON.stringify({ ...totals, broken: 0 })}\n`);

function elapsed(): number {
  return (performance.now() - started) / 1000;
}

function add(result: RunResult): void {
  total.runs++;
  total.uses += result.uses;
  total.answers += result.answers;
  total.repeats += result.repeats;
  total.commands += result.commands;
  total.crashes += result.crashes;
  for (const [name, count] of Object.entries(result.counted)) {
    counted[name] = (counted[name] ?? 0) + count;
  }
}

function progress(seed: number, seconds: number): void {
  const rate = (count: number) => Math.round(count / seconds).toLocaleString("en");
  const text =
    `seed ${seed}: ${total.runs} runs, ${total.uses} events (${rate(total.uses)}/s), ` +
    `${total.crashes} crashes (${rate(total.crashes)}/s), nothing broken`;
  process.stderr.write(process.stderr.isTTY ? `\r${text}` : `${text}\n`);
}

function fail(result: RunResult): never {
  const lines = [
    `BROKEN seed ${result.seed} step ${result.step}: ${result.broken}`,
    ...result.trace,
    `again: npm run simulate -- --seed ${result.seed} --seconds 0`,
  ];
  process.stdout.write(`\n${lines.join("\n")}\n`);
  process.exit(1);
}
