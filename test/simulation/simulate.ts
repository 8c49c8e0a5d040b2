// `npm run simulate -- --seed N --seconds S [--trace]`: runs seed after seed from N on until S
// seconds are over. One line tells how far it is; the first broken promise ends it with exit code
// 1, its seed, its step and a minimal trace. `--seed N --seconds 0` runs that one seed, `--runs R`
// runs R of them.

import { randomInt } from "node:crypto";
import { performance } from "node:perf_hooks";
import { parseArgs } from "node:util";
import { type RunResult, simulate } from "./simulation.js";

const { values } = parseArgs({
  options: {
    seed: { type: "string" },
    seconds: { type: "string", default: "60" },
    runs: { type: "string" },
    trace: { type: "boolean", default: false },
  },
});
const first = values.seed === undefined ? randomInt(2 ** 31) : Number(values.seed);
const seconds = Number(values.seconds);
const runsMax = values.runs === undefined ? null : Number(values.runs);
if (!Number.isInteger(first) || first < 0 || first >= 2 ** 32 || !(seconds >= 0)) {
  process.stderr.write("simulate: --seed is 0 to 4294967295, --seconds is 0 and up\n");
  process.exit(2);
}

const started = performance.now();
const total = { runs: 0, uses: 0, answers: 0, repeats: 0, commands: 0, crashes: 0 };
for (let seed = first; ; seed = (seed + 1) % 2 ** 32) {
  const print = values.trace ? (line: string) => process.stdout.write(`${line}\n`) : null;
  const result = await simulate(seed, print);
  total.runs++;
  total.uses += result.uses;
  total.answers += result.answers;
  total.repeats += result.repeats;
  total.commands += result.commands;
  total.crashes += result.crashes;
  if (result.broken !== "") fail(result);
  const elapsed = (performance.now() - started) / 1000;
  progress(seed, elapsed);
  if (runsMax === null ? elapsed >= seconds : total.runs >= runsMax) break;
}
process.stderr.write("\n");
process.stdout.write(`${JSON.stringify({ first, ...total, broken: 0 })}\n`);

function progress(seed: number, elapsed: number): void {
  const rate = (count: number) => Math.round(count / elapsed).toLocaleString("en");
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
