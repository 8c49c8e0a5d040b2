// The one screen of the demo: updates in place on a terminal, and is a plain line each second
// anywhere else. The only place that knows log-update. Of a card it shows four digits.

import { createLogUpdate } from "log-update";
import { REASON_NAMES, RESPONSE_CODES } from "../../protocol/reason.js";
import type { FleetFigures } from "./fleet.js";

export interface Loss {
  /** Last four digits of the card. */
  lastDigits: string;
  place: string;
  /** Minutes after midnight in the simulated day. */
  minutes: number;
  /** What became of the next tap; "" until it was. */
  next: string;
}

export interface DemoView {
  title: string;
  figures: FleetFigures;
  usesPerSecond: number;
  journalPosition: number;
  blacklistSize: number;
  losses: readonly Loss[];
}

const DECLINES_SHOWN = 8;
const LOSSES_SHOWN = 4;
const BAR_WIDTH = 40;

export class Screen {
  private readonly stream: NodeJS.WriteStream;
  private readonly inPlace: ReturnType<typeof createLogUpdate> | null;

  constructor(stream: NodeJS.WriteStream) {
    this.stream = stream;
    this.inPlace = stream.isTTY ? createLogUpdate(stream) : null;
  }

  update(view: DemoView): void {
    if (this.inPlace !== null) this.inPlace(screenText(view));
    else this.stream.write(`${lineText(view)}\n`);
  }

  /** Leaves the last screen standing. */
  done(): void {
    this.inPlace?.done();
  }
}

/** The screen as text of some 20 lines. */
export function screenText(view: DemoView): string {
  const { figures, losses } = view;
  const approved = figures.byReason[0] ?? 0;
  const declined = declinesOf(figures.byReason);
  const lines = [
    `${view.title}   ${clock(figures.minutes)}  ${bar(figures.minutes)}`,
    "",
    `  uses a second   ${count(view.usesPerSecond)}      answered ${count(figures.answered)}`,
    `  approved        ${count(approved)}   (${percent(approved, figures.answered)})`,
    `  latency         p50 ${ms(figures.latency.p50)}   p99 ${ms(figures.latency.p99)}` +
      `   p99.9 ${ms(figures.latency.p999)}`,
    `  journal         position ${count(view.journalPosition)}`,
    `  blacklist       ${count(view.blacklistSize)} entries`,
    "",
    `  declined        ${count(figures.answered - approved)}`,
    ...declined.slice(0, DECLINES_SHOWN).map(([name, code, n]) => {
      return `    ${code}  ${name.padEnd(24)} ${count(n)}`;
    }),
    "",
    "  reported lost on the way",
    ...losses.slice(-LOSSES_SHOWN).map((loss) => `    ${lossText(loss)}`),
    ...errorLines(figures.errors),
  ];
  return lines.join("\n");
}

/** The same in one line, for logs. */
export function lineText(view: DemoView): string {
  const { figures } = view;
  const approved = figures.byReason[0] ?? 0;
  const { p50, p99, p999 } = figures.latency;
  const last = view.losses.at(-1);
  const errors = Object.values(figures.errors).reduce((a, b) => a + b, 0);
  return [
    clock(figures.minutes),
    `${count(view.usesPerSecond)}/s`,
    `answered ${count(figures.answered)}`,
    `approved ${percent(approved, figures.answered)}`,
    `p50 ${ms(p50)} p99 ${ms(p99)} p99.9 ${ms(p999)}`,
    `journal ${count(view.journalPosition)}`,
    `blacklist ${count(view.blacklistSize)}`,
    ...(errors > 0 ? [`errors ${count(errors)}`] : []),
    ...(last === undefined ? [] : [lossText(last)]),
  ].join("  ");
}

/** Declines as [reason, response code, count], the most frequent first. */
export function declinesOf(byReason: readonly number[]): [string, string, number][] {
  const all = byReason.map((n, reason): [string, string, number] => {
    return [REASON_NAMES[reason] ?? "UNKNOWN", RESPONSE_CODES[reason] ?? "", n];
  });
  return all
    .slice(1)
    .filter(([, , n]) => n > 0)
    .sort((a, b) => b[2] - a[2]);
}

function lossText({ lastDigits, place, minutes, next }: Loss): string {
  const outcome = next === "" ? "next tap under way" : `next tap: ${next}`;
  return `${clock(minutes)} card **** ${lastDigits} (${place}), ${outcome}`;
}

function errorLines(errors: Readonly<Record<string, number>>): string[] {
  const entries = Object.entries(errors);
  if (entries.length === 0) return [];
  return ["", `  no answer       ${entries.map(([code, n]) => `${code} ${count(n)}`).join("  ")}`];
}

function clock(minutes: number): string {
  const whole = Math.floor(minutes);
  const two = (n: number) => String(n).padStart(2, "0");
  return `${two(Math.floor(whole / 60))}:${two(whole % 60)}`;
}

function bar(minutes: number): string {
  const done = Math.floor((minutes / 1440) * BAR_WIDTH);
  return "█".repeat(done) + "░".repeat(BAR_WIDTH - done);
}

function count(n: number): string {
  return Math.round(n).toLocaleString("en-US");
}

function percent(part: number, whole: number): string {
  return whole === 0 ? "-" : `${((100 * part) / whole).toFixed(1)} %`;
}

function ms(value: number): string {
  return `${value.toFixed(2)} ms`;
}
