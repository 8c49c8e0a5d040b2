// Several runs as one: the medians of their figures, as the table of bench/README.md.

import { readFileSync } from "node:fs";
import { type Measurement, shown } from "./case.js";
import type { Results } from "./results.js";
import { headLine } from "./table.js";

const PERCENTILES = ["50", "99", "99.9"];

/** Results from files that `--json` has made. Throws one line when they cannot be put together. */
export function readRuns(paths: readonly string[]): Results[] {
  const runs = paths.map((path) => {
    try {
      return JSON.parse(readFileSync(path, "utf8")) as Results;
    } catch {
      throw new Error(`${path} holds no results: make them with npm run bench -- --json`);
    }
  });
  const [first] = runs;
  if (first === undefined) throw new Error("--medians needs the files of some runs");
  for (const { commit, settings } of runs) {
    const same =
      commit === first.commit && JSON.stringify(settings) === JSON.stringify(first.settings);
    if (!same) throw new Error("these runs are not of one commit with the same settings");
  }
  return runs;
}

/** The medians as a table in Markdown: every figure that all runs have. */
export function mediansPage(runs: readonly Results[]): string {
  const first = runs[0]!;
  const lines = [
    `${runs.length} runs: ${headLine(first)}`,
    "",
    "| figure | median | lowest to highest | |",
    "|---|---|---|---|",
  ];
  for (const { name } of first.cases) {
    const all = runs.map(({ cases }) => cases.find((each) => each.name === name));
    if (!all.includes(undefined)) lines.push(row(all as Measurement[]));
  }
  return `${lines.join("\n")}\n`;
}

function row(all: readonly Measurement[]): string {
  const { name, unit, comparedWith, percentiles } = all[0]!;
  const values = all.map(({ value }) => value);
  const range = `${shown(Math.min(...values))} to ${shown(Math.max(...values))}`;
  const notes: string[] = [];
  if (comparedWith !== null) {
    notes.push(`${shown(median(all.map(({ ratio }) => ratio ?? 0)))} x ${comparedWith}`);
  }
  if (percentiles !== null) {
    const parts = PERCENTILES.map((percentile) => {
      const each = all.map((one) => one.percentiles?.[percentile] ?? 0);
      return `p${percentile} ${shown(median(each))}`;
    });
    notes.push(parts.join(", "));
  }
  return `| ${name} | ${shown(median(values))} ${unit} | ${range} | ${notes.join("; ")} |`;
}

/** The middle value, or the lower of the two in the middle. */
function median(values: readonly number[]): number {
  return [...values].sort((a, b) => a - b)[(values.length - 1) >> 1]!;
}
