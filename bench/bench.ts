// npm run bench [-- CASE ...]: runs the cases and tells what they measured, as a table for people,
// as one JSON object, or as a page with plots.

import { writeFileSync } from "node:fs";
import { parseArgs } from "node:util";
import { runCase } from "./case-process.js";
import { CASES } from "./cases.js";
import { mediansOf, mediansPage, readRuns } from "./medians.js";
import { reportPage, reportPicture } from "./report.js";
import { configuredBy, type Results, resultsOf } from "./results.js";
import { caseLines, headLine } from "./table.js";

const HELP = `usage: npm run bench [-- CASE ... [options]]

${CASES.map(({ name, text }) => `  ${name.padEnd(14)}${text}`).join("\n")}

  --json         one JSON object on standard output
  --scale S      shorter and smaller, 0 < S <= 1 (default 1, which figures are quoted for)
  --large        measure 100 million cards too: some minutes and 9 GB of memory
  --alone        Tongka alone, without limits and peers
  --report FILE  write a page with plots (HTML)
  --picture FILE write the plots alone (SVG)
  --medians      measure nothing: the medians of runs whose --json files are named, as a
                 table (Markdown) and, if wanted, as a page or picture

Configuration of the server comes from TONGKA_ variables, too, and stands in the results.

examples
  npm run bench
  TONGKA_CRYPTO_WORKERS=0 npm run bench -- wire-single --alone
  npm run bench -- wire-batch --json
  npm run bench -- --report bench.html
  npm run -s bench -- --json > run1.json
  npm run -s bench -- --medians run1.json run2.json run3.json --picture medians.svg
`;

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    json: { type: "boolean", default: false },
    scale: { type: "string", default: "1" },
    large: { type: "boolean", default: false },
    alone: { type: "boolean", default: false },
    report: { type: "string" },
    picture: { type: "string" },
    medians: { type: "boolean", default: false },
    help: { type: "boolean", default: false },
  },
});

const scale = Number(values.scale);
const unknown = positionals.filter((name) => !CASES.some((each) => each.name === name));
if (values.help) {
  process.stdout.write(HELP);
} else if (values.medians) {
  try {
    const runs = readRuns(positionals);
    process.stdout.write(mediansPage(runs));
    writePages(mediansOf(runs));
  } catch (error) {
    process.stderr.write(`bench: ${(error as Error).message}\n`);
    process.exitCode = 2;
  }
} else if (!(scale > 0 && scale <= 1) || unknown.length > 0) {
  const what = unknown.length > 0 ? `no case ${unknown.join(", ")}` : "--scale is not in 0..1";
  process.stderr.write(`bench: ${what}\n\n${HELP}`);
  process.exitCode = 2;
} else {
  await bench();
}

async function bench(): Promise<void> {
  const results = resultsOf({
    scale,
    large: values.large,
    alone: values.alone,
    configuration: configuredBy(process.env),
  });
  if (!values.json) print(headLine(results));
  for (const { name, text } of CASES) {
    if (positionals.length > 0 && !positionals.includes(name)) continue;
    try {
      const { measurements, skipped } = await runCase(name, results.settings);
      results.cases.push(...measurements);
      results.skipped.push(...skipped);
      if (!values.json) print(caseLines(name, text, measurements, skipped).join("\n"));
    } catch (error) {
      // The other cases are worth having; a failed one must not go unnoticed.
      process.stderr.write(`bench: ${name} failed: ${(error as Error).message}\n`);
      process.exitCode = 1;
    }
  }
  if (values.json) print(JSON.stringify(results));
  writePages(results);
}

function writePages(results: Results): void {
  if (values.report !== undefined) write(values.report, reportPage(results));
  if (values.picture !== undefined) write(values.picture, reportPicture(results));
}

function write(path: string, content: string): void {
  writeFileSync(path, content);
  process.stderr.write(`bench: ${path} written\n`);
}

function print(text: string): void {
  process.stdout.write(`${text}\n`);
}
