// Inquiry of past decisions: what was asked, what was answered, by which rule. By reference number
// (the position), or by terminal, business date and STAN: dates whose uses are remembered are
// found in memory, older ones by reading the journal around that date, a few blocks at a time so
// that no tap waits.

import { BlockReader, type EntryView } from "../engine/block.js";
import { dayOfDate } from "../engine/calendar.js";
import { COMMAND } from "../engine/commands.js";
import { authorizationId, isRemembered, responseCodeWord } from "../engine/engine.js";
import type { State } from "../engine/state.js";
import { readUse, USE_WORD, Use } from "../engine/use.js";
import { readU64 } from "../protocol/endian.js";
import { isUseMti } from "../protocol/mti.js";
import { OUTCOME_FLAG_WOULD_DECLINE } from "../protocol/outcome-record.js";
import { REASON, RESPONSE_CODES } from "../protocol/reason.js";
import type { DecisionView } from "./control/messages.js";
import type { JournalStore } from "./journal-store.js";

const MS_PER_DAY = 86_400_000;
/** A message can be recorded this many days around its business date. */
const DAYS_AROUND = 9;
const BLOCKS_PER_TURN = 32;
const APPROVED_CODE = "00";
/** Reasons for which `reference` holds a blacklist entry. */
const LIST_REASONS = new Set<number>([
  REASON.TERMINAL_LISTED,
  REASON.ORGANISATION_LISTED,
  REASON.CARD_LISTED,
  REASON.CARD_STOLEN,
  REASON.NUMBER_RANGE_LISTED,
  REASON.HOLDER_LISTED,
]);

export class Decisions {
  constructor(
    private readonly state: State,
    private readonly journal: JournalStore,
    private readonly committedPosition: () => number,
  ) {}

  /** The decision recorded at a position, or null when there is none. */
  async byRrn(rrn: number): Promise<DecisionView | null> {
    if (rrn < 1 || rrn > this.committedPosition()) return null;
    await this.walkTo(rrn);
    const bytes = this.journal.blockOf(rrn);
    if (bytes === null) return null;
    const block = new BlockReader(bytes);
    if (rrn > block.lastPosition) return null;
    for (const entry of block.entries()) {
      if (rrn >= entry.position + Math.max(entry.count, 1)) continue;
      return isUseMti(entry.kind) && entry.count > 0 ? view(block, entry, rrn) : null;
    }
    return null;
  }

  /** The first decision under terminal, business date (YYYYMMDD) and STAN, or null. */
  async byStan(terminalId: number, businessDate: number, stan: number) {
    const { duplicates } = this.state;
    if (duplicates.keeps(businessDate)) {
      const uses = duplicates.of(businessDate);
      const row = uses.find(terminalId, stan);
      return row === 0 || uses.waiting(row) ? null : this.byRrn(uses.position(row));
    }
    if (dayOfDate(businessDate) < 0 || businessDate > duplicates.newestDate) return null;
    return this.search(terminalId, businessDate, stan);
  }

  private async search(terminalId: number, businessDate: number, stan: number) {
    const aroundMs = dayOfDate(businessDate) * MS_PER_DAY;
    const start = this.journal.positionBefore(aroundMs - DAYS_AROUND * MS_PER_DAY);
    await this.walkTo(start);
    let count = 0;
    for (const bytes of this.journal.from(start)) {
      const block = new BlockReader(bytes);
      if (block.timeMs > aroundMs + DAYS_AROUND * MS_PER_DAY) return null;
      const rrn = findIn(block, terminalId, businessDate, stan);
      if (rrn !== 0) return this.byRrn(rrn);
      if (++count % BLOCKS_PER_TURN === 0) await turn();
    }
    return null;
  }

  private async walkTo(position: number): Promise<void> {
    for (const _ of this.journal.stepsTo(position)) await turn();
  }
}

/** Taps go first. */
function turn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

function findIn(block: BlockReader, terminalId: number, date: number, stan: number): number {
  for (const entry of block.entries()) {
    if (!isUseMti(entry.kind)) continue;
    for (let i = 0; i < entry.count; i++) {
      const word = (entry.offset >> 2) + i * USE_WORD.COUNT;
      const { words } = block;
      if (words[word + USE_WORD.STAN] !== stan || words[word + USE_WORD.DATE] !== date) continue;
      if (words[word + USE_WORD.TERMINAL] !== terminalId) continue;
      if (isRemembered(words[word + USE_WORD.KINDS]! >>> 16)) return entry.position + i;
    }
  }
  return 0;
}

function view(block: BlockReader, entry: EntryView, rrn: number): DecisionView {
  const word = (entry.offset >> 2) + (rrn - entry.position) * USE_WORD.COUNT;
  const use = new Use();
  readUse(use, entry.kind, block.words, word);
  const reason = block.words[word + USE_WORD.KINDS]! >>> 16;
  const approved = responseCodeWord(entry.kind, reason) === codeWord(APPROVED_CODE);
  const listed = LIST_REASONS.has(reason) && !use.isReversal;
  return {
    rrn,
    blockPosition: block.firstPosition,
    blockHash: block.hash,
    timeMs: block.timeMs,
    mti: entry.kind,
    senderId: entry.senderId,
    keyGeneration: entry.keyGeneration,
    sequence: entry.sequence,
    asked: {
      cardToken: new Uint8Array(block.words.slice(word, word + 4).buffer),
      terminalId: use.terminalId,
      stan: use.stan,
      businessDate: use.businessDate,
      itemCode: use.itemCode,
      amountMinor: use.amountMinor,
      localTime: block.words[word + USE_WORD.LOCAL_TIME]! >>> 0,
      medium: use.medium,
      originalStan: use.originalStan,
      originalBusinessDate: use.originalDate,
    },
    answered: {
      responseCode: approved ? APPROVED_CODE : RESPONSE_CODES[reason]!,
      reason,
      authorizationId: reason === REASON.APPROVED ? authorizationId(rrn) : 0,
      flags: approved && reason !== REASON.APPROVED ? OUTCOME_FLAG_WOULD_DECLINE : 0,
    },
    rule: {
      catalogueVersion: block.words[word + USE_WORD.CATALOGUE]!,
      blacklistPosition: blacklistPosition(block, rrn),
      listEntryId: listed ? readU64(block.words, word + USE_WORD.REFERENCE) : null,
    },
  };
}

/** The last change of the blacklist before `rrn`: in this block, or the one the block names. */
function blacklistPosition(block: BlockReader, rrn: number): number {
  let position = block.blacklistPosition;
  for (const entry of block.entries()) {
    if (entry.position >= rrn) break;
    if (entry.kind === COMMAND.LIST_ENTRY) position = entry.position + entry.count - 1;
  }
  return position;
}

function codeWord(code: string): number {
  return code.charCodeAt(0) | (code.charCodeAt(1) << 8);
}
