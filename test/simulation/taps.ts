// What terminals ask: uses of every kind, most of them sound, some with a field that is wrong, some
// that a terminal of another make might send, and reversals of what was asked before.

import { writeUseRecord } from "../../protocol/encode.js";
import {
  MTI_REVERSAL_ADVICE,
  MTI_REVERSAL_REQUEST,
  MTI_USE_ADVICE,
  MTI_USE_REQUEST,
} from "../../protocol/mti.js";
import { dateOf } from "./model.js";
import { mediumOf, panOf } from "./orders.js";
import type { World } from "./world.js";

/** Records that go in one frame, until they are answered. */
export interface Work {
  mti: number;
  records: Uint8Array[];
}

const RECENT_MAX = 40;
const HOT_CARDS = 25;

export class Taps {
  private readonly stans = new Map<string, number>();
  private readonly recent: Work[] = [];

  constructor(private readonly world: World) {}

  /** Something that a terminal speaking for `terminalIds` asks. */
  next(terminalIds: readonly number[]): Work {
    const { chance, plan } = this.world;
    if (this.recent.length > 0 && chance.hit(0.08)) return this.variant();
    const kinds = [MTI_USE_REQUEST, MTI_USE_REQUEST, MTI_USE_REQUEST, MTI_USE_ADVICE];
    const mti = chance.pick([...kinds, MTI_REVERSAL_REQUEST, MTI_REVERSAL_ADVICE]);
    const upload = chance.hit(0.2) ? plan.recordsMax : 1 + chance.below(2);
    const count = chance.hit(0.03) ? 49 : Math.min(upload, plan.recordsMax);
    const records = Array.from({ length: count }, () => this.record(mti, terminalIds));
    return this.keep({ mti, records });
  }

  /** Something that was asked before, again or with a field changed. */
  private variant(): Work {
    const { chance } = this.world;
    const work = chance.pick(this.recent);
    if (chance.hit(0.4)) return work;
    const records = work.records.map((record) => Uint8Array.from(record));
    const record = chance.pick(records);
    const offset = chance.pick([5, 9, 28, 32, 40, 44, 48, 52]);
    record[offset] = record[offset]! ^ 1;
    return { mti: chance.hit(0.1) ? MTI_USE_ADVICE : work.mti, records };
  }

  private keep(work: Work): Work {
    if (this.recent.push(work) > RECENT_MAX) this.recent.shift();
    return work;
  }

  private record(mti: number, terminalIds: readonly number[]): Uint8Array {
    const { chance } = this.world;
    const reversed = mti >= MTI_REVERSAL_REQUEST ? this.original() : null;
    const record = reversed ?? this.use(terminalIds);
    const view = new DataView(record.buffer);
    if (mti >= MTI_REVERSAL_REQUEST) {
      const stan = reversed === null ? chance.between(1, 60) : view.getUint32(20, true);
      const date = view.getUint32(24, true);
      view.setUint32(48, stan, true);
      view.setUint32(52, chance.hit(0.05) ? 20_200_101 : date, true);
      view.setUint32(24, this.date(), true);
      view.setUint32(20, this.stan(view.getUint32(16, true), view.getUint32(24, true)), true);
    }
    if (chance.hit(0.02)) record[chance.pick([0, 1, 12, 15, 28, 31, 45, 47, 60])] = 0xee;
    if (chance.hit(0.01)) record.set([0xff, 0xff], chance.pick([38, 24, 20]));
    return record;
  }

  /** A use that was asked before, as a reversal names it; null when there is none. */
  private original(): Uint8Array | null {
    const { chance } = this.world;
    const uses = this.recent.filter(({ mti }) => mti < MTI_REVERSAL_REQUEST);
    if (uses.length === 0 || chance.hit(0.15)) return null;
    const record = Uint8Array.from(chance.pick(chance.pick(uses).records));
    if (chance.hit(0.05)) record[32] = record[32]! ^ 4;
    return record;
  }

  private use(terminalIds: readonly number[]): Uint8Array {
    const { chance, plan, clock } = this.world;
    const record = new Uint8Array(64);
    const card = chance.below(chance.hit(0.8) ? Math.min(HOT_CARDS, plan.cards) : plan.cards + 3);
    const terminalId = chance.hit(0.02) ? chance.between(1, 25) : chance.pick(terminalIds);
    const businessDate = this.date();
    writeUseRecord(record, 0, {
      pan: panOf(card),
      terminalId,
      stan: this.stan(terminalId, businessDate),
      businessDate,
      itemCode: chance.hit(0.7) ? 1 : chance.between(1, 9),
      amountMinor: chance.hit(0.02) ? 1e12 + chance.below(2) - 1 : chance.below(900) * 60,
      localTime: Math.floor(clock.nowMs() / 1000) - chance.below(3000),
      medium: chance.hit(0.03) ? 1 + chance.below(3) : mediumOf(card),
      originalStan: 0,
      originalBusinessDate: 0,
    });
    return record;
  }

  private date(): number {
    const { chance, clock, plan } = this.world;
    const minutes = plan.rules.utcOffsetMinutes - plan.rules.cutoverMinutes;
    const day = Math.floor((clock.nowMs() + minutes * 60_000) / 86_400_000);
    return dateOf(day + (chance.hit(0.9) ? 0 : chance.pick([-1, -1, -2, 1, 2])));
  }

  /** Counts up from 1 on each date; a reversal may so name a use that is yet to come. */
  private stan(terminalId: number, date: number): number {
    const key = `${terminalId}/${date}`;
    const stan = (this.stans.get(key) ?? 0) + 1;
    this.stans.set(key, stan);
    return stan;
  }
}
