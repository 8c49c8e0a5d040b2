// `npm run crash`: the crash matrix on real servers, real disks and real signals.

import { randomInt } from "node:crypto";
import { parseArgs } from "node:util";
import { Output } from "../../src/cli/output.js";
import { type Progress, startProgress } from "../../src/cli/progress.js";
import type { Context, Settings } from "./case.js";
import { CaseScope } from "./case-scope.js";
import { CASES, contextOf, JUMP_HOURS } from "./cases.js";
import { FAULT_ROWS } from "./fault-case.js";

const INTERRUPTED = 130;
const SEED_MAX = 2 ** 32;
const STOP_SECONDS = "30,60";

const HELP = `usage: npm run crash [-- CASE ... [options]]

${CASES.map(({ name, text }) => `  ${name.padEnd(17)}${text}`).join("\n")}

  --seed N         chance comes from it (default: a fresh one, printed)
  --rounds N       kills of kill (default 200)
  --cuts N         power cuts of power-cut (default 200)
  --faults N       faults of faults, from the top of its list on (default all ${FAULT_ROWS})
  --stop-seconds S seconds of stop, in turn (default ${STOP_SECONDS})
  --json           the totals as one JSON object on standard output
  --help           this text

Exit codes: 0 nothing was found, 1 something was, 2 wrong usage, 130 Ctrl-C.

examples
  npm run crash
  npm run crash -- kill --rounds 1000 --seed 7
  npm run crash -- power-cut faults --json
`;

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    seed: { type: "string" },
    rounds: { type: "string", default: "200" },
    cuts: { type: "string", default: "200" },
    faults: { type: "string", default: String(FAULT_ROWS) },
    "stop-seconds": { type: "string", default: STOP_SECONDS },
    json: { type: "boolean", default: false },
    help: { type: "boolean", default: false },
  },
});

const seed = values.seed === undefined ? randomInt(SEED_MAX) : Number(values.seed);
const settings: Settings = {
  rounds: Number(values.rounds),
  cuts: Number(values.cuts),
  faults: Number(values.faults),
  stopSeconds: values["stop-seconds"].split(",").map(Number),
  jumpHours: JUMP_HOURS,
};
const chosen = CASES.filter(({ name }) => positionals.length === 0 || positionals.includes(name));
const problem = usageProblem();
if (values.help) process.stdout.write(HELP);
else if (problem !== "") {
  process.stderr.write(`crash: ${problem}\n\n${HELP}`);
  process.exitCode = 2;
} else await crash();

function usageProblem(): string {
  const unknown = positionals.filter((name) => !CASES.some((each) => each.name === name));
  if (unknown.length > 0) return `no case ${unknown.join(", ")}`;
  const { rounds, cuts, faults, stopSeconds } = settings;
  const counts = [seed, rounds, cuts, faults, ...stopSeconds];
  const bad = counts.some((count) => !Number.isInteger(count) || count < 0 || count >= SEED_MAX);
  return bad ? "numbers are whole and from 0 to 4294967295" : "";
}

async function crash(): Promise<void> {
  const scope = new CaseScope();
  const interruption = new AbortController();
  for (const signal of ["SIGINT", "SIGTERM"] as const) {
    process.once(signal, () => {
      interruption.abort();
      void scope.end().then(() => process.exit(INTERRUPTED));
    });
  }
  const output = new Output(process.stdout, process.stderr);
  let bar: Progress | null = null;
  let running = "";
  const say = (text: string) => (values.json ? output.message(text) : output.text(text));
  output.message(`seed ${seed}`);
  const context = await contextOf({
    scope,
    seed,
    settings,
    signal: interruption.signal,
    row: (text) => {
      bar?.stop();
      bar = null;
      say(`${running}: ${text}`);
    },
    skip: (text) => say(`${running}: SKIPPED: ${text}`),
    progress: (done, total) => {
      bar ??= startProgress(running, total, output);
      bar.update(done);
    },
  });
  try {
    for (const { name, run } of chosen) {
      running = name;
      await run(context);
      bar = stopped(bar);
    }
  } catch (error) {
    if (interruption.signal.aborted) return;
    context.found.push(`${running}: ${(error as Error).stack}`);
    context.totals.unexpected++;
  }
  stopped(bar);
  await scope.end();
  finish(context, output);
}

function stopped(bar: Progress | null): null {
  bar?.stop();
  return null;
}

function finish({ totals, found }: Context, output: Output): void {
  if (values.json) output.jsonLine({ seed, ...totals });
  else output.fields(Object.entries({ seed, ...totals }));
  for (const text of found) output.message(`FOUND ${text}`);
  if (found.length === 0) return;
  output.message(`crash: again with: npm run crash -- ${positionals.join(" ")} --seed ${seed}`);
  process.exitCode = 1;
}
