// npm run bench [-- CASE ...] [--json] [--scale S]: runs the cases and prints what they measured.

import { arch, cpus, platform, totalmem } from "node:os";
import { parseArgs } from "node:util";
import { buildInfo } from "../src/build-info.js";
import { runWire, WIRE_CASES, type WireResult } from "./wire.js";

const HELP = `usage: npm run bench [-- CASE ...] [--json] [--scale S]

  CASE        ${WIRE_CASES.map((each) => each.name).join(", ")}; all without one
  --json      one JSON object on standard output
  --scale S   shorter runs, 0 < S <= 1 (default 1)

examples
  npm run bench
  npm run bench -- wire-batch --json
`;

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    json: { type: "boolean", default: false },
    scale: { type: "string", default: "1" },
    help: { type: "boolean", default: false },
  },
});

if (values.help) {
  process.stdout.write(HELP);
} else {
  const scale = Number(values.scale);
  const unknown = positionals.filter((name) => !WIRE_CASES.some((each) => each.name === name));
  if (!(scale > 0 && scale <= 1) || unknown.length > 0) {
    const what = unknown.length > 0 ? `no case ${unknown.join(", ")}` : "--scale is not in 0..1";
    process.stderr.write(`bench: ${what}\n\n${HELP}`);
    process.exitCode = 2;
  } else {
    await run(scale);
  }
}

async function run(scale: number): Promise<void> {
  const results: WireResult[] = [];
  const { version, commit } = buildInfo();
  const machine = {
    cpu: cpus()[0]!.model.trim(),
    cores: cpus().length,
    memoryBytes: totalmem(),
    platform: `${platform()} ${arch()}`,
    node: process.version,
  };
  if (!values.json) {
    const { cpu, cores, node } = machine;
    print(`tongka ${version} ${commit.slice(0, 10)} · ${cores} x ${cpu} · Node ${node}`);
  }
  for (const wire of WIRE_CASES) {
    if (positionals.length > 0 && !positionals.includes(wire.name)) continue;
    if (!values.json) print(`\n${wire.name}: ${wire.text}; durable, every MAC checked and made`);
    const result = await runWire(wire, scale);
    results.push(result);
    if (values.json) continue;
    print(
      `  ${count(result.usesPerSecond)} uses/s   server CPU ` +
        `${result.serverCpuMicrosecondsPerUse.toFixed(2)} us a use   ` +
        `(${count(result.uses)} uses in ${result.seconds.toFixed(2)} s)`,
    );
  }
  if (values.json) print(JSON.stringify({ version, commit, machine, scale, results }));
}

function print(line: string): void {
  process.stdout.write(`${line}\n`);
}

function count(value: number): string {
  return Math.round(value).toLocaleString("en-US");
}
