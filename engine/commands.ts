// Commands: every change that is not a card use, in the binary form in which it is handed to the
// engine and stands in the journal. A command is applied or refused with a CommandOutcome.
//
// Times are seconds since 1970 UTC; days are days since 1970-01-01 of the calendar in UTC+8;
// region codes are GB/T 2260 padded to six digits (46 is 460000). Little-endian.
//
// Card event, 64 bytes
//   0   16  token            card number, tokenized
//   16  16  holderToken      ID number, tokenized (LOAD, ISSUE, REPLACE); else 0
//   32  16  previousToken    REPLACE: the card that ends; else 0
//   48  4   regionCode       u32, issuing region (LOAD, ISSUE, REPLACE); else 0
//   52  1   event            CARD_EVENT
//   53  1   medium           1 chip, 2 electronic (LOAD, ISSUE, REPLACE); else 0
//   54  1   status           LOAD: CARD_STATUS; else 0
//   55  1   reserved         0
//   56  2   expiryDay        u16, last day of use (LOAD, ISSUE, REPLACE); else 0
//   58  2   reserved         0
//   60  4   organisationId   u32, who reports it; 0 when it is the operator
//
// Blacklist entry, 64 bytes
//   0   16  subjectToken     card, holder or prefix token; else 0
//   16  4   subjectId        u32, terminalId or organisationId; else 0
//   20  1   subjectKind      LIST_SUBJECT
//   21  1   action           1 add, 2 remove (by entryId; subject fields 0)
//   22  1   scopeKind        LIST_SCOPE
//   23  1   cause            LIST_CAUSE
//   24  4   scopeValue       u32, domain number or itemCode
//   28  1   prefixDigits     NUMBER_RANGE: 1..19; else 0
//   29  3   reserved         0
//   32  8   entryId          u64 up to 2^53-1; add: 0 lets the engine number it
//   40  4   fromTime         u32, first second in force
//   44  4   untilTime        u32, first second no longer in force; 0 is open-ended
//   48  4   organisationId   u32, source
//   52  12  reserved         0
//
// Terminal, 96 bytes
//   0   4   terminalId       u32
//   4   4   organisationId   u32
//   8   4   regionCode       u32, place of use
//   12  4   domains          u32, bit mask
//   16  4   concentratorId   u32, terminal that may speak for this one; 0 none
//   20  1   status           PARTY_STATUS
//   21  1   macAlgorithm     protocol/mac-algorithms.ts
//   22  1   wrappedKeySize   24 or 40; 0 leaves the master key as it is
//   23  1   reserved         0
//   24  4   masterKeyVersion u32, 1 and up; 0 with wrappedKeySize 0
//   28  3   checkValue       first three bytes of the MAC of sixteen zero bytes
//   31  1   reserved         0
//   32  40  wrappedKey       RFC 3394 under the key-wrapping key; rest 0
//   72  24  reserved         0
//
// Organisation and catalogue: UTF-8 JSON, the types Organisation and CatalogueVersion below.
//
// Session, 64 bytes
//   0   4   terminalId       u32
//   4   4   keyGeneration    u32, one more than the terminal's last
//   8   4   expiresAt        u32
//   12  1   action           1 sign-on, 2 key change, 3 sign-off
//   13  1   macAlgorithm
//   14  2   reserved         0
//   16  16  terminalNonce
//   32  16  serverNonce
//   48  4   masterKeyVersion u32
//   52  12  reserved         0

import type { DomainName } from "./domain.js";

/** Kinds of command; they share the number space of journal entries with the MTIs of uses. */
export const COMMAND = {
  CARD_EVENT: 1,
  LIST_ENTRY: 2,
  TERMINAL: 3,
  ORGANISATION: 4,
  CATALOGUE: 5,
  SESSION: 6,
} as const;

export const CARD_EVENT_SIZE = 64;
/** A card event as words: three tokens, then three words of fields. */
export const CARD_EVENT_WORDS = CARD_EVENT_SIZE / 4;
export const CARD_EVENT_TOKEN_WORD = 0;
export const CARD_EVENT_HOLDER_WORD = 4;
export const CARD_EVENT_PREVIOUS_WORD = 8;
export const CARD_EVENT_REGION_WORD = 12;
/** Bits 0..7 event, 8..15 medium, 16..23 status. */
export const CARD_EVENT_KINDS_WORD = 13;
/** Bits 0..15 expiryDay. */
export const CARD_EVENT_EXPIRY_WORD = 14;
export const LIST_ENTRY_SIZE = 64;
export const TERMINAL_SIZE = 96;
export const SESSION_SIZE = 64;
export const TOKEN_SIZE = 16;
/** Most bytes of a JSON command (organisation, catalogue). */
export const DOCUMENT_SIZE_MAX = 2_000_000;

/** Size of one command of a fixed-size kind; 0 for the JSON kinds. */
export function commandSize(kind: number): number {
  switch (kind) {
    case COMMAND.CARD_EVENT:
      return CARD_EVENT_SIZE;
    case COMMAND.LIST_ENTRY:
      return LIST_ENTRY_SIZE;
    case COMMAND.TERMINAL:
      return TERMINAL_SIZE;
    case COMMAND.SESSION:
      return SESSION_SIZE;
    default:
      return 0;
  }
}

/** What becomes of a command, by number. Append only; 0 and 1 are success. */
export const COMMAND_OUTCOMES = [
  "DONE",
  "UNCHANGED",
  "COMMAND_INVALID",
  "CARD_UNKNOWN",
  "CARD_EXISTS",
  "TRANSITION_NOT_ALLOWED",
  "HOLDER_UNKNOWN",
  "HOLDER_WITHOUT_CARD",
  "PREVIOUS_CARD_UNKNOWN",
  "HOLDER_DIFFERS",
  "TABLE_FULL",
  "ENTRY_UNKNOWN",
  "ENTRY_EXISTS",
  "ORGANISATION_UNKNOWN",
  "TERMINAL_UNKNOWN",
  "MASTER_KEY_MISSING",
  "CATALOGUE_VERSION_EXISTS",
  "CATALOGUE_INVALID",
  "KEY_GENERATION_WRONG",
  "CONCENTRATOR_UNKNOWN",
] as const;
export type CommandOutcomeName = (typeof COMMAND_OUTCOMES)[number];
export const OUTCOME = Object.freeze(
  Object.fromEntries(COMMAND_OUTCOMES.map((name, number) => [name, number])),
) as Readonly<Record<CommandOutcomeName, number>>;

export interface Organisation {
  /** 1..4,294,967,295. */
  organisationId: number;
  name: string;
  /** Six digits, e.g. 460000 for the province, 460105 for a county. */
  regionCode: number;
  /** 0 for none. */
  parentId: number;
  domains: DomainName[];
  status: "open" | "closed";
}

/** One service item (服务事项) of a catalogue version. */
export interface CatalogueItem {
  /** 1..99,999,999. */
  itemCode: number;
  name: string;
  nameEn: string;
  /** What the item does, the same for items that replace each other (article 8). */
  function: string;
  /** Kind of use (article 2). */
  kind: "benefit" | "identity" | "inquiry" | "proof";
  domain: DomainName;
  organisationId: number;
  /** Where it is served: GB/T 2260 codes of 2, 4 or 6 digits. */
  regions: number[];
  media: ("chip" | "electronic")[];
  /** YYYYMMDD, first day. */
  startDate: number;
  /** YYYYMMDD, last day; 0 is open-ended. */
  endDate: number;
  /** Most fen for one use, 0..999,999,999,999. */
  amountMinorMax: number;
}

export interface CatalogueVersion {
  /** 1 and up; each higher than the one before. */
  version: number;
  /** YYYYMMDD, first day in force, 20200101 and later. */
  effectiveDate: number;
  items: CatalogueItem[];
}

export interface CardEventCommand {
  token: Uint8Array;
  holderToken: Uint8Array | null;
  previousToken: Uint8Array | null;
  regionCode: number;
  event: number;
  medium: number;
  status: number;
  expiryDay: number;
  organisationId: number;
}

/** A card event but for its tokens. */
export type CardEventFields = Omit<CardEventCommand, "token" | "holderToken" | "previousToken">;

export interface ListEntryCommand {
  subjectToken: Uint8Array | null;
  subjectId: number;
  subjectKind: number;
  action: number;
  scopeKind: number;
  cause: number;
  scopeValue: number;
  prefixDigits: number;
  entryId: number;
  fromTime: number;
  untilTime: number;
  organisationId: number;
}

export const LIST_ADD = 1;
export const LIST_REMOVE = 2;

export interface TerminalCommand {
  terminalId: number;
  organisationId: number;
  regionCode: number;
  domains: number;
  concentratorId: number;
  status: number;
  macAlgorithm: number;
  masterKeyVersion: number;
  checkValue: Uint8Array | null;
  wrappedKey: Uint8Array | null;
}

export const SESSION_SIGN_ON = 1;
export const SESSION_KEY_CHANGE = 2;
export const SESSION_SIGN_OFF = 3;

export interface SessionCommand {
  terminalId: number;
  keyGeneration: number;
  expiresAt: number;
  action: number;
  macAlgorithm: number;
  terminalNonce: Uint8Array;
  serverNonce: Uint8Array;
  masterKeyVersion: number;
}

/** Writes a card event into zeroed or reused `bytes` at `offset`; returns CARD_EVENT_SIZE. */
export function writeCardEvent(bytes: Uint8Array, offset: number, c: CardEventCommand): number {
  bytes.fill(0, offset, offset + CARD_EVENT_SIZE);
  bytes.set(c.token, offset);
  if (c.holderToken) bytes.set(c.holderToken, offset + 16);
  if (c.previousToken) bytes.set(c.previousToken, offset + 32);
  return writeCardEventFields(bytes, offset, c);
}

/**
 * The same for a card and its holder whose tokens stand back to back in `tokens`. Makes no view
 * of either: import writes them by the million.
 */
export function writeCardAndHolder(
  bytes: Uint8Array,
  offset: number,
  tokens: Uint8Array,
  tokenOffset: number,
  c: CardEventFields,
): number {
  for (let i = 0; i < 32; i++) bytes[offset + i] = tokens[tokenOffset + i]!;
  for (let i = 32; i < CARD_EVENT_SIZE; i++) bytes[offset + i] = 0;
  return writeCardEventFields(bytes, offset, c);
}

function writeCardEventFields(bytes: Uint8Array, offset: number, c: CardEventFields): number {
  writeU32(bytes, offset + 48, c.regionCode);
  bytes[offset + 52] = c.event;
  bytes[offset + 53] = c.medium;
  bytes[offset + 54] = c.status;
  bytes[offset + 56] = c.expiryDay;
  bytes[offset + 57] = c.expiryDay >>> 8;
  writeU32(bytes, offset + 60, c.organisationId);
  return CARD_EVENT_SIZE;
}

export function readCardEvent(bytes: Uint8Array, offset: number): CardEventCommand {
  const view = viewOf(bytes, offset, CARD_EVENT_SIZE);
  return {
    token: copied(bytes, offset, 16),
    holderToken: copied(bytes, offset + 16, 16),
    previousToken: copied(bytes, offset + 32, 16),
    regionCode: view.getUint32(48, true),
    event: view.getUint8(52),
    medium: view.getUint8(53),
    status: view.getUint8(54),
    expiryDay: view.getUint16(56, true),
    organisationId: view.getUint32(60, true),
  };
}

/** Writes a blacklist entry; returns LIST_ENTRY_SIZE. */
export function writeListEntry(bytes: Uint8Array, offset: number, c: ListEntryCommand): number {
  const view = clear(bytes, offset, LIST_ENTRY_SIZE);
  if (c.subjectToken) bytes.set(c.subjectToken, offset);
  view.setUint32(16, c.subjectId, true);
  view.setUint8(20, c.subjectKind);
  view.setUint8(21, c.action);
  view.setUint8(22, c.scopeKind);
  view.setUint8(23, c.cause);
  view.setUint32(24, c.scopeValue, true);
  view.setUint8(28, c.prefixDigits);
  view.setUint32(32, c.entryId >>> 0, true);
  view.setUint32(36, Math.floor(c.entryId / 2 ** 32), true);
  view.setUint32(40, c.fromTime, true);
  view.setUint32(44, c.untilTime, true);
  view.setUint32(48, c.organisationId, true);
  return LIST_ENTRY_SIZE;
}

export function readListEntry(bytes: Uint8Array, offset: number): ListEntryCommand {
  const view = viewOf(bytes, offset, LIST_ENTRY_SIZE);
  return {
    subjectToken: copied(bytes, offset, 16),
    subjectId: view.getUint32(16, true),
    subjectKind: view.getUint8(20),
    action: view.getUint8(21),
    scopeKind: view.getUint8(22),
    cause: view.getUint8(23),
    scopeValue: view.getUint32(24, true),
    prefixDigits: view.getUint8(28),
    entryId: view.getUint32(32, true) + view.getUint32(36, true) * 2 ** 32,
    fromTime: view.getUint32(40, true),
    untilTime: view.getUint32(44, true),
    organisationId: view.getUint32(48, true),
  };
}

/** Writes a terminal; returns TERMINAL_SIZE. */
export function writeTerminal(bytes: Uint8Array, offset: number, c: TerminalCommand): number {
  const view = clear(bytes, offset, TERMINAL_SIZE);
  view.setUint32(0, c.terminalId, true);
  view.setUint32(4, c.organisationId, true);
  view.setUint32(8, c.regionCode, true);
  view.setUint32(12, c.domains, true);
  view.setUint32(16, c.concentratorId, true);
  view.setUint8(20, c.status);
  view.setUint8(21, c.macAlgorithm);
  view.setUint8(22, c.wrappedKey?.length ?? 0);
  view.setUint32(24, c.masterKeyVersion, true);
  if (c.checkValue) bytes.set(c.checkValue, offset + 28);
  if (c.wrappedKey) bytes.set(c.wrappedKey, offset + 32);
  return TERMINAL_SIZE;
}

export function readTerminal(bytes: Uint8Array, offset: number): TerminalCommand {
  const view = viewOf(bytes, offset, TERMINAL_SIZE);
  const wrappedKeySize = Math.min(view.getUint8(22), 40);
  return {
    terminalId: view.getUint32(0, true),
    organisationId: view.getUint32(4, true),
    regionCode: view.getUint32(8, true),
    domains: view.getUint32(12, true),
    concentratorId: view.getUint32(16, true),
    status: view.getUint8(20),
    macAlgorithm: view.getUint8(21),
    masterKeyVersion: view.getUint32(24, true),
    checkValue: copied(bytes, offset + 28, 3),
    wrappedKey: wrappedKeySize === 0 ? null : copied(bytes, offset + 32, wrappedKeySize),
  };
}

/** Writes a session command; returns SESSION_SIZE. */
export function writeSession(bytes: Uint8Array, offset: number, c: SessionCommand): number {
  const view = clear(bytes, offset, SESSION_SIZE);
  view.setUint32(0, c.terminalId, true);
  view.setUint32(4, c.keyGeneration, true);
  view.setUint32(8, c.expiresAt, true);
  view.setUint8(12, c.action);
  view.setUint8(13, c.macAlgorithm);
  bytes.set(c.terminalNonce, offset + 16);
  bytes.set(c.serverNonce, offset + 32);
  view.setUint32(48, c.masterKeyVersion, true);
  return SESSION_SIZE;
}

export function readSession(bytes: Uint8Array, offset: number): SessionCommand {
  const view = viewOf(bytes, offset, SESSION_SIZE);
  return {
    terminalId: view.getUint32(0, true),
    keyGeneration: view.getUint32(4, true),
    expiresAt: view.getUint32(8, true),
    action: view.getUint8(12),
    macAlgorithm: view.getUint8(13),
    terminalNonce: copied(bytes, offset + 16, 16),
    serverNonce: copied(bytes, offset + 32, 16),
    masterKeyVersion: view.getUint32(48, true),
  };
}

/** A copy, also of a Buffer, whose own `slice` is a view: a reader's result outlives its bytes. */
function copied(bytes: Uint8Array, offset: number, size: number): Uint8Array {
  return new Uint8Array(bytes.subarray(offset, offset + size));
}

function writeU32(bytes: Uint8Array, offset: number, value: number): void {
  bytes[offset] = value;
  bytes[offset + 1] = value >>> 8;
  bytes[offset + 2] = value >>> 16;
  bytes[offset + 3] = value >>> 24;
}

function viewOf(bytes: Uint8Array, offset: number, size: number): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset + offset, size);
}

function clear(bytes: Uint8Array, offset: number, size: number): DataView {
  bytes.fill(0, offset, offset + size);
  return viewOf(bytes, offset, size);
}
