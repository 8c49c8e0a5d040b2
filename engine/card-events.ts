// Card events (article 7): which may follow which, and what they change.

import { MEDIUM_CHIP, MEDIUM_ELECTRONIC } from "../protocol/use-record.js";
import { type CardEventCommand, OUTCOME } from "./commands.js";
import { CARD_EVENT, CARD_STATUS } from "./domain.js";
import type { State } from "./state.js";

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

/** Judges and applies a card event; returns its OUTCOME. */
export function executeCardEvent(state: State, c: CardEventCommand): number {
  const token = tokenWords(c.token);
  const row = findCard(state, token);
  switch (c.event) {
    case CARD_EVENT.LOAD:
    case CARD_EVENT.ISSUE:
    case CARD_EVENT.REPLACE:
      return newCardValid(c) ? addCard(state, c, token, row) : OUTCOME.COMMAND_INVALID;
    default:
      return changeCard(state, c.event, row);
  }
}

function addCard(state: State, c: CardEventCommand, token: Int32Array, row: number): number {
  const holderToken = tokenWords(c.holderToken!);
  let holderRow = findHolder(state, holderToken);
  if (row !== 0) return existing(state, c, row, holderRow);
  if (state.cards.table.full) return OUTCOME.TABLE_FULL;
  if (holderRow === 0 && state.holders.table.full) return OUTCOME.TABLE_FULL;
  const refused = refusal(state, c, holderRow);
  if (refused !== OUTCOME.DONE) return refused;
  if (holderRow === 0) {
    holderRow = state.holders.add(holderToken);
    if (state.blacklist.find(holderToken) !== 0) state.holders.setListed(holderRow, true);
  }
  if (c.event === CARD_EVENT.REPLACE) {
    endCard(state, findCard(state, tokenWords(c.previousToken!)), CARD_STATUS.REPLACED);
  }
  const status = c.event === CARD_EVENT.LOAD ? c.status : CARD_STATUS.ISSUED;
  const { medium, expiryDay, regionCode } = c;
  const added = state.cards.add(token, status, medium, expiryDay, regionCode, holderRow);
  if (!ended(status)) state.holders.countCard(holderRow, medium, 1, added);
  if (state.blacklist.find(token) !== 0) state.cards.setListed(added, true);
  return OUTCOME.DONE;
}

/** A card that is there: the same event again is fine, whatever has happened to the card since. */
function existing(state: State, c: CardEventCommand, row: number, holderRow: number): number {
  if (state.cards.holderRow(row) !== holderRow) return OUTCOME.HOLDER_DIFFERS;
  const same = state.cards.medium(row) === c.medium && state.cards.expiryDay(row) === c.expiryDay;
  return same ? OUTCOME.UNCHANGED : OUTCOME.CARD_EXISTS;
}

function refusal(state: State, c: CardEventCommand, holderRow: number): number {
  const chipCount = holderRow === 0 ? 0 : state.holders.chipCount(holderRow);
  if (c.event === CARD_EVENT.REPLACE) {
    const previous = findCard(state, tokenWords(c.previousToken!));
    if (previous === 0) return OUTCOME.PREVIOUS_CARD_UNKNOWN;
    if (state.cards.holderRow(previous) !== holderRow) return OUTCOME.HOLDER_DIFFERS;
    if (state.cards.medium(previous) !== c.medium) return OUTCOME.TRANSITION_NOT_ALLOWED;
    return ended(state.cards.status(previous)) ? OUTCOME.TRANSITION_NOT_ALLOWED : OUTCOME.DONE;
  }
  // Article 6: the electronic card is for a holder with a card.
  const electronic = c.event === CARD_EVENT.ISSUE && c.medium === MEDIUM_ELECTRONIC;
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

function newCardValid(c: CardEventCommand): boolean {
  if (c.medium !== MEDIUM_CHIP && c.medium !== MEDIUM_ELECTRONIC) return false;
  if (c.regionCode < 100_000 || c.regionCode > 999_999) return false;
  if (!tokenGiven(c.token) || !tokenGiven(c.holderToken)) return false;
  if (tokenGiven(c.previousToken) !== (c.event === CARD_EVENT.REPLACE)) return false;
  const statusValid = c.status >= CARD_STATUS.ISSUED && c.status <= CARD_STATUS.CANCELLED;
  return c.event === CARD_EVENT.LOAD ? statusValid : c.status === 0;
}

function findCard(state: State, token: Int32Array): number {
  return state.cards.index.find(token[0]!, token[1]!, token[2]!, token[3]!);
}

function findHolder(state: State, token: Int32Array): number {
  return state.holders.index.find(token[0]!, token[1]!, token[2]!, token[3]!);
}

/** The 16 bytes of a token as four words. */
export function tokenWords(token: Uint8Array): Int32Array {
  return new Int32Array(token.buffer.slice(token.byteOffset, token.byteOffset + 16));
}

/** Whether there is a token: one that is all zeros is none. */
export function tokenGiven(token: Uint8Array | null): boolean {
  return token?.some((byte) => byte !== 0) ?? false;
}
