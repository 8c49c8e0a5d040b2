// The ladder as the auditor reads it: what each use must be answered, and what that changes.

import type { Model, ModelItem, ModelOutcome, ModelUse } from "./model.js";
import type { SentUse } from "./wire.js";

/** Response code of each reason, from the table of the protocol's page. */
const CODES = (
  "00 30 97 58 68 90 94 91 58 58 58 58 13 14 14 12 12 12 58 58 57 22 62 62 62 41 41 62 62 54 " +
  "62 43 62 62 61 68 25 94 12 12 A0 A0 63 91 91 91 63"
).split(" ");
const REASON_APPROVED = 0;
const REASON_DUPLICATE_DIFFERS = 6;
const REASON_CAME_FIRST = 35;
/** Nothing is remembered of what was refused for these. */
const NOT_REMEMBERED = [1, 2, 3, 4, 5, 6, 7];
/** By card status: issued, active, lost for a time, lost, sealed, locked, replaced, cancelled. */
const STATUS_REASONS = [28, 22, 0, 25, 26, 23, 24, 27, 28];
const AMOUNT_MAX = 999_999_999_999;

/** What a use must be answered. */
export interface Judgement {
  /** The first answer, when this is a repeat: nothing is recorded. */
  repeatOf: ModelOutcome | null;
  /** Reasons that are right: more than one where entries of a card have several causes. */
  reasons: readonly number[];
  differing: number;
}

export function useKey(use: { date: number; terminalId: number; stan: number }): string {
  return `use ${use.date}/${use.terminalId}/${use.stan}`;
}

export function judgeUse(model: Model, senderId: number, use: SentUse): Judgement {
  const refused = admission(model, senderId, use);
  if (refused !== 0) return judged(refused);
  const first = model.usesOf(use.date).get(useKey(use));
  if (first !== undefined && first.outcome !== null) {
    const differing = difference(first, use);
    if (differing !== 0) return { ...judged(REASON_DUPLICATE_DIFFERS), differing };
    return { repeatOf: first.outcome, reasons: [], differing: 0 };
  }
  const noRoom = room(model, use);
  if (noRoom !== 0) return judged(noRoom);
  if (isReversal(use)) return judged(judgeReversal(model, use));
  return { repeatOf: null, reasons: ladder(model, use), differing: 0 };
}

function judged(reason: number): Judgement {
  return { repeatOf: null, reasons: [reason], differing: 0 };
}

function isReversal(use: SentUse): boolean {
  return use.mti === 0x0400 || use.mti === 0x0420;
}

function isAdvice(use: SentUse): boolean {
  return use.mti === 0x0120 || use.mti === 0x0420;
}

function admission(model: Model, senderId: number, use: SentUse): number {
  if (!formRight(use)) return 1;
  const terminal = model.terminals.get(use.terminalId);
  if (terminal === undefined) return 2;
  if (use.terminalId !== senderId && !mayConcentrate(model, senderId, use)) return 3;
  if (use.date < model.oldestDate) return 4;
  return use.date > model.newestDate ? 5 : 0;
}

/** A concentrator speaks for its terminals while it is open itself and on no blacklist. */
function mayConcentrate(model: Model, senderId: number, use: SentUse): boolean {
  if (model.terminals.get(use.terminalId)!.concentratorId !== senderId) return false;
  const { open, organisationId } = model.terminals.get(senderId)!;
  const domain = model.catalogue?.items.get(use.itemCode)?.domain ?? 0;
  const listed = (kind: number, id: number) =>
    model.listed(kind, String(id), domain, use.itemCode).size > 0;
  if (!open || !model.organisations.get(organisationId)!.open) return false;
  return !listed(4, senderId) && !listed(5, organisationId);
}

function formRight(use: SentUse): boolean {
  const within = (value: number, high: number) => value >= 1 && value <= high;
  if (!within(use.terminalId, 99_999_999) || !within(use.stan, 999_999)) return false;
  if (!isDate(use.date) || !within(use.itemCode, 99_999_999) || use.reservedSet) return false;
  if (use.medium !== 1 && use.medium !== 2) return false;
  if (!isReversal(use)) return use.originalStan === 0 && use.originalDate === 0;
  return within(use.originalStan, 999_999) && isDate(use.originalDate);
}

function isDate(date: number): boolean {
  const text = String(date);
  if (text.length !== 8 || text < "19700101") return false;
  const iso = `${text.slice(0, 4)}-${text.slice(4, 6)}-${text.slice(6)}`;
  const parsed = new Date(`${iso}T00:00:00Z`);
  return !Number.isNaN(parsed.getTime()) && parsed.toISOString().startsWith(iso);
}

function difference(first: ModelUse, use: SentUse): number {
  if (first.messageClass !== use.mti >> 4) return 1;
  if (first.panHex !== use.panHex) return 2;
  if (first.itemCode !== use.itemCode) return 3;
  if (first.amountHex !== use.amountHex) return 4;
  if (first.localTime !== use.localTime) return 5;
  if (first.medium !== use.medium) return 6;
  if (first.originalStan !== use.originalStan) return 7;
  return first.originalDate === use.originalDate ? 0 : 8;
}

/** A reversal needs its original's date, and room for itself and for what it may wait for. */
function room(model: Model, use: SentUse): number {
  const roomOf = (date: number) => model.rules.usesPerDateMax - model.usesOf(date).size;
  if (!isReversal(use)) return roomOf(use.date) >= 1 ? 0 : 7;
  if (use.originalDate < model.oldestDate) return 4;
  if (use.originalDate > model.newestDate) return 5;
  const waits = model.usesOf(use.originalDate).has(originalKey(use)) ? 0 : 1;
  const own = use.originalDate === use.date ? 1 + waits : 1;
  return roomOf(use.date) >= own && roomOf(use.originalDate) >= waits ? 0 : 7;
}

function originalKey(use: SentUse): string {
  return useKey({ date: use.originalDate, terminalId: use.terminalId, stan: use.originalStan });
}

function judgeReversal(model: Model, use: SentUse): number {
  const original = model.usesOf(use.originalDate).get(originalKey(use));
  if (original === undefined || original.outcome === null) return 36;
  if (original.awaited) return 37;
  const same =
    original.panHex === use.panHex &&
    original.itemCode === use.itemCode &&
    original.amountHex === use.amountHex;
  if (!same) return 39;
  if (original.reversed) return 37;
  return original.counted ? REASON_APPROVED : 38;
}

function ladder(model: Model, use: SentUse): readonly number[] {
  const terminal = model.terminals.get(use.terminalId)!;
  const organisation = model.organisations.get(terminal.organisationId)!;
  const item = model.catalogue?.items.get(use.itemCode);
  const domain = item?.domain ?? 0;
  const listed = (kind: number, id: number) => {
    return model.listed(kind, String(id), domain, use.itemCode).size > 0;
  };
  if (model.usesOf(use.date).get(useKey(use))?.awaited) return [REASON_CAME_FIRST];
  if (!terminal.open) return [8];
  if (!organisation.open) return [9];
  if (listed(4, use.terminalId)) return [10];
  if (listed(5, terminal.organisationId)) return [11];
  if (!amountRight(use)) return [12];
  if (use.pan === null) return [13];
  const card = model.cards.get(use.pan);
  if (card === undefined) return [14];
  if (item === undefined) return [15];
  if (model.today < item.startDay) return [16];
  if (model.today > item.endDay) return [17];
  if ((terminal.domains & organisation.domains & (1 << item.domain)) === 0) return [18];
  if (!served(item, terminal.regionCode)) return [19];
  if (!item.media.includes(use.medium)) return [20];
  if (card.medium !== use.medium) return [21];
  if (card.status !== 2) return [STATUS_REASONS[card.status]!];
  if (model.today > card.expiryDay) return [29];
  return cardEntries(model, use.pan, card.holder, item) ?? [overLimit(use, item)];
}

function overLimit(use: SentUse, item: ModelItem): number {
  return use.amountMinor > item.amountMinorMax ? 34 : REASON_APPROVED;
}

/** Reasons of the blacklist, or null. A card on it twice may be declined for either. */
function cardEntries(model: Model, pan: string, holder: string, item: ModelItem) {
  const causes = model.listed(1, pan, item.domain, item.itemCode);
  if (causes.size > 0) {
    return [...new Set([...causes].map((cause) => (cause === 2 ? 31 : 30)))];
  }
  for (const rows of model.entries.values()) {
    for (const row of rows) {
      if (row.subjectKind !== 3 || !pan.startsWith(row.subject)) continue;
      if (model.inForce(row, item.domain, item.itemCode)) return [32];
    }
  }
  return model.listed(2, holder, item.domain, item.itemCode).size > 0 ? [33] : null;
}

/** A code of 2 or 4 digits, or of 6 that ends in zeros, is all of what lies in it. */
function served(item: ModelItem, regionCode: number): boolean {
  const place = String(regionCode);
  return item.regions.some((region) => {
    const text = String(region).padEnd(6, "0");
    if (text.endsWith("0000")) return place.startsWith(text.slice(0, 2));
    if (text.endsWith("00")) return place.startsWith(text.slice(0, 4));
    return place === text;
  });
}

function amountRight(use: SentUse): boolean {
  return use.amountMinor >= 0 && use.amountMinor <= AMOUNT_MAX;
}

/** Takes the use with its reason at a position, and returns its answer. */
export function takeUse(
  model: Model,
  use: SentUse,
  reason: number,
  differing: number,
  position: number,
): ModelOutcome {
  const remembered = !NOT_REMEMBERED.includes(reason);
  const advised = isAdvice(use) && remembered;
  const outcome = {
    key: useKey(use),
    terminalId: use.terminalId,
    stan: use.stan,
    date: use.date,
    reason,
    code: advised ? "00" : CODES[reason]!,
    rrn: position,
    wouldDecline: advised && reason !== REASON_APPROVED,
    differing,
  };
  if (remembered) remember(model, use, reason, outcome);
  return outcome;
}

function remember(model: Model, use: SentUse, reason: number, outcome: ModelOutcome): void {
  const uses = model.usesOf(use.date);
  const counted = !isReversal(use) && counts(model, use, reason);
  uses.set(outcome.key, {
    ...use,
    messageClass: use.mti >> 4,
    outcome,
    counted,
    reversed: false,
    awaited: uses.get(outcome.key)?.awaited ?? false,
  });
  const card = use.pan === null ? undefined : model.cards.get(use.pan);
  if (counted) {
    card!.useCount++;
    card!.amountMinorTotal += use.amountMinor;
    card!.lastUseTime = model.nowSeconds;
    card!.lastUseTerminalId = use.terminalId;
  }
  if (isReversal(use)) reverse(model, use, reason);
}

/** An approved use counts, and one that an advice says has happened with a card we know. */
function counts(model: Model, use: SentUse, reason: number): boolean {
  if (reason === REASON_APPROVED) return true;
  if (!isAdvice(use) || reason === REASON_CAME_FIRST) return false;
  return use.pan !== null && model.cards.has(use.pan) && amountRight(use);
}

function reverse(model: Model, use: SentUse, reason: number): void {
  const originals = model.usesOf(use.originalDate);
  const key = originalKey(use);
  if (reason === REASON_APPROVED) {
    originals.get(key)!.reversed = true;
    const card = model.cards.get(use.pan!)!;
    card.useCount--;
    card.amountMinorTotal -= use.amountMinor;
  } else if (reason === 36 && !originals.has(key)) {
    originals.set(key, waiting());
  }
}

function waiting(): ModelUse {
  return {
    panHex: "",
    messageClass: 0,
    itemCode: 0,
    amountHex: "",
    localTime: 0,
    medium: 0,
    originalStan: 0,
    originalDate: 0,
    outcome: null,
    counted: false,
    reversed: false,
    awaited: true,
  };
}
