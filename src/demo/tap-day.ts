// A day of a generated province, speeded up: which gate is tapped next, with whose card, for what.
// Rates follow the curves of src/province/uses.ts; most people tap in their own county.
// Wrong taps are few and come as in life: strangers' cards, expired ones, amounts over the limit.

import { CARD_STATUS } from "../../engine/domain.js";
import { assert } from "../../protocol/assert.js";
import { luhnDigit } from "../../protocol/pan.js";
import { MEDIUM_CHIP } from "../../protocol/use-record.js";
import { type Card, cardInHand } from "../province/cards.js";
import { catalogueOf } from "../province/catalogue.js";
import type { Province } from "../province/province.js";
import { PURPOSE, RandomStream, shareAt } from "../province/random.js";
import { COUNTIES } from "../province/regions.js";
import { TERMINAL_KINDS, type Terminal, type TerminalKind } from "../province/terminals.js";
import { curveOf, QUARTERS_PER_DAY, USES } from "../province/uses.js";

const MINUTES_PER_DAY = 1440;
const MINUTES_PER_QUARTER = MINUTES_PER_DAY / QUARTERS_PER_DAY;
const MS_PER_MINUTE = 60_000;
/** Share of taps by people of the terminal's own county. */
const NEAR = 0.85;
/** Share of taps with the electronic card where both media serve, and where only chips do. */
const ELECTRONIC = 0.4;
const ELECTRONIC_WRONGLY = 0.02;
/** Share of holders of a card that is of no use (lost, expired, ...) who know it and do not tap. */
const KNOWS = 0.85;
/** Share of taps with a card that was never issued here. */
const STRANGER = 0.003;

/** A terminal that speaks, with the gates it speaks for: itself or those behind it. */
export interface Seat {
  speaker: Terminal;
  gates: Terminal[];
}

export interface Tap {
  /** Index of the seat that sends it. */
  seat: number;
  terminalId: number;
  kind: TerminalKind;
  pan: string;
  medium: number;
  itemCode: number;
  amountMinor: number;
}

export interface TapDayOptions {
  /** Mean over the day; the morning peak has some two and a half times as many. */
  usesPerSecond: number;
  /** Minutes in which a day goes by. */
  dayMinutes: number;
  /** Minutes after midnight at which it begins. */
  startMinutes: number;
}

interface Gate {
  seat: number;
  terminalId: number;
  county: number;
}

/** Spreads `count` seats over all kinds and counties: every n-th terminal that can speak. */
export function seatsOf(province: Province, count: number): Seat[] {
  const behind = new Map<number, Terminal[]>();
  for (const terminal of province.terminals) {
    const gates = behind.get(terminal.concentratorId) ?? [];
    if (terminal.concentratorId !== 0) behind.set(terminal.concentratorId, [...gates, terminal]);
  }
  const speakers = province.terminals.filter((each) => each.concentratorId === 0 && !each.closed);
  const wanted = Math.min(count, speakers.length);
  return Array.from({ length: wanted }, (_, i) => {
    const speaker = speakers[Math.floor((i * speakers.length) / wanted)]!;
    return { speaker, gates: behind.get(speaker.terminalId) ?? [speaker] };
  });
}

export class TapDay {
  private readonly province: Province;
  private readonly options: TapDayOptions;
  private readonly random: RandomStream;
  private readonly gates: Map<TerminalKind, Gate[]>;
  private readonly kinds: TerminalKind[];
  private readonly curves: number[][];
  private readonly perDay: number[];
  private readonly chipOnly: Set<number>;
  private quarter: number;
  private kindStarts: number[];

  constructor(province: Province, seats: readonly Seat[], options: TapDayOptions) {
    this.province = province;
    this.options = options;
    this.random = new RandomStream(province.seed + PURPOSE.USES);
    this.gates = gatesByKind(seats);
    this.kinds = TERMINAL_KINDS.filter((kind) => this.gates.has(kind));
    assert(this.kinds.length > 0, "a day of taps has gates");
    this.curves = this.kinds.map(curveOf);
    this.perDay = this.kinds.map((kind) => this.gates.get(kind)!.length * USES[kind].perDay);
    const { items } = catalogueOf();
    this.chipOnly = new Set(items.filter((i) => i.media.length === 1).map((i) => i.itemCode));
    this.quarter = -1;
    this.kindStarts = [];
  }

  /** Minutes after midnight in the simulated day, `elapsedMs` after it began. */
  minutes(elapsedMs: number): number {
    const speed = MINUTES_PER_DAY / this.options.dayMinutes;
    return (this.options.startMinutes + (elapsedMs / MS_PER_MINUTE) * speed) % MINUTES_PER_DAY;
  }

  /** Uses a second at this time of the day. */
  rate(elapsedMs: number): number {
    this.turnTo(elapsedMs);
    const mean = this.perDay.reduce((a, b) => a + b, 0) / QUARTERS_PER_DAY;
    return (this.options.usesPerSecond * this.kindStarts.at(-1)!) / mean;
  }

  /** The next tap at this time of the day. */
  next(elapsedMs: number): Tap {
    this.turnTo(elapsedMs);
    const at = this.random.next() * this.kindStarts.at(-1)!;
    return this.tapAt(this.kinds[shareAt(this.kindStarts, at)]!);
  }

  /** The same card for the same item, at another gate of the kind where there is one. */
  again(tap: Tap): Tap {
    const { seat, terminalId } = this.pick(this.gates.get(tap.kind)!);
    return { ...tap, seat, terminalId };
  }

  private turnTo(elapsedMs: number): void {
    const quarter = Math.floor(this.minutes(elapsedMs) / MINUTES_PER_QUARTER) % QUARTERS_PER_DAY;
    if (quarter === this.quarter) return;
    this.quarter = quarter;
    this.kindStarts = [0];
    this.kinds.forEach((_, k) => {
      this.kindStarts.push(this.kindStarts[k]! + this.perDay[k]! * this.curves[k]![quarter]!);
    });
  }

  private tapAt(kind: TerminalKind): Tap {
    const { seat, terminalId, county } = this.pick(this.gates.get(kind)!);
    const use = this.pickItem(kind);
    const steps = Math.floor((use.high - use.low) / use.step);
    // Squared, so that small amounts come more often than large ones.
    const amountMinor = use.low + Math.round(this.random.next() ** 2 * steps) * use.step;
    const electronic = this.chipOnly.has(use.itemCode) ? ELECTRONIC_WRONGLY : ELECTRONIC;
    const card = this.pickCard(county, this.random.next() < electronic);
    return { seat, terminalId, kind, itemCode: use.itemCode, amountMinor, ...card };
  }

  private pickItem(kind: TerminalKind) {
    const { items } = USES[kind];
    let left = this.random.next() * items.reduce((sum, { weight }) => sum + weight, 0);
    for (const each of items) {
      if (left < each.weight) return each;
      left -= each.weight;
    }
    return items[0]!;
  }

  private pickCard(county: number, electronic: boolean): { pan: string; medium: number } {
    if (this.random.next() < STRANGER) return { pan: this.strangersPan(), medium: MEDIUM_CHIP };
    let card = this.drawCard(county, electronic);
    while (!this.usable(card) && this.random.next() < KNOWS)
      card = this.drawCard(county, electronic);
    return { pan: card.cardNumber, medium: card.medium };
  }

  private drawCard(county: number, electronic: boolean): Card {
    const { holders, seed, today } = this.province;
    const [from, to] = holders.locals(county);
    const near = to > from && this.random.next() < NEAR;
    const index = near ? from + this.random.below(to - from) : this.random.below(holders.count);
    return cardInHand(seed, today, holders.at(index), electronic);
  }

  private usable({ status, expiryDate }: Card): boolean {
    return status === CARD_STATUS.ACTIVE && expiryDate >= this.province.options.today;
  }

  /** A number of no issuer of the province. */
  private strangersPan(): string {
    const digits = `621999${String(this.random.below(1e9)).padStart(12, "0")}`;
    return digits + String(luhnDigit(digits));
  }

  private pick<T>(from: readonly T[]): T {
    return from[this.random.below(from.length)]!;
  }
}

function gatesByKind(seats: readonly Seat[]): Map<TerminalKind, Gate[]> {
  const byKind = new Map<TerminalKind, Gate[]>();
  seats.forEach(({ gates }, seat) => {
    for (const { kind, terminalId, regionCode } of gates) {
      if (kind === "concentrator") continue;
      const county = COUNTIES.findIndex(({ code }) => code === regionCode);
      byKind.set(kind, [...(byKind.get(kind) ?? []), { seat, terminalId, county }]);
    }
  });
  return byKind;
}
