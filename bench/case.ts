// What a bench case is, and what it measures. A case is a name, a sentence and a function that is
// given a Run to record its measurements in; bench, profile and the smoke test all work on the one
// list of them (cases.ts). Every case runs in a process of its own.

import { performance } from "node:perf_hooks";

export interface Settings {
  /** Length and size of everything, 0 < scale <= 1; 1 is what figures are quoted for. */
  scale: number;
  /** Whether sizes that take long and much memory are measured too (100 million cards). */
  large: boolean;
  /** Whether Tongka is measured alone, without limits and peers. */
  alone: boolean;
  /** Configuration of the server from the environment, TONGKA_ variables; {} is the default. */
  configuration: Record<string, string>;
}

/** One figure. */
export interface Measurement {
  /** Name of the case, or "case/what". */
  name: string;
  /** What was done, in a few words. */
  text: string;
  value: number;
  unit: string;
  /** Percentile ("50", "99.9", "100" is the largest) to value, in `unit`; null without. */
  percentiles: Record<string, number> | null;
  /** `value` over that of `comparedWith`; null without. */
  ratio: number | null;
  /** Name of another measurement of the same run; null without. */
  comparedWith: string | null;
}

/** Something that could not be measured here, and what to do about it. */
export interface Skipped {
  name: string;
  why: string;
}

export interface BenchCase {
  name: string;
  /** What it measures, one sentence. */
  text: string;
  run(run: Run): Promise<void>;
}

/** One measurement as a case states it: `name` is what stands behind "case/", "" the case. */
interface Figure {
  name: string;
  text: string;
  value: number;
  unit: string;
  percentiles?: Record<string, number>;
}

/** A case being run: its settings, and where its measurements go. */
export class Run {
  readonly measurements: Measurement[] = [];
  readonly skipped: Skipped[] = [];

  constructor(
    readonly caseName: string,
    readonly settings: Settings,
    /** Says on standard error what is being done. */
    readonly say: (line: string) => void,
  ) {}

  /** `full` at scale 1, less at less, never under `least`. */
  amount(full: number, least: number): number {
    return Math.max(Math.round(full * this.settings.scale), least);
  }

  /** Seconds a measurement may take: 0.05 at the least. */
  seconds(full: number): number {
    return Math.max(full * this.settings.scale, 0.05);
  }

  record(figure: Figure): void {
    const name = this.fullName(figure.name);
    if (!Number.isFinite(figure.value)) throw new Error(`${name}: the value is no number`);
    this.measurements.push({
      ...figure,
      name,
      percentiles: figure.percentiles ?? null,
      ratio: null,
      comparedWith: null,
    });
  }

  /** Notes how many times `other` the measurement `name` is; nothing when one was skipped. */
  compare(name: string, other: string): void {
    const own = this.find(name);
    const with_ = this.find(other);
    if (own === undefined || with_ === undefined) return;
    own.ratio = own.value / with_.value;
    own.comparedWith = with_.name;
  }

  /** Value of a measurement of this run, or 0 when it was skipped. */
  valueOf(name: string): number {
    return this.find(name)?.value ?? 0;
  }

  skip(name: string, why: string): void {
    this.skipped.push({ name: this.fullName(name), why });
    this.say(`${name} skipped: ${why}`);
  }

  private find(name: string): Measurement | undefined {
    const full = this.fullName(name);
    return this.measurements.find((each) => each.name === full);
  }

  private fullName(name: string): string {
    return name === "" ? this.caseName : `${this.caseName}/${name}`;
  }
}

/** Runs `work` and returns how long it took, seconds. */
export async function timed(work: () => unknown): Promise<number> {
  const start = performance.now();
  await work();
  return (performance.now() - start) / 1000;
}

/** Whole numbers with separators, small ones with as many digits as say something. */
export function shown(value: number): string {
  if (Math.abs(value) >= 100) return Math.round(value).toLocaleString("en-US");
  return Number(value.toPrecision(3)).toString();
}

/** Percentiles in order: keys that are whole numbers come first in an object. */
export function percentilesOf(percentiles: Record<string, number>): [number, number][] {
  const pairs = Object.entries(percentiles).map(([key, value]): [number, number] => {
    return [Number(key), value];
  });
  return pairs.sort(([a], [b]) => a - b);
}
