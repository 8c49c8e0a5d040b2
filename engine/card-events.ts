// Card events (article 7): which may follow which, and what they change.
//
// A command is read in place, as the words it stands in: an import executes millions of them.

import { assert } from "../protocol/assert.js";
import { MEDIUM_CHIP, MEDIUM_ELECTRONIC } from "../protocol/use-record.js";
import {
  CARD_EVENT_EXPIRY_WORD,
  CARD_EVENT_HOLDER_WORD,
  CARD_EVENT_KINDS_WORD,
  CARD_EVENT_PREVIOUS_WORD,
  CARD_EVENT_REGION_WORD,
  CARD_EVENT_TOKEN_WORD,
  CARD_EVENT_WORDS,
  OUTCOME,
} from "./commands.js";
import { CARD_EVENT, CARD_STATUS } from "./domain.js";
import type { State } from "./state.js";

assert(CARD_EVENT_TOKEN_WORD === 0, "a card is added from the token at the head of the words");

const REGION_MIN = 100_000;
const REGION_MAX = 999_999;

/** For each event on an existing card: states from which it leads to which. */
const TRANSITIONS: Readonly<Record<number, { from: readonly number[]; to: number }>> = {
  [CARD_EVENT.ACTIVATE]: { from: [CARD_STATUS.ISSUED], to: CARD_STATUS.ACTIVE },
  [CARD_EVENT.LOSE_TEMPORARY]: {
    from: [CARD_STATUS.ISSUED, CARD_STATUS.ACTIVE],
    to: CARD_STATUS.LOST_TEMPORARY,
  },
  [CARD_EVENT.LOSE]: {
    from: [CARD_STATUS.ISSUED, CARD_STATUS.ACTIVE, CARD_STATUS.LOST_TEMPORARY],
    to: CARD_STATUS.LOST,
  },
  [CARD_EVENT.RELEASE]: {
    from: [CARD_STATUS.LOST_TEMPORARY, CARD_STATUS.LOST],
    to: CARD_STATUS.ACTIVE,
  },
  [CARD_EVENT.CANCEL]: {
    from: [
      CARD_STATUS.ISSUED,
      CARD_STATUS.ACTIVE,
      CARD_STATUS.LOST_TEMPORARY,
      CARD_STATUS.LOST,
      CARD_STATUS.SEALED,
      CARD_STATUS.LOCKED,
    ],
    to: CARD_STATUS.CANCELLED,
  },
};

/** Brings into the cache where the cards and holders of `count` events will be looked up. */
export function warmCardEvents({ cards, holders }: State, c: Int32Array, count: number): number {
  const seen = cards.index.warm(c, CARD_EVENT_TOKEN_WORD, CARD_EVENT_WORDS, count);
  return seen | holders.index.warm(c, CARD_EVENT_HOLDER_WORD, CARD_EVENT_WORDS, count);
}

/** Judges and applies the card event in `c`, as words; returns its OUTCOME. */
export function executeCardEvent(state: State, c: Int32Array): number {
  const row = state.cards.index.findAt(c, CARD_EVENT_TOKEN_WORD);
  const event = eventOf(c);
  switch (event) {
    case CARD_EVENT.LOAD:
    case CARD_EVENT.ISSUE:
    case CARD_EVENT.REPLACE:
      return newCardValid(c) ? addCard(state, c, event, row) : OUTCOME.COMMAND_INVALID;
    default:
      return changeCard(state, event, row);
  }
}

function addCard(state: State, c: Int32Array, event: number, row: number): number {
  let holderRow = state.holders.index.findAt(c, CARD_EVENT_HOLDER_WORD);
  if (row !== 0) return existing(state, c, row, holderRow);
  if (state.cards.table.full) return OUTCOME.TABLE_FULL;
  if (holderRow === 0 && state.holders.table.full) return OUTCOME.TABLE_FULL;
  const refused = refusal(state, c, event, holderRow);
  if (refused !== OUTCOME.DONE) return refused;
  if (holderRow === 0) {
    holderRow = state.holders.add(c, CARD_EVENT_HOLDER_WORD);
    const listed = state.blacklist.find(c, CARD_EVENT_HOLDER_WORD) !== 0;
    if (listed) state.holders.setListed(holderRow, true);
  }
  if (event === CARD_EVENT.REPLACE) {
    endCard(state, state.cards.index.findAt(c, CARD_EVENT_PREVIOUS_WORD), CARD_STATUS.REPLACED);
  }
  const status = event === CARD_EVENT.LOAD ? statusOf(c) : CARD_STATUS.ISSUED;
  const medium = mediumOf(c);
  const added = state.cards.add(c, status, medium, expiryOf(c), regionOf(c), holderRow);
  if (!ended(status)) state.holders.countCard(holderRow, medium, 1, added);
  const listed = state.blacklist.find(c, CARD_EVENT_TOKEN_WORD) !== 0;
  if (listed) state.cards.setListed(added, true);
  return OUTCOME.DONE;
}

/** A card that is there: the same event again is fine, whatever has happened to the card since. */
function existing(state: State, c: Int32Array, row: number, holderRow: number): number {
  if (state.cards.holderRow(row) !== holderRow) return OUTCOME.HOLDER_DIFFERS;
  const sameMedium = state.cards.medium(row) === mediumOf(c);
  const same = sameMedium && state.cards.expiryDay(row) === expiryOf(c);
  return same ? OUTCOME.UNCHANGED : OUTCOME.CARD_EXISTS;
}

function refusal(state: State, c: Int32Array, event: number, holderRow: number): number {
  const chipCount = holderRow === 0 ? 0 : state.holders.chipCount(holderRow);
  if (event === CARD_EVENT.REPLACE) {
    const previous = state.cards.index.findAt(c, CARD_EVENT_PREVIOUS_WORD);
    if (previous === 0) return OUTCOME.PREVIOUS_CARD_UNKNOWN;
    if (state.cards.holderRow(previous) !== holderRow) return OUTCOME.HOLDER_DIFFERS;
    if (state.cards.medium(previous) !== mediumOf(c)) return OUTCOME.TRANSITION_NOT_ALLOWED;
    return ended(state.cards.status(previous)) ? OUTCOME.TRANSITION_NOT_ALLOWED : OUTCOME.DONE;
  }
  // Article 6: the electronic card is for a holder with a card.
  const electronic = event === CARD_EVENT.ISSUE && mediumOf(c) === MEDIUM_ELECTRONIC;
  return electronic && chipCount === 0 ? OUTCOME.HOLDER_WITHOUT_CARD : OUTCOME.DONE;
}

function changeCard(state: State, event: number, row: number): number {
  const transition = TRANSITIONS[event];
  if (transition === undefined) return OUTCOME.COMMAND_INVALID;
  if (row === 0) return OUTCOME.CARD_UNKNOWN;
  const status = state.cards.status(row);
  const released = event === CARD_EVENT.RELEASE && !state.cards.activated(row);
  const to = released ? CARD_STATUS.ISSUED : transition.to;
  if (status === to) return OUTCOME.UNCHANGED;
  if (!transition.from.includes(status)) return OUTCOME.TRANSITION_NOT_ALLOWED;
  if (ended(to)) endCard(state, row, to);
  else state.cards.setStatus(row, to);
  return OUTCOME.DONE;
}

function endCard(state: State, row: number, status: number): void {
  state.cards.setStatus(row, status);
  state.holders.countCard(state.cards.holderRow(row), state.cards.medium(row), -1, row);
}

function ended(status: number): boolean {
  return status === CARD_STATUS.REPLACED || status === CARD_STATUS.CANCELLED;
}

function newCardValid(c: Int32Array): boolean {
  const medium = mediumOf(c);
  const status = statusOf(c);
  const regionCode = regionOf(c);
  if (medium !== MEDIUM_CHIP && medium !== MEDIUM_ELECTRONIC) return false;
  if (regionCode < REGION_MIN || regionCode > REGION_MAX) return false;
  if (!wordsGiven(c, CARD_EVENT_TOKEN_WORD) || !wordsGiven(c, CARD_EVENT_HOLDER_WORD)) return false;
  const replaces = eventOf(c) === CARD_EVENT.REPLACE;
  if (wordsGiven(c, CARD_EVENT_PREVIOUS_WORD) !== replaces) return false;
  const statusValid = status >= CARD_STATUS.ISSUED && status <= CARD_STATUS.CANCELLED;
  return eventOf(c) === CARD_EVENT.LOAD ? statusValid : status === 0;
}

function eventOf(c: Int32Array): number {
  return c[CARD_EVENT_KINDS_WORD]! & 0xff;
}

function mediumOf(c: Int32Array): number {
  return (c[CARD_EVENT_KINDS_WORD]! >>> 8) & 0xff;
}

function statusOf(c: Int32Array): number {
  return (c[CARD_EVENT_KINDS_WORD]! >>> 16) & 0xff;
}

function expiryOf(c: Int32Array): number {
  return c[CARD_EVENT_EXPIRY_WORD]! & 0xffff;
}

function regionOf(c: Int32Array): number {
  return c[CARD_EVENT_REGION_WORD]! >>> 0;
}

function wordsGiven(words: Int32Array, at: number): boolean {
  return (words[at]! | words[at + 1]! | words[at + 2]! | words[at + 3]!) !== 0;
}

/** The 16 bytes of a token as four words. */
export function tokenWords(token: Uint8Array): Int32Array {
  const words = new Int32Array(4);
  // A small typed array is made ten times as fast as a buffer of its own.
  for (let i = 0; i < 16; i++) words[i >> 2] = words[i >> 2]! | (token[i]! << (8 * (i & 3)));
  return words;
}

/** Whether there is a token: one that is all zeros is none. */
export function tokenGiven(token: Uint8Array | null): boolean {
  return token?.some((byte) => byte !== 0) ?? false;
}
