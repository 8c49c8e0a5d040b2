// STANs of the simulated terminals: counted up, and reserved ahead in a file, so that a later run
// on the same business date goes on behind an earlier one, also after a kill. A terminal that used
// a STAN again for another use would be declined with 94, as a real one would.

import { readFileSync, writeFileSync } from "node:fs";
import { STAN_MAX } from "../../protocol/use-record.js";
import { chinaDate } from "../client/clock.js";

const RESERVED_AHEAD = 2000;

export class StanBook {
  private readonly last = new Map<number, number>();
  private businessDate = 0;
  private start = 0;
  private reserved = 0;

  /** `file` keeps what is reserved; null keeps nothing. */
  constructor(private readonly file: string | null) {}

  /** The next STAN of a terminal, 1..999,999. */
  next(terminalId: number): number {
    const businessDate = chinaDate(Date.now());
    if (businessDate !== this.businessDate) this.begin(businessDate);
    const stan = (this.last.get(terminalId) ?? this.start) + 1;
    const taken = stan > STAN_MAX ? 1 : stan;
    this.last.set(terminalId, taken);
    if (taken > this.reserved) this.reserve(taken + RESERVED_AHEAD);
    return taken;
  }

  private begin(businessDate: number): void {
    const kept = this.read();
    this.businessDate = businessDate;
    this.last.clear();
    this.start = kept.businessDate === businessDate ? Math.min(kept.reserved, STAN_MAX) : 0;
    this.reserve(this.start + RESERVED_AHEAD);
  }

  private reserve(reserved: number): void {
    this.reserved = reserved;
    if (this.file === null) return;
    writeFileSync(this.file, JSON.stringify({ businessDate: this.businessDate, reserved }));
  }

  private read(): { businessDate: number; reserved: number } {
    try {
      return JSON.parse(readFileSync(this.file ?? "", "utf8"));
    } catch {
      return { businessDate: 0, reserved: 0 };
    }
  }
}
