// The ladder: may this card be used here, now, for this? Early returns in order of precedence, the
// first that holds is the reason. It reads the state and changes nothing; what it finds on the way
// (rows) it leaves in the use, for apply and the journal.

import { REASON } from "../protocol/reason.js";
import type { CompiledItem } from "./catalogue.js";
import { CARD_STATUS, LIST_CAUSE, LIST_SUBJECT } from "./domain.js";
import { differingField, USE_STATE } from "./duplicates.js";
import type { State } from "./state.js";
import { amountValid, formatValid, USE_WORD, type Use } from "./use.js";

const { APPROVED } = REASON;
const { ACTIVE } = CARD_STATUS;

/**
 * Whether the message may be looked at: its form, whom it speaks for, its business date. Refusals
 * here are recorded, and a repeat is judged anew: there is no place to remember them by.
 */
export function admit(state: State, use: Use): number {
  if (!formatValid(use)) return REASON.FORMAT_INVALID;
  use.terminalRow = findTerminal(state, use);
  if (use.terminalRow === 0) return REASON.TERMINAL_UNKNOWN;
  if (!speaksFor(state, use)) return REASON.TERMINAL_NOT_OF_SENDER;
  if (use.businessDate < state.duplicates.oldestDate) return REASON.DATE_TOO_OLD;
  if (use.businessDate > state.duplicates.newestDate) return REASON.DATE_AHEAD;
  return APPROVED;
}

/**
 * Whether an admitted use that is no repeat can be remembered, and a reversal its original looked
 * up. Comes after repeats: a reversal is remembered when its original's date no longer is.
 */
export function admitFirst(state: State, use: Use): number {
  const { duplicates } = state;
  const uses = use.uses!;
  if (!use.isReversal) return uses.table.full ? REASON.DUPLICATES_FULL : APPROVED;
  if (use.originalDate < duplicates.oldestDate) return REASON.DATE_TOO_OLD;
  if (use.originalDate > duplicates.newestDate) return REASON.DATE_AHEAD;
  const originals = duplicates.of(use.originalDate);
  const awaitedRows = originals.find(use.terminalId, use.originalStan) === 0 ? 1 : 0;
  const ownRows = originals === uses ? 1 + awaitedRows : 1;
  const hasRoom = uses.table.room >= ownRows && originals.table.room >= awaitedRows;
  return hasRoom ? APPROVED : REASON.DUPLICATES_FULL;
}

/** Decides an admitted use that is no repeat. */
export function decide(state: State, use: Use): number {
  return use.isReversal ? decideReversal(state, use) : decideUse(state, use);
}

function decideUse(state: State, use: Use): number {
  use.cardRow = use.tokenRow;
  // A row of its own that is no first message waits for it: a reversal made that row.
  if (use.ownRow !== 0) return REASON.REVERSAL_CAME_FIRST;
  const standing = state.standing.itemOf(use);
  const item = standing ?? state.catalogue.find(use.itemCode);
  if (standing === undefined) {
    const terminal = terminalReason(state, use, item);
    if (terminal !== APPROVED) return terminal;
  }
  if (!amountValid(use)) return REASON.AMOUNT_INVALID;
  if (!use.panValid) return REASON.CARD_NUMBER_INVALID;
  if (use.cardRow === 0) return REASON.CARD_UNKNOWN;
  if (item === undefined) return REASON.ITEM_UNKNOWN;
  if (standing === undefined) {
    const reason = itemReason(state, use, item);
    if (reason !== APPROVED) return reason;
    if (!listedAtAll(state, use)) state.standing.remember(use, item);
  }
  if (state.cards.medium(use.cardRow) !== use.medium) return REASON.MEDIUM_DIFFERS;
  const card = cardReason(state, use);
  if (card !== APPROVED) return card;
  const listed = listReason(state, use, item);
  if (listed !== APPROVED) return listed;
  if (use.amountMinor > item.amountMinorMax) return REASON.AMOUNT_OVER_LIMIT;
  // After this point, the authorization must be approved.
  return APPROVED;
}

/** What is against the terminal and its organisation. */
function terminalReason(state: State, use: Use, item: CompiledItem | undefined): number {
  const { parties } = state;
  const organisation = parties.organisation(use.terminalRow);
  if (!parties.open(use.terminalRow)) return REASON.TERMINAL_CLOSED;
  if (!organisation.open) return REASON.ORGANISATION_CLOSED;
  if (parties.listed(use.terminalRow) && terminalListed(state, use, item)) {
    return REASON.TERMINAL_LISTED;
  }
  if (organisation.listed && organisationListed(state, use, item)) {
    return REASON.ORGANISATION_LISTED;
  }
  return APPROVED;
}

/** What is against the item, here, today and with this medium. */
function itemReason(state: State, use: Use, item: CompiledItem): number {
  const { parties } = state;
  const terminal = use.terminalRow;
  if (state.today < item.startDay) return REASON.ITEM_NOT_STARTED;
  if (state.today > item.endDay) return REASON.ITEM_ENDED;
  const domains = parties.domains(terminal) & parties.organisation(terminal).domains;
  if ((domains & item.domainBit) === 0) return REASON.DOMAIN_NOT_ALLOWED;
  if (!regionServed(item, parties.regionCode(terminal))) return REASON.REGION_NOT_SERVED;
  if ((item.media & (1 << use.medium)) === 0) return REASON.MEDIUM_NOT_ALLOWED;
  return APPROVED;
}

/** Whether terminal or organisation has an entry on the blacklist, be it in force or not. */
function listedAtAll({ parties }: State, { terminalRow }: Use): boolean {
  return parties.listed(terminalRow) || parties.organisation(terminalRow).listed;
}

function decideReversal(state: State, use: Use): number {
  const uses = state.duplicates.of(use.originalDate);
  const row = uses.find(use.terminalId, use.originalStan);
  if (row === 0 || uses.waiting(row)) return REASON.ORIGINAL_NOT_FOUND;
  const originalState = uses.state(row);
  if ((originalState & USE_STATE.AWAITED) !== 0) return REASON.ALREADY_REVERSED;
  if (originalDiffers(uses.table.words, row, use)) return REASON.ORIGINAL_DIFFERS;
  if ((originalState & USE_STATE.REVERSED) !== 0) return REASON.ALREADY_REVERSED;
  if ((originalState & USE_STATE.COUNTED) === 0) return REASON.ORIGINAL_DECLINED;
  // After this point, the reversal must be approved.
  use.cardRow = use.tokenRow;
  return APPROVED;
}

/**
 * Row of the first message under the same terminal, date and STAN, or 0; a waiting row is none.
 * Leaves in the use what decide and apply need of it.
 */
export function findFirst(state: State, use: Use): number {
  const uses = state.duplicates.of(use.businessDate);
  use.uses = uses;
  use.ownRow = uses.find(use.terminalId, use.stan);
  return use.ownRow === 0 || uses.waiting(use.ownRow) ? 0 : use.ownRow;
}

/** Number of the field in which a repeat differs, 0 none (DIFFERING_FIELDS). */
export function repeatDiffers(use: Use): number {
  return differingField(use.uses!, use.ownRow, use);
}

function findTerminal(state: State, use: Use): number {
  const parties = state.parties;
  if (parties.terminalId(use.senderRow) === use.terminalId) return use.senderRow;
  return parties.find(use.terminalId);
}

/**
 * Whether the sender is the terminal, or its concentrator while that may work itself: one that is
 * closed or listed speaks for nobody, and takes no STAN of the terminals behind it.
 */
function speaksFor(state: State, use: Use): boolean {
  if (use.terminalRow === use.senderRow) return true;
  const { parties } = state;
  const senderId = parties.terminalId(use.senderRow);
  if (parties.concentratorId(use.terminalRow) !== senderId) return false;
  const organisation = parties.organisation(use.senderRow);
  if (!parties.open(use.senderRow) || !organisation.open) return false;
  if (!parties.listed(use.senderRow) && !organisation.listed) return true;
  const item = state.catalogue.find(use.itemCode);
  const { TERMINAL, ORGANISATION } = LIST_SUBJECT;
  return (
    entryInForce(state, use, TERMINAL, senderId, item) === 0 &&
    entryInForce(state, use, ORGANISATION, organisation.organisationId, item) === 0
  );
}

function regionServed(item: CompiledItem, regionCode: number): boolean {
  const ranges = item.regionRanges;
  for (let i = 0; i < ranges.length; i += 2) {
    if (regionCode >= ranges[i]! && regionCode < ranges[i + 1]!) return true;
  }
  return false;
}

function cardReason(state: State, use: Use): number {
  switch (state.cards.status(use.cardRow)) {
    case ACTIVE:
      break;
    case CARD_STATUS.ISSUED:
      return REASON.CARD_NOT_ACTIVE;
    case CARD_STATUS.SEALED:
      return REASON.CARD_SEALED;
    case CARD_STATUS.LOCKED:
      return REASON.CARD_LOCKED;
    case CARD_STATUS.LOST_TEMPORARY:
      return REASON.CARD_LOST_TEMPORARY;
    case CARD_STATUS.LOST:
      return REASON.CARD_LOST;
    case CARD_STATUS.REPLACED:
      return REASON.CARD_REPLACED;
    default:
      return REASON.CARD_CANCELLED;
  }
  return state.today > state.cards.expiryDay(use.cardRow) ? REASON.CARD_EXPIRED : APPROVED;
}

function listReason(state: State, use: Use, item: CompiledItem): number {
  const { cards, holders, blacklist } = state;
  if (cards.listed(use.cardRow)) {
    use.listRow = listed(state, use.tokens, use.tokenBase, item.domain, item.itemCode);
    if (use.listRow !== 0) {
      const stolen = blacklist.cause(use.listRow) === LIST_CAUSE.STOLEN;
      return stolen ? REASON.CARD_STOLEN : REASON.CARD_LISTED;
    }
  }
  for (let i = 1; i <= use.prefixCount; i++) {
    use.listRow = listed(state, use.tokens, use.tokenBase + 4 * i, item.domain, item.itemCode);
    if (use.listRow !== 0) return REASON.NUMBER_RANGE_LISTED;
  }
  const holderRow = cards.holderRow(use.cardRow);
  if (holders.listed(holderRow)) {
    const base = holderRow * holders.table.rowWords;
    use.listRow = listed(state, holders.table.words, base, item.domain, item.itemCode);
    if (use.listRow !== 0) return REASON.HOLDER_LISTED;
  }
  return APPROVED;
}

function listed(
  state: State,
  subject: Int32Array,
  offset: number,
  domain: number,
  itemCode: number,
): number {
  const row = state.blacklist.find(subject, offset);
  return row === 0 ? 0 : state.blacklist.inForce(row, state.nowSeconds, domain, itemCode);
}

function terminalListed(state: State, use: Use, item: CompiledItem | undefined): boolean {
  use.listRow = entryInForce(state, use, LIST_SUBJECT.TERMINAL, use.terminalId, item);
  return use.listRow !== 0;
}

function organisationListed(state: State, use: Use, item: CompiledItem | undefined): boolean {
  const { organisationId } = state.parties.organisation(use.terminalRow);
  use.listRow = entryInForce(state, use, LIST_SUBJECT.ORGANISATION, organisationId, item);
  return use.listRow !== 0;
}

/** Row of the blacklist entry in force against a terminal or organisation, or 0. */
function entryInForce(
  state: State,
  use: Use,
  kind: number,
  id: number,
  item: CompiledItem | undefined,
): number {
  const row = state.blacklist.subjects.find(id, kind, 0, 0);
  const domain = item === undefined ? 0 : item.domain;
  return state.blacklist.inForce(row, state.nowSeconds, domain, use.itemCode);
}

/** A reversal names the card, item and amount of its original. */
function originalDiffers(words: Int32Array, row: number, use: Use): boolean {
  const base = row * USE_WORD.COUNT;
  for (let i = 0; i < 4; i++) {
    if (words[base + i] !== use.tokens[use.tokenBase + i]) return true;
  }
  return (
    words[base + USE_WORD.ITEM] !== use.itemCode ||
    words[base + USE_WORD.AMOUNT] !== use.words[use.base + USE_WORD.AMOUNT] ||
    words[base + USE_WORD.AMOUNT + 1] !== use.words[use.base + USE_WORD.AMOUNT + 1]
  );
}
