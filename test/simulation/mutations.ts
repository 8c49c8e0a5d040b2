// `npm run simulate:mutations`: seeds faults into a copy of the compiled engine and core, one at a
// time, and runs the simulator against each. A fault that is not found within RUNS_MAX seeds is a
// hole in the simulator: exit code 1. Prints the table of test/simulation/README.md.

import { execFile } from "node:child_process";
import { cpSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { MUTATIONS, type Mutation } from "./mutation-list.js";

const ROOT = fileURLToPath(new URL("../../../", import.meta.url));
const FIRST_SEED = 1;
const RUNS_MAX = 400;
const MINUTES_MAX = 5;

const only = process.argv[2];
const folder = mkdtempSync(join(tmpdir(), "tongka-mutations-"));
let missed = 0;
try {
  cpSync(join(ROOT, "dist"), join(folder, "dist"), { recursive: true });
  cpSync(join(ROOT, "package.json"), join(folder, "package.json"));
  symlinkSync(join(ROOT, "node_modules"), join(folder, "node_modules"));
  process.stdout.write("| fault | seed | step | found as |\n| --- | --- | --- | --- |\n");
  for (const mutation of MUTATIONS) {
    if (only !== undefined && !mutation.name.includes(only)) continue;
    const found = await attempt(mutation);
    if (found === null) missed++;
    const [seed, step, how] = found ?? ["-", "-", "NOT FOUND"];
    process.stdout.write(`| ${mutation.name} | ${seed} | ${step} | ${how} |\n`);
  }
} finally {
  rmSync(folder, { recursive: true, force: true });
}
process.exitCode = missed === 0 ? 0 : 1;

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
  const options = { timeout: MINUTES_MAX * 60_000, maxBuffer: 1 << 26 };
  return new Promise((resolve) => {
    execFile(process.execPath, args, options, (_error, stdout) => resolve(stdout));
  });
}
