// `npm run simulate:mutations`: seeds faults into a copy of the compiled engine and core, one at a
// time, and runs the simulator against each. A fault that is not found within RUNS_MAX seeds is a
// hole in the simulator: exit code 1. Prints the table of test/simulation/README.md; progress goes
// to standard error. Ctrl-C ends it and leaves nothing.

import { execFile } from "node:child_process";
import { cpSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { MUTATIONS, type Mutation } from "./mutation-list.js";

const ROOT = fileURLToPath(new URL("../../../", import.meta.url));
const FIRST_SEED = 1;
const RUNS_MAX = 60;
const MINUTES_MAX = 5;
const HELP = `usage: npm run simulate:mutations [-- options]

  --name TEXT    only faults whose name has this in it
  --from N       from the Nth fault of the list on (default 1)
  --to N         up to the Nth (default ${MUTATIONS.length}, the last)

Runs each fault against seeds ${FIRST_SEED} to ${RUNS_MAX} and prints by which it was found, in a
table. Exit code 1 when one was not found.
`;

const { values } = parseArgs({
  options: {
    name: { type: "string", default: "" },
    from: { type: "string", default: "1" },
    to: { type: "string", default: `${MUTATIONS.length}` },
    help: { type: "boolean", default: false },
  },
});
if (values.help) {
  process.stdout.write(HELP);
  process.exit(0);
}
const chosen = MUTATIONS.slice(Number(values.from) - 1, Number(values.to)).filter((mutation) =>
  mutation.name.includes(values.name),
);
if (chosen.length === 0) {
  process.stderr.write("simulate:mutations: no such fault; see --help\n");
  process.exit(2);
}

const aborting = new AbortController();
process.once("SIGINT", () => aborting.abort());
const folder = mkdtempSync(join(tmpdir(), "tongka-mutations-"));
let missed = 0;
try {
  cpSync(join(ROOT, "dist"), join(folder, "dist"), { recursive: true });
  cpSync(join(ROOT, "package.json"), join(folder, "package.json"));
  symlinkSync(join(ROOT, "node_modules"), join(folder, "node_modules"));
  process.stdout.write("| fault | seed | step | found as |\n| --- | --- | --- | --- |\n");
  for (const [i, mutation] of chosen.entries()) {
    process.stderr.write(`${i + 1} of ${chosen.length}: ${mutation.name}\n`);
    const found = await attempt(mutation);
    if (aborting.signal.aborted) break;
    if (found === null) missed++;
    const [seed, step, how] = found ?? ["-", "-", "NOT FOUND"];
    process.stdout.write(`| ${mutation.name} | ${seed} | ${step} | ${how} |\n`);
  }
} finally {
  rmSync(folder, { recursive: true, force: true });
}
if (aborting.signal.aborted) process.exitCode = 130;
else process.exitCode = missed === 0 ? 0 : 1;

/** Seed, step and broken promise, or null when the fault went unnoticed. */
async function attempt(mutation: Mutation): Promise<string[] | null> {
  const path = join(folder, "dist", mutation.file);
  const sound = readFileSync(path, "utf8");
  const count = sound.split(mutation.from).length - 1;
  if (count !== 1) throw new Error(`"${mutation.name}": its text stands ${count} times`);
  writeFileSync(
    path,
    sound.replace(mutation.from, () => mutation.to),
  );
  try {
    const output = await run();
    const found = /^BROKEN seed (\d+) step (\d+): (.*)$/m.exec(output);
    if (found === null) return null;
    const how = found[3]!.replace(/, thrown at .*$/, "").replace(/ \([^()]*\)$/, "");
    return [found[1]!, found[2]!, how.split(/;|: restore/)[0]!.replaceAll(/[0-9a-f]{20,}/g, "...")];
  } finally {
    writeFileSync(path, sound);
  }
}

function run(): Promise<string> {
  const script = join(folder, "dist/test/simulation/simulate.js");
  const args = [script, "--seed", `${FIRST_SEED}`, "--runs", `${RUNS_MAX}`];
  const options = {
    timeout: MINUTES_MAX * 60_000,
    maxBuffer: 1 << 26,
    signal: aborting.signal,
  };
  return new Promise((resolve) => {
    execFile(process.execPath, args, options, (_error, stdout) => resolve(stdout));
  });
}
