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

/** One run of the medians: every figure that all runs have, its percentiles and ratio apart. */
export function mediansOf(runs: readonly Results[]): Results {
  const first = runs[0]!;
  const cases = first.cases.flatMap((measurement): Measurement[] => {
    const all = figuresOf(runs, measurement.name);
    if (all.length < runs.length) return [];
    const { ratio, percentiles } = measurement;
    const pairs = Object.keys(percentiles ?? {}).map((percentile): [string, number] => {
      return [percentile, median(all.map((each) => each.percentiles?.[percentile] ?? 0))];
    });
    return [
      {
        ...measurement,
        value: median(all.map(({ value }) => value)),
        ratio: ratio === null ? null : median(all.map((each) => each.ratio ?? 0)),
        percentiles: percentiles === null ? null : Object.fromEntries(pairs),
      },
    ];
  });
  return { ...first, cases };
}

/** The medians as a table in Markdown. */
export function mediansPage(runs: readonly Results[]): string {
  const medians = mediansOf(runs);
  const lines = [
    `${runs.length} runs: ${headLine(medians)}`,
    "",
    "| figure | median | lowest to highest | |",
    "|---|---|---|---|",
  ];
  for (const each of medians.cases) {
    const values = figuresOf(runs, each.name).map(({ value }) => value);
    const range = `${shown(Math.min(...values))} to ${shown(Math.max(...values))}`;
    lines.push(`| ${each.name} | ${shown(each.value)} ${each.unit} | ${range} | ${notes(each)} |`);
  }
  return `${lines.join("\n")}\n`;
}

function figuresOf(runs: readonly Results[], name: string): Measurement[] {
  return runs.flatMap(({ cases }) => cases.filter((each) => each.name === name));
}

function notes({ ratio, comparedWith, percentiles }: Measurement): string {
  const parts: string[] = [];
  if (ratio !== null) parts.push(`${shown(ratio)} x ${comparedWith}`);
  if (percentiles !== null) {
    const each = PERCENTILES.map((name) => `p${name} ${shown(percentiles[name] ?? 0)}`);
    parts.push(each.join(", "));
  }
  return parts.join("; ");
}

/** The middle value, or the lower of the two in the middle. */
function median(values: readonly number[]): number {
  return [...values].sort((a, b) => a - b)[(values.length - 1) >> 1]!;
}
