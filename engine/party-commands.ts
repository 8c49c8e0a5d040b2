// Changes of terminals, organisations and sessions.

import { TERMINAL_ID_MAX } from "../protocol/frame.js";
import { MAC_ALGORITHM_NAMES, MAC_KEY_SIZES } from "../protocol/mac-algorithms.js";
import { MASTER_KEY_VERSION_MAX } from "../protocol/management.js";
import { idSubject } from "./blacklist.js";
import { regionRange } from "./catalogue.js";
import {
  type Organisation,
  OUTCOME,
  SESSION_KEY_CHANGE,
  SESSION_SIGN_OFF,
  SESSION_SIGN_ON,
  type SessionCommand,
  type TerminalCommand,
} from "./commands.js";
import { DOMAINS, LIST_SUBJECT, PARTY_STATUS } from "./domain.js";
import { domainMask } from "./parties.js";
import type { State } from "./state.js";

/** A wrapped key is longer than the key by one block of RFC 3394. */
const WRAP_SIZE = 8;

/** Judges and applies an organisation's document. */
export function executeOrganisation(
  state: State,
  organisation: Organisation | null,
  bytes: Uint8Array,
): number {
  if (organisation === null || !organisationValid(organisation)) return OUTCOME.COMMAND_INVALID;
  const { organisationId, parentId } = organisation;
  const { organisations } = state.parties;
  if (parentId !== 0 && !organisations.has(parentId)) return OUTCOME.ORGANISATION_UNKNOWN;
  if (under(state, parentId, organisationId)) return OUTCOME.COMMAND_INVALID;
  const stored = state.documents.get(`organisation/${organisationId}`);
  if (stored !== undefined && Buffer.compare(stored, bytes) === 0) return OUTCOME.UNCHANGED;
  state.parties.setOrganisation(organisation, Uint8Array.from(bytes));
  const subject = idSubject(LIST_SUBJECT.ORGANISATION, organisationId);
  organisations.get(organisationId)!.listed = state.blacklist.find(subject) !== 0;
  return OUTCOME.DONE;
}

/** Judges and applies a terminal. */
export function executeTerminal(state: State, c: TerminalCommand): number {
  if (!terminalValid(c)) return OUTCOME.COMMAND_INVALID;
  const { parties } = state;
  if (!parties.organisations.has(c.organisationId)) return OUTCOME.ORGANISATION_UNKNOWN;
  const row = parties.find(c.terminalId);
  if (c.concentratorId !== 0 && parties.find(c.concentratorId) === 0) {
    return OUTCOME.CONCENTRATOR_UNKNOWN;
  }
  if (row === 0 && c.wrappedKey === null) return OUTCOME.MASTER_KEY_MISSING;
  if (row === 0 && parties.table.full) return OUTCOME.TABLE_FULL;
  if (row !== 0 && c.wrappedKey === null && parties.macAlgorithm(row) !== c.macAlgorithm) {
    return OUTCOME.MASTER_KEY_MISSING;
  }
  if (row !== 0 && unchanged(state, row, c)) return OUTCOME.UNCHANGED;
  const keyStays = row !== 0 && sameKey(state, row, c);
  parties.setTerminal(c);
  const placed = parties.find(c.terminalId);
  state.sessions.cover(placed);
  if (!keyStays) state.sessions.endUnlessUnder(placed, parties.previousKeyVersion(placed));
  const subject = idSubject(LIST_SUBJECT.TERMINAL, c.terminalId);
  if (row === 0 && state.blacklist.find(subject) !== 0) parties.setTerminalListed(placed, true);
  return OUTCOME.DONE;
}

/**
 * Judges and applies a session's begin, key change or end. The most sessions are not asked of one
 * that is `recorded`: the limit is the operator's, who may have lowered it since.
 */
export function executeSession(state: State, c: SessionCommand, recorded: boolean): number {
  const row = state.parties.find(c.terminalId);
  if (row === 0) return OUTCOME.TERMINAL_UNKNOWN;
  const { sessions, nowSeconds } = state;
  if (c.action === SESSION_SIGN_OFF) {
    if (!sessions.signedOn(row)) return OUTCOME.UNCHANGED;
    sessions.close(row);
    return OUTCOME.DONE;
  }
  if (c.action !== SESSION_SIGN_ON && c.action !== SESSION_KEY_CHANGE) {
    return OUTCOME.COMMAND_INVALID;
  }
  if (c.expiresAt <= nowSeconds || c.macAlgorithm !== state.parties.macAlgorithm(row)) {
    return OUTCOME.COMMAND_INVALID;
  }
  if (c.keyGeneration !== sessions.lastGeneration(row) + 1) return OUTCOME.KEY_GENERATION_WRONG;
  const key = state.parties.masterKey(row, c.masterKeyVersion);
  const keySize = key === null ? 0 : key.wrapped.length - WRAP_SIZE;
  if (keySize !== MAC_KEY_SIZES[c.macAlgorithm]) return OUTCOME.MASTER_KEY_MISSING;
  if (!recorded && !sessions.hasRoom(row, nowSeconds)) return OUTCOME.TABLE_FULL;
  sessions.open(row, c, nowSeconds + state.limits.keyOverlapSeconds);
  return OUTCOME.DONE;
}

function organisationValid(o: Organisation): boolean {
  return (
    isId(o.organisationId, 2 ** 31 - 1) &&
    typeof o.name === "string" &&
    o.name !== "" &&
    regionRange(o.regionCode) !== null &&
    o.regionCode >= 100_000 &&
    (o.parentId === 0 || isId(o.parentId, 2 ** 31 - 1)) &&
    o.parentId !== o.organisationId &&
    Array.isArray(o.domains) &&
    o.domains.every((name) => DOMAINS.indexOf(name) > 0) &&
    (o.status === "open" || o.status === "closed")
  );
}

function terminalValid(c: TerminalCommand): boolean {
  const keySize = c.wrappedKey === null ? 0 : c.wrappedKey.length - WRAP_SIZE;
  const keyValid =
    c.wrappedKey === null
      ? c.masterKeyVersion === 0
      : isId(c.masterKeyVersion, MASTER_KEY_VERSION_MAX) && c.checkValue !== null;
  return (
    isId(c.terminalId, TERMINAL_ID_MAX) &&
    isId(c.organisationId, 2 ** 31 - 1) &&
    c.regionCode >= 100_000 &&
    regionRange(c.regionCode) !== null &&
    (c.concentratorId === 0 || isId(c.concentratorId, TERMINAL_ID_MAX)) &&
    c.concentratorId !== c.terminalId &&
    (c.status === PARTY_STATUS.OPEN || c.status === PARTY_STATUS.CLOSED) &&
    c.macAlgorithm >= 1 &&
    c.macAlgorithm < MAC_ALGORITHM_NAMES.length &&
    (keySize === 0 || keySize === MAC_KEY_SIZES[c.macAlgorithm]) &&
    keyValid &&
    (c.domains & ~domainMask(DOMAINS.slice(1))) === 0
  );
}

function unchanged(state: State, row: number, c: TerminalCommand): boolean {
  const { parties } = state;
  return (
    sameKey(state, row, c) &&
    parties.organisation(row).organisationId === c.organisationId &&
    parties.regionCode(row) === c.regionCode &&
    parties.domains(row) === c.domains &&
    parties.concentratorId(row) === c.concentratorId &&
    parties.open(row) === (c.status === PARTY_STATUS.OPEN) &&
    parties.macAlgorithm(row) === c.macAlgorithm
  );
}

/** Whether the master key stays as it is. */
function sameKey(state: State, row: number, c: TerminalCommand): boolean {
  if (c.wrappedKey === null) return true;
  const key = state.parties.masterKey(row, c.masterKeyVersion);
  const current = c.masterKeyVersion === state.parties.masterKeyVersion(row);
  return current && key !== null && Buffer.compare(key.wrapped, c.wrappedKey) === 0;
}

/** Whether `ancestorId` is `organisationId` or above it: organisations are a tree (article 4). */
function under(state: State, organisationId: number, ancestorId: number): boolean {
  for (let id = organisationId; id !== 0; ) {
    if (id === ancestorId) return true;
    id = state.parties.organisations.get(id)!.parentId;
  }
  return false;
}

function isId(value: number, max: number): boolean {
  return Number.isInteger(value) && value >= 1 && value <= max;
}
