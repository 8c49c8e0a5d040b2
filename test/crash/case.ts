// What a case of the crash matrix is given and gives: settings, chance from the seed, totals, and
// the rows of what was seen beside what must be.

import type { Random } from "../random.js";
import type { Ended } from "../tongka-process.js";
import type { CaseScope } from "./case-scope.js";
import type { Ledger } from "./load.js";
import type { Preload } from "./preload.js";
import type { Findings, Verdict } from "./verdict.js";

export interface CrashCase {
  name: string;
  text: string;
  run(context: Context): Promise<void>;
}

export interface Settings {
  /** Kills of `kill`. */
  rounds: number;
  /** Power cuts of `power-cut`. */
  cuts: number;
  /** Rows of `faults`, from the top on. */
  faults: number;
  /** Seconds for which `stop` stops a server, one after the other. */
  stopSeconds: readonly number[];
  /** Hours by which `clock` moves the clock of the day, one after the other. */
  jumpHours: readonly number[];
}

/** What was done and found. The second half must be 0. */
export interface Totals {
  kills: number;
  cuts: number;
  faults: number;
  stops: number;
  jumps: number;
  restarts: number;
  refusals: number;
  asked: number;
  answers: number;
  repeats: number;
  controls: number;
  controlsLost: number;
  controlsTwice: number;
  lost: number;
  invented: number;
  countedTwice: number;
  changed: number;
  unexpected: number;
}

/** What must be seen; a row of the table in README.md. */
export interface Expectation {
  what: string;
  /** The one line it must say; null nothing. */
  line: RegExp | null;
  /** How it must end: a signal, an exit code, or that it goes on serving. */
  end: "SIGKILL" | "serves" | number;
}

export interface Context {
  readonly settings: Settings;
  readonly random: Random;
  readonly scope: CaseScope;
  readonly signal: AbortSignal;
  readonly totals: Totals;
  /** The C library, or why there is none. */
  readonly preload: Preload | string;
  /** A seeded data folder; it stays as it is. */
  readonly template: string;
  /** What was found that must not be, a line each. */
  readonly found: string[];
  /** One line of what was seen. */
  row(text: string): void;
  /** What could not be tried here, and why. */
  skip(text: string): void;
  /** `done` of `total` of this case. */
  progress(done: number, total: number): void;
}

/** Lines of a kind that are shown; all are counted. */
const SHOWN_MAX = 5;

export function noTotals(): Totals {
  const names = [
    ...["kills", "cuts", "faults", "stops", "jumps", "restarts", "refusals", "asked", "answers"],
    ...["repeats", "controls", "controlsLost", "controlsTwice"],
    ...["lost", "invented", "countedTwice", "changed", "unexpected"],
  ];
  return Object.fromEntries(names.map((name) => [name, 0])) as unknown as Totals;
}

/** Adds what was found to the totals, and tells of it. */
export function take(context: Context, where: string, findings: Partial<Findings>): void {
  for (const [kind, texts] of Object.entries(findings)) {
    if (!Array.isArray(texts) || texts.length === 0) continue;
    context.totals[kind as keyof Findings] += texts.length;
    for (const text of texts.slice(0, SHOWN_MAX)) context.found.push(`${where}: ${kind}: ${text}`);
  }
}

export function takeVerdict(context: Context, where: string, verdict: Verdict): void {
  const { lost, invented, countedTwice, changed } = verdict;
  take(context, where, { lost, invented, countedTwice, changed });
}

export function takeLedger(context: Context, ledger: Ledger): void {
  context.totals.asked += ledger.asked.size;
  context.totals.answers += ledger.answered.length;
}

export function unexpected(context: Context, text: string): void {
  context.totals.unexpected++;
  context.found.push(text);
}

/** Holds the end of a process against what it must be. */
export function expect(context: Context, expectation: Expectation, ended: Ended | "serves"): void {
  const { what, line, end } = expectation;
  const seen = ended === "serves" ? ended : (ended.signal ?? ended.code);
  const said = ended === "serves" ? "" : ended.stderr.trim();
  const reason = reasonIn(said);
  context.row(`${what}: ${seen === "serves" || typeof seen === "string" ? seen : `exit ${seen}`}`);
  if (reason !== "") context.row(`    ${reason}`);
  if (seen !== end) unexpected(context, `${what}: ended as ${seen} and not as ${end}: ${said}`);
  if (line === null ? reason !== "" : !line.test(reason)) {
    unexpected(context, `${what}: must say ${line} and said: ${said}`);
  }
}

/**
 * The line for the person; more than one is shown as more than one. What lmdb itself says on
 * standard error, and log lines, are not counted.
 */
function reasonIn(stderr: string): string {
  const lines = stderr.split("\n").map((line) => /tongka: .*/.exec(line)?.[0] ?? "");
  return lines.filter((line) => line !== "").join(" | ");
}
