// What a case of the load tests finds: figures, and checks that hold or do not. A check that hangs
// on how fast the machine is, is marked: `npm run load` fails on it, the short runs in `npm test`
// do not.

export interface Figure {
  name: string;
  value: number;
  unit: string;
}

export interface Check {
  text: string;
  holds: boolean;
  /** Whether it holds only on a machine that is fast enough and has nothing else to do. */
  timed: boolean;
}

/** How much of everything: seconds of load, and whether it is the short run of `npm test`. */
export interface Amount {
  seconds: number;
  short: boolean;
}

export interface LoadCase {
  name: string;
  text: string;
  /** Seconds of its full run. */
  seconds: number;
  run(report: Report, amount: Amount): Promise<void>;
}

export class Report {
  readonly figures: Figure[] = [];
  readonly checks: Check[] = [];

  constructor(
    readonly caseName: string,
    /** Says on standard error what is being done. */
    readonly say: (line: string) => void,
  ) {}

  figure(name: string, value: number, unit: string): void {
    this.figures.push({ name, value: Number(value.toPrecision(4)), unit });
  }

  check(text: string, holds: boolean): void {
    this.checks.push({ text, holds, timed: false });
  }

  /** A check that hangs on the speed of the machine. */
  timed(text: string, holds: boolean): void {
    this.checks.push({ text, holds, timed: true });
  }
}
