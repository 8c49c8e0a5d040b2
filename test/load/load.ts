// npm run load [-- CASE ...]: the load tests in full. Says what it does on standard error, prints
// figures and checks, and ends with 1 when a check does not hold. Ctrl-C ends it and its processes.

import { parseArgs } from "node:util";
import { shown } from "../../bench/case.js";
import { LOAD_CASES, runLoadCase } from "./cases.js";
import type { Report } from "./report.js";

const HELP = `usage: npm run load [-- CASE ... [options]]

${LOAD_CASES.map(({ name, text }) => `  ${name.padEnd(18)}${text}`).join("\n")}

  --seconds S    of load instead of each case's own (overload 60, stall 5, restart 3, soak 600)
  --json         one JSON object on standard output

A minute of overload of a server that does 800,000 uses/s needs some 15 GB, for frames offered and
uses remembered (--seconds 20: a third); 10,000 connections need as many open files (ulimit -n).
Wants the machine for itself: the load takes one core, the server one.

examples
  npm run load
  npm run load -- overload --seconds 10
  npm run load -- soak --seconds 60 --json
`;

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    seconds: { type: "string" },
    json: { type: "boolean", default: false },
    help: { type: "boolean", default: false },
  },
});

const seconds = values.seconds === undefined ? null : Number(values.seconds);
const unknown = positionals.filter((name) => !LOAD_CASES.some((each) => each.name === name));
if (values.help) {
  process.stdout.write(HELP);
} else if (unknown.length > 0 || (seconds !== null && !(seconds >= 1 && seconds <= 86_400))) {
  const what = unknown.length > 0 ? `no case ${unknown.join(", ")}` : "--seconds is 1 to 86400";
  process.stderr.write(`load: ${what}\n\n${HELP}`);
  process.exitCode = 2;
} else {
  await load();
}

async function load(): Promise<void> {
  const reports: Report[] = [];
  for (const loadCase of LOAD_CASES) {
    if (positionals.length > 0 && !positionals.includes(loadCase.name)) continue;
    const amount = { seconds: seconds ?? loadCase.seconds, short: false };
    try {
      const say = (line: string) => process.stderr.write(`${line}\n`);
      const report = await runLoadCase(loadCase, amount, say);
      reports.push(report);
      if (!values.json) process.stdout.write(`${lines(report).join("\n")}\n`);
      if (report.checks.some(({ holds }) => !holds)) process.exitCode = 1;
    } catch (error) {
      process.stderr.write(`load: ${loadCase.name} failed: ${(error as Error).message}\n`);
      process.exitCode = 1;
    }
  }
  if (!values.json) return;
  const cases = reports.map(({ caseName, figures, checks }) => ({ caseName, figures, checks }));
  process.stdout.write(`${JSON.stringify({ cases })}\n`);
}

function lines({ caseName, figures, checks }: Report): string[] {
  return [
    "",
    caseName,
    ...figures.map(({ name, value, unit }) =>
      `  ${name.padEnd(34)}${shown(value)} ${unit}`.trimEnd(),
    ),
    ...checks.map(({ text, holds }) => `  ${holds ? "holds" : "FAILS"}  ${text}`),
  ];
}
