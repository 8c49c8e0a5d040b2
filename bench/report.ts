// The results as one page that needs no server: plots as inline SVG, then every figure.

import { type Measurement, percentilesOf, shown } from "./case.js";
import {
  barChart,
  escaped,
  type Line,
  linearTicks,
  lineChart,
  type Plot,
  powerTicks,
  svg,
} from "./plot.js";
import type { Results } from "./results.js";
import { headLine } from "./table.js";

/** Cases whose throughput is compared, and where their bars begin. */
const THROUGHPUT_CASES = ["core", "wire-single", "wire-batch", "http"];
const THROUGHPUT_FROM = 100;
/** Percentiles that the curves show with a tick; the axis is that of ever rarer answers. */
const PERCENTILE_TICKS = [50, 90, 99, 99.9, 99.99];
/** What stands under scale/<cards>/, with a title. */
const SCALE_FIGURES: readonly (readonly [name: string, title: string])[] = [
  ["server-cpu", "CPU of the server for a use"],
  ["throughput", "Throughput, frames of 128 uses"],
  ["memory", "Memory of the process, mapped pages aside"],
  ["restart", "From start to ready"],
  ["import", "Import from CSV"],
  ["checkpoint", "A whole checkpoint"],
];

/** The page. */
export function reportPage(results: Results): string {
  const plots = plotsOf(results).map((plot) => `<figure>${svg([plot])}</figure>`);
  const rows = results.cases.map(rowOf).join("\n");
  const skipped = results.skipped.map(({ name, why }) => {
    return `<li>${escaped(name)} skipped: ${escaped(why)}</li>`;
  });
  return `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>Tongka bench</title>
<style>
body { font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 960px; padding: 0 1rem; }
figure { margin: 2rem 0; } svg { height: auto; max-width: 100%; }
table { border-collapse: collapse; font-size: 14px; } td, th { padding: 2px 10px 2px 0; }
td.number { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
th { text-align: left; } tr { border-bottom: 1px solid #d8dee4; }
</style>
<h1>Tongka bench</h1>
<p>${escaped(headLine(results))}<br>${escaped(results.startedAt)}</p>
<p>Load generator and server share the machine. Every answer of Tongka is on disk before it leaves,
every request and answer has its own MAC.</p>
${plots.join("\n")}
<table>
<tr><th>case</th><th>value</th><th>unit</th><th>compared</th><th>what</th></tr>
${rows}
</table>
<ul>${skipped.join("\n")}</ul>
</html>
`;
}

/** All plots below each other, as an SVG file. */
export function reportPicture(results: Results): string {
  return `${svg(plotsOf(results))}\n`;
}

function plotsOf(results: Results): Plot[] {
  const plots = [throughputPlot(results), latencyPlot(results), ...scalePlots(results)];
  return plots.filter((plot) => plot !== null);
}

function throughputPlot({ cases }: Results): Plot | null {
  const groups = THROUGHPUT_CASES.map((name) => ({
    title: name,
    bars: cases
      .filter((each) => caseOf(each) === name && each.unit === "uses/s")
      .map((each) => ({
        label: each.name === name ? "tongka" : each.name.slice(name.length + 1),
        value: each.value,
        note: `${shown(each.value)}/s`,
        own: each.name === name,
      })),
  })).filter(({ bars }) => bars.length > 0);
  if (groups.length === 0) return null;
  return barChart("Uses a second, by case (logarithmic)", groups, THROUGHPUT_FROM);
}

function latencyPlot({ cases }: Results): Plot | null {
  const measured = cases.filter((each) => caseOf(each) === "latency" && each.percentiles !== null);
  const lines: Line[] = measured.map((each) => ({
    label: each.name.slice("latency/".length),
    points: percentilesOf(each.percentiles!)
      .filter(([percentile]) => percentile < 100)
      .map(([percentile, value]) => [rarity(percentile), value / 1000] as const),
  }));
  if (lines.length === 0) return null;
  const values = lines.flatMap((line) => line.points.map(([, y]) => y));
  return lineChart({
    title: "Latency by percentile, open loop, from when a frame was due",
    lines,
    x: {
      label: "percentile",
      isLog: true,
      ticks: PERCENTILE_TICKS.map((each): [number, string] => [rarity(each), `p${each}`]),
    },
    y: {
      label: "ms",
      isLog: true,
      ticks: powerTicks(Math.min(...values), Math.max(...values)),
    },
  });
}

/** One plot for each figure that was measured at more than one number of cards. */
function scalePlots({ cases }: Results): Plot[] {
  return SCALE_FIGURES.flatMap(([figure, title]) => {
    const points = cases.flatMap((each): [number, number][] => {
      const found = /^scale\/(\d+)\/(.+)$/.exec(each.name);
      return found?.[2] === figure ? [[Number(found[1]), each.value]] : [];
    });
    if (points.length < 2) return [];
    const [first] = cases.filter((each) => each.name === `scale/${points[0]![0]}/${figure}`);
    const plot = lineChart({
      title: `${title}, against the number of cards`,
      lines: [{ label: figure, points }],
      x: {
        label: "cards",
        isLog: true,
        ticks: powerTicks(points[0]![0], points.at(-1)![0]),
      },
      y: {
        label: first!.unit,
        isLog: false,
        ticks: linearTicks(Math.max(...points.map(([, value]) => value))),
      },
    });
    return [plot];
  });
}

/** One in so many is over this percentile. */
function rarity(percentile: number): number {
  return 100 / (100 - percentile);
}

function caseOf({ name }: Measurement): string {
  return name.split("/")[0]!;
}

function rowOf(each: Measurement): string {
  const ratio = each.ratio === null ? "" : `${shown(each.ratio)} x ${each.comparedWith}`;
  const percentiles = each.percentiles === null ? [] : percentilesOf(each.percentiles);
  const tail = percentiles.map(([percentile, value]) => `p${percentile} ${shown(value)}`);
  const what = [each.text, ...(tail.length > 0 ? [tail.join(", ")] : [])].join("; ");
  const [name, ...others] = [each.name, each.unit, ratio, what].map((cell) => {
    return `<td>${escaped(cell)}</td>`;
  });
  return `<tr>${name}<td class="number">${shown(each.value)}</td>${others.join("")}</tr>`;
}
