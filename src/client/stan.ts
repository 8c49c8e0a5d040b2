// System trace audit numbers (ISO 8583 field 11): 1..999,999, each once in a business date.
// The twist: a number given out twice after a restart would be answered 94, so the caller keeps
// the last one where it survives (`onNext`), and hands it back at the next start (`last`).

import { STAN_MAX } from "../../protocol/index.js";
import { TerminalError } from "./errors.js";

/** The last number given out of a business date. */
export interface LastStan {
  /** YYYYMMDD. */
  businessDate: number;
  /** 0..999,999. */
  stan: number;
}

/** Business dates whose numbers are remembered: today's and yesterday's, as at the server. */
const DATES_KEPT = 2;

export class StanAllocator {
  private readonly lastByDate = new Map<number, number>();
  private readonly onNext: (last: LastStan) => void;

  /** `onNext` is called with each number before it is used, to be written down by the caller. */
  constructor(last: LastStan | null = null, onNext: (last: LastStan) => void = () => {}) {
    this.onNext = onNext;
    if (last) this.lastByDate.set(last.businessDate, last.stan);
  }

  /** The next number of `businessDate` (YYYYMMDD). Throws STAN_EXHAUSTED after 999,999. */
  next(businessDate: number): number {
    const stan = (this.lastByDate.get(businessDate) ?? 0) + 1;
    if (stan > STAN_MAX) throw new TerminalError("STAN_EXHAUSTED");
    this.lastByDate.set(businessDate, stan);
    if (this.lastByDate.size > DATES_KEPT) {
      this.lastByDate.delete(Math.min(...this.lastByDate.keys()));
    }
    this.onNext({ businessDate, stan });
    return stan;
  }
}
