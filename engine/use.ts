// One use as the engine works on it: a reusable object that a wire record or a journal record is
// read into, and the journal record itself.
//
// Journal record of a use, 64 bytes: the wire record (protocol/use-record.ts) with the card number
// replaced by its token and what was decided in place of the reserved fields.
//
//   offset  size  field              type
//   0       16    token
//   16      28    as on the wire: terminalId, stan, businessDate, itemCode, amountMinor, localTime
//   44      1     medium             u8, as on the wire
//   45      1     messageClass       u8, the MTI without its last digit: 0x10, 0x12, 0x40, 0x42
//   46      2     reason             u16, protocol/reason.ts
//   48      8     reference          reversals: originalStan, originalBusinessDate; declined by
//                                    the blacklist: entryId as u64; else 0
//   56      4     catalogueVersion   u32, in force
//   60      4     cardRow            u32, row in the card table; 0 unknown card

import { WORD } from "../protocol/endian.js";
import { TERMINAL_ID_MAX } from "../protocol/frame.js";
import { isAdviceMti, isReversalMti } from "../protocol/mti.js";
import {
  AMOUNT_MINOR_MAX,
  ITEM_CODE_MAX,
  MEDIUM_CHIP,
  MEDIUM_ELECTRONIC,
  STAN_MAX,
} from "../protocol/use-record.js";
import type { DateUses } from "./duplicates.js";

/** Words of a use's record. */
export const enum USE_WORD {
  TERMINAL = 4,
  STAN = 5,
  DATE = 6,
  ITEM = 7,
  AMOUNT = 8,
  LOCAL_TIME = 10,
  /** Journal: medium, messageClass << 8, reason << 16; wire: medium, flags, reserved. */
  KINDS = 11,
  REFERENCE = 12,
  CATALOGUE = 14,
  CARD_ROW = 15,
  /** Words of a record. */
  COUNT = 16,
}

/** A use being decided. One object serves all: it is filled again for each record. */
export class Use {
  /** Words of the record (wire or journal), and where in them it starts. */
  words: Int32Array = new Int32Array(USE_WORD.COUNT);
  base = 0;
  /** Words of the tokens: the card's token and those of its prefixes, 4 words each. */
  tokens: Int32Array = new Int32Array(4);
  tokenBase = 0;
  /** Prefix tokens that follow the card's token, one for each prefix length on the blacklist. */
  prefixCount = 0;
  mti = 0;
  terminalId = 0;
  stan = 0;
  businessDate = 0;
  itemCode = 0;
  /** Fen; -1 when negative on the wire. May be over the maximum. */
  amountMinor = 0;
  medium = 0;
  originalStan = 0;
  originalDate = 0;
  panValid = false;
  /** Row of the card that its token names, or 0: found by the caller, for many uses at once. */
  tokenRow = 0;
  /** Row of the sender in the terminal table. */
  senderRow = 0;
  /** The uses of its business date, and its own row among them; 0 when there is none. */
  uses: DateUses | null = null;
  ownRow = 0;
  /** Found while deciding: rows, or 0. */
  terminalRow = 0;
  cardRow = 0;
  /** Blacklist row that declines it, or 0. */
  listRow = 0;
  isAdvice = false;
  isReversal = false;
}

/** Fills the fields that a wire record and a journal record have in common. */
export function readUse(use: Use, mti: number, words: Int32Array, base: number): void {
  if (use.words !== words) use.words = words;
  use.base = base;
  if (use.mti !== mti) {
    use.mti = mti;
    use.isAdvice = isAdviceMti(mti);
    use.isReversal = isReversalMti(mti);
  }
  use.terminalId = words[base + USE_WORD.TERMINAL]!;
  use.stan = words[base + USE_WORD.STAN]!;
  use.businessDate = words[base + USE_WORD.DATE]!;
  use.itemCode = words[base + USE_WORD.ITEM]!;
  use.amountMinor = readAmount(words, base);
  use.medium = words[base + USE_WORD.KINDS]! & 0xff;
  use.originalStan = use.isReversal ? words[base + USE_WORD.REFERENCE]! : 0;
  use.originalDate = use.isReversal ? words[base + USE_WORD.REFERENCE + 1]! : 0;
  use.uses = null;
  use.ownRow = 0;
  use.terminalRow = 0;
  use.cardRow = 0;
  use.listRow = 0;
}

/** Whether every field of a wire record but card number and amount is in its range. */
export function formatValid(use: Use): boolean {
  const words = use.words;
  const base = use.base;
  if (use.terminalId < 1 || use.terminalId > TERMINAL_ID_MAX) return false;
  if (use.stan < 1 || use.stan > STAN_MAX || !dateValid(use.businessDate)) return false;
  if (use.itemCode < 1 || use.itemCode > ITEM_CODE_MAX) return false;
  if (use.medium !== MEDIUM_CHIP && use.medium !== MEDIUM_ELECTRONIC) return false;
  if (words[base + USE_WORD.KINDS]! >>> 8 !== 0) return false;
  if (words[base + USE_WORD.CATALOGUE] !== 0 || words[base + USE_WORD.CARD_ROW] !== 0) return false;
  if (use.isReversal) {
    return use.originalStan >= 1 && use.originalStan <= STAN_MAX && dateValid(use.originalDate);
  }
  return words[base + USE_WORD.REFERENCE] === 0 && words[base + USE_WORD.REFERENCE + 1] === 0;
}

export function amountValid(use: Use): boolean {
  return use.amountMinor >= 0 && use.amountMinor <= AMOUNT_MINOR_MAX;
}

/** The byte that stands for a use's MTI in the journal. */
export function messageClass(mti: number): number {
  return mti >> 4;
}

/** The MTI of a message class. */
export function classMti(value: number): number {
  return value << 4;
}

function readAmount(words: Int32Array, base: number): number {
  const high = words[base + USE_WORD.AMOUNT + 1]!;
  if (high < 0) return -1;
  return high * WORD.RANGE + (words[base + USE_WORD.AMOUNT]! >>> 0);
}

/**
 * Whether a number is a date of the calendar, without making one. Exact: 20250230 lies between
 * 20250228 and 20250301, which may both be kept, and has no table.
 */
function dateValid(date: number): boolean {
  if (date === lastValidDate) return true;
  const dayOfMonth = date % 100;
  const month = ((date / 100) | 0) % 100;
  const year = (date / 10_000) | 0;
  if (year < 1970 || year > 9999 || month < 1 || month > 12 || dayOfMonth < 1) return false;
  const days = month === 2 ? (leap(year) ? 29 : 28) : 30 + ((month + (month >> 3)) & 1);
  if (dayOfMonth > days) return false;
  lastValidDate = date;
  return true;
}

/** Nearly all uses of a day carry the same one. */
let lastValidDate = 0;

function leap(year: number): boolean {
  return year % 4 === 0 && (year % 100 !== 0 || year % 400 === 0);
}
