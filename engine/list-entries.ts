// Changes of the blacklist: an entry is judged, numbered, added or removed, and the subjects it
// touches are marked, so that the usual tap need not look at the blacklist at all.

import { PAN_DIGITS_MAX } from "../protocol/pan.js";
import { type Blacklist, idSubject, type ListRow } from "./blacklist.js";
import { tokenGiven, tokenWords } from "./card-events.js";
import { LIST_ADD, LIST_REMOVE, type ListEntryCommand, OUTCOME } from "./commands.js";
import { DOMAINS, LIST_CAUSE, LIST_SCOPE, LIST_SUBJECT } from "./domain.js";
import type { State } from "./state.js";

/** Judges and applies a change. An entry added with entryId 0 gets its position as number. */
export function executeListEntry(state: State, c: ListEntryCommand, position: number): number {
  if (c.action === LIST_REMOVE) return removeEntry(state, c.entryId, position);
  if (c.action !== LIST_ADD || !entryValid(c)) return OUTCOME.COMMAND_INVALID;
  return addEntry(state, c, position);
}

function addEntry(state: State, c: ListEntryCommand, position: number): number {
  const subject = subjectWords(c);
  if (c.entryId === 0) c.entryId = freeEntryId(state.blacklist, position);
  for (let row = state.blacklist.findEntry(c.entryId); row !== 0; ) {
    const existing = state.blacklist.read(row);
    const sameSubject = state.blacklist.subjectOf(row).every((word, i) => word === subject[i]);
    if (!sameTerms(existing, c)) return OUTCOME.ENTRY_EXISTS;
    if (sameSubject) return OUTCOME.UNCHANGED;
    if (c.subjectKind !== LIST_SUBJECT.NUMBER_RANGE) return OUTCOME.ENTRY_EXISTS;
    row = state.blacklist.nextOfEntry(row);
  }
  if (state.blacklist.full) return OUTCOME.TABLE_FULL;
  state.blacklist.add(c, subject, position);
  mark(state, c.subjectKind, subject, true);
  state.registers.blacklistPosition = position;
  return OUTCOME.DONE;
}

function removeEntry(state: State, entryId: number, position: number): number {
  const blacklist = state.blacklist;
  if (blacklist.findEntry(entryId) === 0) return OUTCOME.ENTRY_UNKNOWN;
  for (let row = blacklist.findEntry(entryId); row !== 0; row = blacklist.findEntry(entryId)) {
    const { subjectKind } = blacklist.read(row);
    const subject = blacklist.subjectOf(row);
    blacklist.remove(row);
    if (blacklist.find(subject) === 0) mark(state, subjectKind, subject, false);
  }
  state.registers.blacklistPosition = position;
  return OUTCOME.DONE;
}

function mark(state: State, subjectKind: number, subject: Int32Array, listed: boolean): void {
  const id = subject[0]!;
  if (subjectKind === LIST_SUBJECT.CARD) {
    const row = state.cards.index.findAt(subject, 0);
    if (row !== 0) state.cards.setListed(row, listed);
  } else if (subjectKind === LIST_SUBJECT.HOLDER) {
    const row = state.holders.index.findAt(subject, 0);
    if (row !== 0) state.holders.setListed(row, listed);
  } else if (subjectKind === LIST_SUBJECT.TERMINAL) {
    const row = state.parties.find(id);
    if (row !== 0) state.parties.setTerminalListed(row, listed);
  } else if (subjectKind === LIST_SUBJECT.ORGANISATION) {
    const view = state.parties.organisations.get(id >>> 0);
    if (view !== undefined) view.listed = listed;
  }
}

function entryValid(c: ListEntryCommand): boolean {
  const isRange = c.subjectKind === LIST_SUBJECT.NUMBER_RANGE;
  if (c.subjectKind < LIST_SUBJECT.CARD || c.subjectKind > LIST_SUBJECT.ORGANISATION) return false;
  const byId = c.subjectKind >= LIST_SUBJECT.TERMINAL;
  if (byId ? c.subjectId === 0 : !tokenGiven(c.subjectToken)) return false;
  if (isRange ? c.prefixDigits < 1 || c.prefixDigits > PAN_DIGITS_MAX : c.prefixDigits !== 0) {
    return false;
  }
  if (c.cause < LIST_CAUSE.LOST || c.cause > LIST_CAUSE.TECHNICAL) return false;
  if (c.untilTime !== 0 && c.untilTime <= c.fromTime) return false;
  if (!Number.isSafeInteger(c.entryId) || c.entryId < 0) return false;
  if (c.scopeKind === LIST_SCOPE.ALL) return c.scopeValue === 0;
  if (c.scopeKind === LIST_SCOPE.DOMAIN) return c.scopeValue >= 1 && c.scopeValue < DOMAINS.length;
  return c.scopeKind === LIST_SCOPE.ITEM && c.scopeValue >= 1;
}

function sameTerms(existing: ListRow, c: ListEntryCommand): boolean {
  return (
    existing.subjectKind === c.subjectKind &&
    existing.scopeKind === c.scopeKind &&
    existing.scopeValue === c.scopeValue &&
    existing.cause === c.cause &&
    existing.fromTime === c.fromTime &&
    existing.untilTime === c.untilTime &&
    existing.organisationId === c.organisationId
  );
}

function subjectWords(c: ListEntryCommand): Int32Array {
  const byId = c.subjectKind >= LIST_SUBJECT.TERMINAL;
  return byId ? idSubject(c.subjectKind, c.subjectId | 0) : tokenWords(c.subjectToken!);
}

function freeEntryId(blacklist: Blacklist, position: number): number {
  let entryId = position;
  while (blacklist.findEntry(entryId) !== 0) entryId++;
  return entryId;
}
