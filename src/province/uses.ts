// What people do with their cards in a day: how many uses each kind of terminal sees, when, for
// which service item and how much. Numbers are estimates; what matters is the shape of the day.

import type { TerminalKind } from "./terminals.js";

export const QUARTERS_PER_DAY = 96;

/** Curves by the hour, 0 to 23; quarter hours are interpolated. Only ratios count. */
const HOURLY_CURVES = {
  commute: [
    1, 0, 0, 0, 1, 5, 22, 78, 100, 52, 34, 36, 44, 40, 36, 38, 50, 88, 96, 58, 40, 34, 20, 6,
  ],
  clinic: [2, 1, 1, 1, 1, 2, 8, 48, 100, 98, 84, 52, 14, 20, 62, 64, 48, 24, 12, 10, 8, 6, 4, 3],
  shop: [0, 0, 0, 0, 0, 0, 2, 10, 40, 60, 64, 54, 40, 38, 46, 52, 58, 62, 70, 78, 66, 36, 8, 1],
  leisure: [0, 0, 0, 0, 0, 0, 1, 8, 40, 92, 100, 78, 46, 56, 86, 84, 62, 36, 28, 26, 14, 4, 0, 0],
  office: [0, 0, 0, 0, 0, 0, 0, 4, 62, 100, 92, 58, 8, 10, 66, 78, 64, 24, 2, 0, 0, 0, 0, 0],
  school: [0, 0, 0, 0, 0, 1, 34, 100, 30, 4, 2, 50, 62, 24, 32, 4, 28, 76, 24, 10, 6, 22, 4, 0],
} as const;

interface ItemUse {
  itemCode: number;
  /** Only ratios within a kind count. */
  weight: number;
  /** Fen, from `low` to `high` in steps of `step`, the low ones more often; all 0: no amount. */
  low: number;
  high: number;
  step: number;
}

interface KindUses {
  curve: keyof typeof HOURLY_CURVES;
  /** Uses of a terminal of this kind in a day. */
  perDay: number;
  items: readonly ItemUse[];
}

function item(itemCode: number, weight: number, low = 0, high = 0, step = 1): ItemUse {
  return { itemCode, weight, low, high, step };
}

export const USES: Readonly<Record<TerminalKind, KindUses>> = {
  "bus-gate": {
    curve: "commute",
    perDay: 900,
    items: [item(3010001, 88, 100, 400, 100), item(3010006, 9), item(3010004, 3, 300, 5500, 100)],
  },
  "metro-gate": { curve: "commute", perDay: 2200, items: [item(3010002, 100, 200, 900, 100)] },
  "ferry-gate": { curve: "leisure", perDay: 400, items: [item(3010003, 100, 800, 4150, 50)] },
  "hospital-pos": {
    curve: "clinic",
    perDay: 260,
    items: [
      item(2010001, 42, 0, 3000, 500),
      item(8010001, 36, 500, 120_000, 1),
      item(2010003, 12),
      item(8010005, 5),
      item(2010002, 3, 50_000, 500_000, 10_000),
      item(8010002, 2, 100_000, 6_000_000, 1),
    ],
  },
  "clinic-pos": {
    curve: "clinic",
    perDay: 90,
    items: [
      item(2010001, 50, 0, 1000, 500),
      item(8010001, 38, 300, 30_000, 1),
      item(2010004, 8),
      item(2010005, 4, 5_000, 30_000, 100),
    ],
  },
  "pharmacy-pos": {
    curve: "shop",
    perDay: 120,
    items: [
      item(8010003, 97, 500, 60_000, 1),
      item(8010003, 1, 210_000, 300_000, 1),
      item(8010005, 2),
    ],
  },
  "library-gate": {
    curve: "leisure",
    perDay: 220,
    items: [item(4010001, 70), item(4010002, 30)],
  },
  "scenic-gate": {
    curve: "leisure",
    perDay: 350,
    items: [
      item(4010003, 90, 0, 16_000, 500),
      item(4010006, 2, 30_000, 60_000, 10_000),
      item(4010004, 8),
    ],
  },
  "benefit-kiosk": {
    curve: "office",
    perDay: 60,
    items: [
      item(1010001, 40, 10_000, 450_000, 100),
      item(1010003, 18),
      item(1010004, 12),
      item(1010005, 12),
      item(5010001, 7, 30_000, 90_000, 100),
      item(5010002, 7, 10_000, 50_000, 1000),
      item(7010001, 2, 20_000, 300_000, 100),
      item(1010007, 2, 50_000, 150_000, 10_000),
    ],
  },
  "service-kiosk": {
    curve: "office",
    perDay: 110,
    items: [
      item(10010001, 62),
      item(9010001, 26),
      item(10010002, 8),
      item(9010002, 3),
      item(10010003, 1),
    ],
  },
  "school-gate": {
    curve: "school",
    perDay: 700,
    items: [item(6010001, 70), item(6010003, 30, 300, 2000, 50)],
  },
};

/** Shares of a day's uses by quarter hour for a kind of terminal: 96 numbers that sum to 1. */
export function curveOf(kind: TerminalKind): number[] {
  const hours = HOURLY_CURVES[USES[kind].curve];
  const weights: number[] = [];
  for (let quarter = 0; quarter < QUARTERS_PER_DAY; quarter++) {
    // An hour's figure holds in its middle, that is between its second and third quarter.
    const at = (quarter - 1.5 + QUARTERS_PER_DAY) % QUARTERS_PER_DAY;
    const hour = Math.floor(at / 4);
    const part = at / 4 - hour;
    weights.push(hours[hour]! * (1 - part) + hours[(hour + 1) % 24]! * part);
  }
  const sum = weights.reduce((a, b) => a + b, 0);
  return weights.map((weight) => weight / sum);
}
