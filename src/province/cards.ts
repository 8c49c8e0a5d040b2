// The cards of a holder: a chip card, the one it replaced if any, and an electronic card for most.
//
// A card number is six digits of its issuer, twelve of a serial and the check digit. The serial is
// a keyed one-to-one mapping of (holder, slot), so numbers look drawn at random, never collide, and
// any of them can be made alone. The issuers are made up within 62 (UnionPay): no bank's numbers.

import { CARD_STATUS } from "../../engine/domain.js";
import { luhnDigit } from "../../protocol/pan.js";
import { MEDIUM_CHIP, MEDIUM_ELECTRONIC } from "../../protocol/use-record.js";
import { dateOf } from "../dates.js";
import type { Holder } from "./holders.js";
import { draw, hash32, PURPOSE, permute } from "./random.js";
import { CARD_YEARS, RATES } from "./rates.js";

const CHIP_ISSUERS = ["623071", "623072", "623073", "623074", "623075", "623076"];
const ELECTRONIC_ISSUER = "623079";
/** Serials have twelve digits: two halves of six for the permutation. */
const SERIAL_HALF = 1_000_000;

const SLOT_CHIP = 0;
const SLOT_CHIP_BEFORE = 1;
const SLOT_ELECTRONIC = 2;
const SLOTS = 4;
const DAYS_PER_YEAR = 365;
const EXPIRED_DAYS_MAX = 2 * DAYS_PER_YEAR;

export interface Card {
  cardNumber: string;
  idNumber: string;
  /** 1 chip, 2 electronic. */
  medium: number;
  /** CARD_STATUS. */
  status: number;
  regionCode: number;
  /** YYYYMMDD, last day of use. */
  expiryDate: number;
}

/** States a chip card is found in; what is left over is active. */
const CHIP_STATES: readonly (readonly [status: number, rate: number])[] = [
  [CARD_STATUS.ISSUED, RATES.notYetActive],
  [CARD_STATUS.LOST_TEMPORARY, RATES.lostTemporary],
  [CARD_STATUS.LOST, RATES.lost],
  [CARD_STATUS.SEALED, RATES.sealed],
  [CARD_STATUS.LOCKED, RATES.locked],
  [CARD_STATUS.CANCELLED, RATES.cancelled],
];

/** All cards of a holder, the replaced one first. `today` is days since 1970-01-01. */
export function cardsOf(seed: number, today: number, holder: Holder): Card[] {
  const cards: Card[] = [];
  const status = chipStatus(seed, holder.index);
  if (draw(seed, PURPOSE.REPLACED, holder.index) < RATES.replaced) {
    cards.push(card(seed, today, holder, SLOT_CHIP_BEFORE, CARD_STATUS.REPLACED));
  }
  cards.push(card(seed, today, holder, SLOT_CHIP, status));
  if (hasElectronic(seed, holder.index, status)) {
    cards.push(card(seed, today, holder, SLOT_ELECTRONIC, CARD_STATUS.ACTIVE));
  }
  return cards;
}

/** The card a holder carries: the electronic one when `electronic` and there is one. */
export function cardInHand(seed: number, today: number, holder: Holder, electronic: boolean): Card {
  const status = chipStatus(seed, holder.index);
  if (electronic && hasElectronic(seed, holder.index, status)) {
    return card(seed, today, holder, SLOT_ELECTRONIC, CARD_STATUS.ACTIVE);
  }
  return card(seed, today, holder, SLOT_CHIP, status);
}

function hasElectronic(seed: number, index: number, status: number): boolean {
  if (status !== CARD_STATUS.ACTIVE) return false;
  return draw(seed, PURPOSE.ELECTRONIC, index) < RATES.electronic;
}

function chipStatus(seed: number, index: number): number {
  let left = draw(seed, PURPOSE.CHIP, index);
  for (const [status, rate] of CHIP_STATES) {
    if (left < rate) return status;
    left -= rate;
  }
  return CARD_STATUS.ACTIVE;
}

function card(seed: number, today: number, holder: Holder, slot: number, status: number): Card {
  const instance = holder.index * SLOTS + slot;
  return {
    cardNumber: cardNumber(seed, instance, issuer(seed, holder.index, slot)),
    idNumber: holder.idNumber,
    medium: slot === SLOT_ELECTRONIC ? MEDIUM_ELECTRONIC : MEDIUM_CHIP,
    status,
    regionCode: holder.regionCode,
    expiryDate: expiryDate(seed, today, instance),
  };
}

function issuer(seed: number, index: number, slot: number): string {
  if (slot === SLOT_ELECTRONIC) return ELECTRONIC_ISSUER;
  return CHIP_ISSUERS[hash32(seed, PURPOSE.ISSUER, index) % CHIP_ISSUERS.length]!;
}

function cardNumber(seed: number, instance: number, issuerDigits: string): string {
  const serial = permute(seed, PURPOSE.CARD_NUMBER, SERIAL_HALF, instance);
  const digits = issuerDigits + String(serial).padStart(12, "0");
  return digits + String(luhnDigit(digits));
}

/** First and last number of a range of one issuer's chip cards: a faulty batch. */
export function cardNumberRange(seed: number, batch: number): [from: string, to: string] {
  const serials = SERIAL_HALF * SERIAL_HALF;
  const size = Math.floor(serials * RATES.rangeListed);
  const from = Math.floor(draw(seed, PURPOSE.LIST_CONTENT, batch) * (serials - size));
  const issuerDigits = CHIP_ISSUERS[batch % CHIP_ISSUERS.length]!;
  const number = (serial: number) => issuerDigits + String(serial).padStart(12, "0");
  return [`${number(from)}0`, `${number(from + size - 1)}9`];
}

function expiryDate(seed: number, today: number, instance: number): number {
  const at = draw(seed, PURPOSE.EXPIRY, instance);
  if (at < RATES.expired) {
    return dateOf(today - 1 - Math.floor((at / RATES.expired) * EXPIRED_DAYS_MAX));
  }
  const left = (at - RATES.expired) / (1 - RATES.expired);
  return dateOf(today + Math.floor(left * CARD_YEARS * DAYS_PER_YEAR));
}
