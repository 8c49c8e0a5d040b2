// Results for people: a line for each measurement, percentiles under it.

import { type Measurement, percentilesOf, type Skipped, shown } from "./case.js";
import type { Results } from "./results.js";

const GIBIBYTE = 2 ** 30;

/** What was measured, and where. */
export function headLine({ version, commit, machine, settings }: Results): string {
  const { cpu, cores, memoryBytes, node, platform } = machine;
  const parts = [
    `tongka ${version} ${commit.slice(0, 10)}`,
    `${cores} x ${cpu}, ${Math.round(memoryBytes / GIBIBYTE)} GiB`,
    `${platform}, Node ${node}`,
  ];
  for (const [name, value] of Object.entries(settings.configuration)) {
    parts.push(`${name}=${value}`);
  }
  if (settings.scale !== 1) parts.push(`scale ${settings.scale}: no figures to quote`);
  return parts.join(" · ");
}

/** The lines of one case. */
export function caseLines(
  name: string,
  text: string,
  measurements: readonly Measurement[],
  skipped: readonly Skipped[],
): string[] {
  const lines = ["", `${name}: ${text}`];
  for (const each of measurements) lines.push(...measurementLines(name, each));
  for (const each of skipped) lines.push(`  ${each.name} skipped: ${each.why}`);
  return lines;
}

function measurementLines(caseName: string, each: Measurement): string[] {
  const name = each.name === caseName ? "" : each.name.slice(caseName.length + 1);
  const figure = `${shown(each.value).padStart(12)} ${each.unit.padEnd(12)}`;
  const lines = [`${figure} ${name.padEnd(24)} ${each.text}${comparison(each)}`];
  if (each.percentiles !== null) {
    const parts = percentilesOf(each.percentiles).map(([percentile, value]) => {
      return `${percentile === 100 ? "max" : `p${percentile}`} ${shown(value)}`;
    });
    lines.push(`${" ".repeat(26)}${parts.join("  ")} ${each.unit}`);
  }
  return lines;
}

function comparison({ ratio, comparedWith }: Measurement): string {
  return ratio === null ? "" : ` (${shown(ratio)} x ${comparedWith})`;
}
