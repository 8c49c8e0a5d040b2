// What a decided use changes: the table of repeats, the card's counters, the original of a
// reversal. Cannot fail, and replay runs the very same.

import { REASON } from "../protocol/reason.js";
import { type DateUses, fillRow, USE_AWAITED, USE_COUNTED, USE_REVERSED } from "./duplicates.js";
import type { State } from "./state.js";
import { amountValid, messageClass, type Use } from "./use.js";

/** Applies an admitted use with its reason, at its position; `findFirst` has looked for it. */
export function apply(state: State, use: Use, reason: number, position: number): void {
  const uses = use.uses!;
  const row = use.ownRow === 0 ? uses.add(use.terminalId, use.stan) : use.ownRow;
  const kinds = use.medium | (messageClass(use.mti) << 8) | (reason << 16);
  fillRow(uses, row, use, kinds);
  uses.setPosition(row, position);
  if (use.isReversal) applyReversal(state, use, reason);
  else if (counts(use, reason)) count(state, use, uses, row);
}

/** An approved use counts; so does an advised one of a known card, for it has happened. */
function counts(use: Use, reason: number): boolean {
  if (reason === REASON.APPROVED) return true;
  if (!use.isAdvice || reason === REASON.REVERSAL_CAME_FIRST) return false;
  return use.cardRow !== 0 && amountValid(use);
}

function count(state: State, use: Use, uses: DateUses, row: number): void {
  uses.setState(row, uses.state(row) | USE_COUNTED);
  state.cards.countUse(use.cardRow, use.amountMinor, state.nowSeconds, use.terminalId);
}

function applyReversal(state: State, use: Use, reason: number): void {
  const uses = state.duplicates.of(use.originalDate);
  const original = uses.find(use.terminalId, use.originalStan);
  if (reason === REASON.APPROVED) {
    uses.setState(original, uses.state(original) | USE_REVERSED);
    state.cards.uncountUse(use.cardRow, use.amountMinor);
  } else if (reason === REASON.ORIGINAL_NOT_FOUND && original === 0) {
    uses.setState(uses.add(use.terminalId, use.originalStan), USE_AWAITED);
  }
}
