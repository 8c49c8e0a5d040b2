// What the parts of a run share.

import { deriveVaultKeys, KeyVault } from "../../src/vault.js";
import { Auditor } from "./auditor.js";
import { Chance } from "./chance.js";
import { FalseFile } from "./false-disk.js";
import { FalseClock } from "./false-host.js";
import { FalseJournal } from "./false-journal.js";
import { drawPlan, type Plan } from "./plan.js";
import { Timeline } from "./timeline.js";
import { Trace } from "./trace.js";

export class World {
  readonly timeline = new Timeline();
  readonly chance: Chance;
  readonly plan: Plan;
  readonly clock: FalseClock;
  readonly trace: Trace;
  readonly auditor: Auditor;
  readonly vault: KeyVault;
  readonly journal: FalseJournal;
  readonly tablesFile = new FalseFile();
  /** No more faults: what is left must come to an end. */
  healed = false;
  /** No node lives. */
  dead = true;
  /** How often what was sent, asked or struck, by its name. */
  readonly counted: Record<string, number> = {};

  constructor(seed: number, print: ((line: string) => void) | null) {
    this.chance = new Chance(seed);
    this.plan = drawPlan(this.chance);
    this.clock = new FalseClock(this.timeline, this.plan.startMs);
    this.journal = new FalseJournal(this.plan.journalRoom);
    this.trace = new Trace(this.timeline, print);
    const { rules, config } = this.plan;
    this.auditor = new Auditor(rules, config.limits, () => this.clock.latestMs);
    this.vault = new KeyVault(deriveVaultKeys(this.chance.bytes(32)));
  }

  count(name: string): void {
    this.counted[name] = (this.counted[name] ?? 0) + 1;
  }

  /** Plans `run` once, after a time that is `meanMs` on average. */
  later(meanMs: number, run: () => void): void {
    this.timeline.after(this.chance.between(1, Math.floor(meanMs * 2000)), run);
  }
}
