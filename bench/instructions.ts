// npm run instructions: how many instructions of the processor a use takes in the engine, by
// function. valgrind counts them, so the figure is the same on a slow machine and a busy one, where
// a time is not. Two runs that differ in the uses they decide are subtracted: start and compilation
// are in both.

import { spawn } from "node:child_process";
import { readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { EngineWorld } from "./engine-world.js";
import { makeFolder } from "./folder.js";
import { randomFrom, SEED } from "./random.js";

const HELP = `usage: npm run instructions

  Counts with valgrind (apt-get install valgrind) what a use takes from Engine.use on, cards
  looked up and block sealed, over 1000 cards. Takes two minutes.

example
  npm run -s instructions
`;

const CARDS = 1000;
const USES_PER_ROUND = 25_600;
/** After so many rounds all of the way is compiled. */
const ROUNDS_BEFORE = 20;
const ROUNDS = 28;
/** Functions of fewer are left out. */
const SHOWN_MIN = 5;

const [word] = process.argv.slice(2);
if (word === undefined) await count();
else if (/^[0-9]+$/.test(word)) await work(Number(word));
else process.stdout.write(HELP);

async function count(): Promise<void> {
  process.stderr.write("instructions: two runs under valgrind, two minutes or so\n");
  const folder = makeFolder();
  const [before, all] = await Promise.all([ROUNDS_BEFORE, ROUNDS].map((n) => counted(n, folder)));
  const uses = (ROUNDS - ROUNDS_BEFORE) * USES_PER_ROUND;
  const rows = [...all!].map(([name, n]) => [name, (n - (before!.get(name) ?? 0)) / uses] as const);
  const total = rows.reduce((sum, [, n]) => sum + n, 0);
  process.stdout.write(`${Math.round(total).toLocaleString("en")} instructions a use\n`);
  for (const [name, n] of rows.sort((a, b) => b[1] - a[1])) {
    if (n >= SHOWN_MIN) process.stdout.write(`${n.toFixed(0).padStart(8)}  ${name}\n`);
  }
}

/** Decides the uses of `rounds`; makes those of all. */
async function work(rounds: number): Promise<void> {
  const world = await EngineWorld.make(CARDS, USES_PER_ROUND * ROUNDS);
  const random = randomFrom(SEED);
  for (let round = 0; round < ROUNDS; round++) {
    const uses = world.makeUses(USES_PER_ROUND, () => Math.floor(random() * CARDS));
    if (round >= rounds) continue;
    world.open();
    world.decideAll(uses);
    world.seal();
  }
}

/** Instructions by function of a process that decides so many rounds. */
async function counted(rounds: number, folder: string): Promise<Map<string, number>> {
  const out = join(folder, `callgrind.${rounds}`);
  const flags = ["--tool=callgrind", `--callgrind-out-file=${out}`, process.execPath];
  // One thread: the compiler's turns are the same in both runs. The map names what it made.
  const node = ["--single-threaded", "--perf-basic-prof", import.meta.filename, String(rounds)];
  const child = spawn("valgrind", [...flags, ...node], { stdio: "ignore" });
  const code = await new Promise((resolve, reject) => {
    child.once("error", () => reject(new Error("valgrind is not here: apt-get install valgrind")));
    child.once("exit", resolve);
  });
  if (code !== 0) throw new Error(`valgrind ended with ${code}`);
  const map = `/tmp/perf-${child.pid}.map`;
  const compiled = namesIn(readFileSync(map, "utf8"));
  rmSync(map);
  return costsIn(readFileSync(out, "utf8"), compiled);
}

interface Compiled {
  start: number;
  end: number;
  name: string;
}

/** What V8 compiled, the last at an address last: a line is start, size and name. */
function namesIn(map: string): Compiled[] {
  return map.split("\n").flatMap((line) => {
    const [start, size, ...rest] = line.split(" ");
    if (rest.length === 0) return [];
    const from = Number.parseInt(start!, 16);
    const name = rest.join(" ").replace(/file:\/\/\S*\/dist\//, "");
    return [{ start: from, end: from + Number.parseInt(size!, 16), name }];
  });
}

/** Self cost by function of a callgrind profile (valgrind, "Callgrind Format Specification"). */
function costsIn(profile: string, compiled: readonly Compiled[]): Map<string, number> {
  const costs = new Map<string, number>();
  const names = new Map<string, string>();
  let current = "";
  let called = false;
  for (const line of profile.split("\n")) {
    const named = /^(c?fn)=\((\d+)\)(?: (.*))?$/.exec(line);
    if (named !== null) {
      const [, key, id, text] = named;
      if (text !== undefined) names.set(id!, nameOf(text, compiled));
      if (key === "fn") current = names.get(id!)!;
    } else if (line.startsWith("calls=")) {
      called = true;
    } else if (/^[+*\d-]/.test(line)) {
      // The line behind a call tells what was spent there, which is told there as well.
      if (!called) costs.set(current, (costs.get(current) ?? 0) + Number(line.split(" ").at(-1)));
      called = false;
    }
  }
  return costs;
}

function nameOf(text: string, compiled: readonly Compiled[]): string {
  if (!text.startsWith("0x")) return text;
  const address = Number.parseInt(text, 16);
  return compiled.findLast(({ start, end }) => start <= address && address < end)?.name ?? text;
}
