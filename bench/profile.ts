// npm run profile -- CASE: runs a case with V8's sampling profiler in all its processes and prints
// where their threads spent their time, by function, self time only.

import { spawn } from "node:child_process";
import { copyFileSync, mkdirSync, readdirSync, readFileSync } from "node:fs";
import { basename, join } from "node:path";
import { parseArgs } from "node:util";
import { CASES } from "./cases.js";
import { makeFolder } from "./folder.js";
import { PROFILE_FOLDER_VARIABLE, PROFILE_INTERVAL_US } from "./profiler.js";
import { UNDER_LOAD } from "./server.js";

const HELP = `usage: npm run profile -- CASE [--scale S] [--top N] [--keep FOLDER]

  CASE           ${CASES.map(({ name }) => name).join(", ")}
  --scale S      shorter and smaller, 0 < S <= 1 (default 0.3)
  --top N        functions of each thread (default 25)
  --keep FOLDER  keep the profiles, for Chrome's developer tools

example
  npm run profile -- wire-single
`;

const LOADED = "server, main thread, under load";
/** Shown for a case that loads no server the usual way. */
const WHOLE = "server, main thread, from its start";
/** A worker that waits for its next task. */
const WAITING = ["(idle)", "atomicsWaitLoop"];

/** What a thread is, by a file that only it loads; null is not shown. */
const THREADS: readonly (readonly [file: string, name: string | null])[] = [
  ["dist/bench/bench.js", null],
  ["dist/bench/host.js", WHOLE],
  ["dist/bench/echo-host.js", "echo"],
  ["dist/bench/plain-host.js", "plain way"],
  ["dist/bench/disturb.js", "administration"],
  ["dist/src/control/plane.js", "server, control worker"],
  ["dist/src/mac-worker.js", "MAC thread"],
  ["dist/bench/case-process.js", "case, load generator"],
];

interface CallFrame {
  functionName: string;
  url: string;
  lineNumber: number;
}

interface CpuProfile {
  nodes: { id: number; callFrame: CallFrame }[];
  samples: number[];
  timeDeltas: number[];
}

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    scale: { type: "string", default: "0.3" },
    top: { type: "string", default: "25" },
    keep: { type: "string" },
    help: { type: "boolean", default: false },
  },
});

const [name] = positionals;
if (values.help) {
  process.stdout.write(HELP);
} else if (positionals.length !== 1 || !CASES.some((each) => each.name === name)) {
  process.stderr.write(`profile: name one case\n\n${HELP}`);
  process.exitCode = 2;
} else {
  const folder = makeFolder();
  process.exitCode = await runProfiled(name!, folder);
  const files = readdirSync(folder).filter((file) => file.endsWith(".cpuprofile"));
  for (const [thread, times] of threadsOf(files.map((file) => join(folder, file)))) {
    process.stdout.write(`${tableOf(thread, times, Number(values.top)).join("\n")}\n`);
  }
  if (values.keep !== undefined) {
    mkdirSync(values.keep, { recursive: true });
    for (const file of files) copyFileSync(join(folder, file), join(values.keep, file));
  }
}

/** Children of the bench take its flags over. */
function runProfiled(caseName: string, folder: string): Promise<number> {
  const flags = [
    "--cpu-prof",
    `--cpu-prof-dir=${folder}`,
    `--cpu-prof-interval=${PROFILE_INTERVAL_US}`,
  ];
  const bench = join(import.meta.dirname, "bench.js");
  const args = [...flags, bench, caseName, "--alone", "--scale", values.scale];
  const env = { ...process.env, [PROFILE_FOLDER_VARIABLE]: folder };
  const child = spawn(process.execPath, args, { stdio: "inherit", env });
  return new Promise((resolve) => child.once("exit", (code) => resolve(code ?? 1)));
}

/** Self time by function, microseconds, of all profiles of the same sort of thread together. */
function threadsOf(paths: readonly string[]): Map<string, Map<string, number>> {
  const threads = new Map<string, Map<string, number>>();
  for (const path of paths) {
    const profile = JSON.parse(readFileSync(path, "utf8")) as CpuProfile;
    const thread = basename(path).startsWith(UNDER_LOAD) ? LOADED : threadName(profile);
    if (thread === null) continue;
    const times = threads.get(thread) ?? new Map<string, number>();
    threads.set(thread, times);
    const names = new Map(profile.nodes.map((node) => [node.id, functionName(node.callFrame)]));
    profile.samples.forEach((id, i) => {
      const function_ = names.get(id)!;
      times.set(function_, (times.get(function_) ?? 0) + profile.timeDeltas[i]!);
    });
  }
  if (threads.has(LOADED)) threads.delete(WHOLE);
  return threads;
}

function threadName({ nodes }: CpuProfile): string | null {
  const urls = nodes.map(({ callFrame }) => callFrame.url);
  const found = THREADS.find(([file]) => urls.some((url) => url.endsWith(file)));
  return found === undefined ? "other threads" : found[1];
}

function functionName({ functionName: name, url, lineNumber }: CallFrame): string {
  const shownName = name === "" ? "(anonymous)" : name;
  if (url === "") return shownName;
  const file = url.replace(/^.*\/(dist|node_modules)\//, "");
  return `${shownName}  ${file}:${lineNumber + 1}`;
}

/** The functions with the most self time; shares are of the time that was not idle. */
function tableOf(thread: string, times: Map<string, number>, top: number): string[] {
  const isIdle = ([name]: [string, number]) => WAITING.includes(name.split("  ")[0]!);
  const rows = [...times].filter((row) => !isIdle(row)).sort((a, b) => b[1] - a[1]);
  const sum = (all: readonly [string, number][]) => all.reduce((total, [, t]) => total + t, 0);
  const busy = sum(rows);
  const idle = sum([...times].filter(isIdle));
  const share = ((100 * busy) / Math.max(busy + idle, 1)).toFixed(0);
  const lines = ["", `${thread}: busy ${(busy / 1000).toFixed(0)} ms, ${share} % of its time`];
  for (const [name, time] of rows.slice(0, top)) {
    const milliseconds = (time / 1000).toFixed(1).padStart(10);
    const part = ((100 * time) / busy).toFixed(1).padStart(6);
    lines.push(`${milliseconds} ms ${part} %  ${name}`);
  }
  return lines;
}
