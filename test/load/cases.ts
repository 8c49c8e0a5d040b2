// The load tests by their names, in the order in which they run.

import { watchSteal } from "../../bench/steal.js";
import { CONNECTIONS_CASE } from "./connections-case.js";
import { OVERLOAD, OVERLOAD_APART, OVERLOAD_SINGLE } from "./overload-case.js";
import { type Amount, type LoadCase, Report } from "./report.js";
import { RESTART } from "./restart-case.js";
import { SOAK } from "./soak-case.js";
import { STALL } from "./stall-case.js";

export const LOAD_CASES: readonly LoadCase[] = [
  OVERLOAD,
  OVERLOAD_SINGLE,
  OVERLOAD_APART,
  CONNECTIONS_CASE,
  STALL,
  RESTART,
  SOAK,
];

/** Runs a case; what it says goes to `say`. */
export async function runLoadCase(
  loadCase: LoadCase,
  amount: Amount,
  say: (line: string) => void,
): Promise<Report> {
  const report = new Report(loadCase.name, (line) => say(`${loadCase.name}: ${line}`));
  const steal = watchSteal();
  await loadCase.run(report, amount);
  report.figure("steal by the host", steal(), "%");
  return report;
}
