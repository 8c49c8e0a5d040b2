// What a decided use changes: the table of repeats, the card's counters, the original of a
// reversal. Cannot fail, and replay runs the very same.

import { REASON } from "../protocol/reason.js";
import { fillRow, USE_STATE } from "./duplicates.js";
import type { State } from "./state.js";
import { amountValid, type Use } from "./use.js";

const { APPROVED } = REASON;

/**
 * Applies an admitted use with its reason, at its position; `findFirst` has looked for it, and it
 * is read from its journal record.
 */
export function apply(state: State, use: Use, reason: number, position: number): void {
  const uses = use.uses!;
  const isNew = use.ownRow === 0;
  const row = isNew ? uses.add(use.terminalId, use.stan) : use.ownRow;
  const counted = !use.isReversal && counts(use, reason);
  const before = isNew ? 0 : uses.state(row);
  fillRow(uses, row, use, position, counted ? before | USE_STATE.COUNTED : before);
  if (use.isReversal) applyReversal(state, use, reason);
  else if (counted) {
    state.cards.countUse(use.cardRow, use.amountMinor, state.nowSeconds, use.terminalId);
  }
}

/** An approved use counts; so does an advised one of a known card, for it has happened. */
function counts(use: Use, reason: number): boolean {
  if (reason === APPROVED) return true;
  if (!use.isAdvice || reason === REASON.REVERSAL_CAME_FIRST) return false;
  return use.cardRow !== 0 && amountValid(use);
}

function applyReversal(state: State, use: Use, reason: number): void {
  const uses = state.duplicates.of(use.originalDate);
  const original = uses.find(use.terminalId, use.originalStan);
  if (reason === APPROVED) {
    uses.setState(original, uses.state(original) | USE_STATE.REVERSED);
    state.cards.uncountUse(use.cardRow, use.amountMinor);
  } else if (reason === REASON.ORIGINAL_NOT_FOUND && original === 0) {
    uses.setState(uses.add(use.terminalId, use.originalStan), USE_STATE.AWAITED);
  }
}
