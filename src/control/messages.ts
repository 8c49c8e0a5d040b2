// What the control worker asks the main thread, and what it is told: one request, one response,
// over a MessagePort. Tokens travel as bytes; no card number, ID number or key in clear ever does.
//
// Every request has an `op`; QUERY_OPS only read. A response is {ok: true, result} or {ok: false,
// cause}; `cause` is a constant sentence that can be shown to an administrator.

import type { CatalogueVersion, Organisation } from "../../engine/commands.js";
import type { CommandResult } from "../command-sink.js";

/** A card as the engine holds it. Days are days since 1970-01-01, times seconds since 1970 UTC. */
export interface CardView {
  /** CARD_STATUS */
  status: number;
  /** 1 chip, 2 electronic */
  medium: number;
  regionCode: number;
  expiryDay: number;
  /** Whether an entry of the blacklist, of any scope and dates, names the card or its holder. */
  listed: boolean;
  /** Approved uses, reversed ones taken off. */
  useCount: number;
  amountMinorTotal: number;
  /** 0 when never used. */
  lastUseTime: number;
  lastUseTerminalId: number;
}

/** A blacklist entry; numbers as in engine/domain.ts. `subjectToken` is null for parties. */
export interface ListEntryView {
  entryId: number;
  subjectKind: number;
  subjectId: number;
  subjectToken: Uint8Array | null;
  prefixDigits: number;
  scopeKind: number;
  scopeValue: number;
  cause: number;
  fromTime: number;
  /** 0 is open-ended. */
  untilTime: number;
  organisationId: number;
  /** Journal position at which it was added. */
  position: number;
}

/** A terminal; no key material but the check value. */
export interface TerminalView {
  terminalId: number;
  organisationId: number;
  regionCode: number;
  /** Bit mask of DOMAINS. */
  domains: number;
  concentratorId: number;
  /** PARTY_STATUS */
  status: number;
  macAlgorithm: number;
  masterKeyVersion: number;
  /** Three bytes as hex; "" without a master key. */
  checkValue: string;
  signedOn: boolean;
  keyGeneration: number;
  /** End of the session, seconds since 1970 UTC; 0 without one. */
  expiresAt: number;
}

/** A past decision with all that it rested on (article 16: evidence). */
export interface DecisionView {
  /** Reference number: the position in the journal. */
  rrn: number;
  blockPosition: number;
  /** SHA-256 of the block, hex. */
  blockHash: string;
  timeMs: number;
  mti: number;
  senderId: number;
  keyGeneration: number;
  sequence: number;
  asked: {
    cardToken: Uint8Array;
    terminalId: number;
    stan: number;
    businessDate: number;
    itemCode: number;
    amountMinor: number;
    localTime: number;
    medium: number;
    /** 0 for what is not a reversal. */
    originalStan: number;
    originalBusinessDate: number;
  };
  answered: {
    /** Two characters. */
    responseCode: string;
    /** protocol/reason.ts */
    reason: number;
    authorizationId: number;
    flags: number;
  };
  rule: {
    catalogueVersion: number;
    /** Journal position of the last blacklist change before the decision. */
    blacklistPosition: number;
    /** The entry that declined it, or null. */
    listEntryId: number | null;
  };
}

export interface CatalogueSummary {
  version: number;
  effectiveDate: number;
  itemCount: number;
}

export interface CatalogueView {
  /** Version in force on the business date; 0 for none. */
  inForce: number;
  /** The version asked for, or the one in force; null when there is none. */
  document: CatalogueVersion | null;
  versions: CatalogueSummary[];
}

export interface StatusView {
  position: number;
  committedPosition: number;
  checkpointPosition: number;
  cards: number;
  holders: number;
  terminals: number;
  organisations: number;
  sessions: number;
  blacklist: number;
  /** YYYYMMDD */
  businessDate: number;
  /** In force; 0 for none. */
  catalogueVersion: number;
  uptimeSeconds: number;
  ready: boolean;
  draining: boolean;
}

/** Each op with its request's fields and its result. */
export interface ControlOps {
  execute: {
    request: { kind: number; count: number; bytes: Uint8Array };
    result: CommandResult;
  };
  card: { request: { token: Uint8Array }; result: CardView | null };
  /** Entries in order of entryId, `after` excluded; filters left out match everything. */
  blacklist: {
    request: {
      subjectKind?: number;
      subjectToken?: Uint8Array;
      subjectId?: number;
      /** A number range has an entry for each of its prefixes under one entryId. */
      entryId?: number;
      after: number;
      count: number;
    };
    result: ListEntryView[];
  };
  terminal: { request: { terminalId: number }; result: TerminalView | null };
  /** Terminals in order of terminalId, `after` excluded. */
  terminals: { request: { after: number; count: number }; result: TerminalView[] };
  organisation: { request: { organisationId: number }; result: Organisation | null };
  organisations: { request: { after: number; count: number }; result: Organisation[] };
  catalogue: { request: { version?: number }; result: CatalogueView };
  decision: {
    request: { terminalId: number; businessDate: number; stan: number } | { rrn: number };
    result: DecisionView | null;
  };
  status: { request: Record<never, never>; result: StatusView };
  /** Starts a checkpoint and answers when it is on disk. */
  checkpoint: { request: Record<never, never>; result: { checkpointPosition: number } };
}

export type ControlOp = keyof ControlOps;
export type RequestOf<Op extends ControlOp> = { op: Op } & ControlOps[Op]["request"];
export type ResultOf<Op extends ControlOp> = ControlOps[Op]["result"];

/** Any request, told apart by `op`. */
export type ControlRequest = { [Op in ControlOp]: RequestOf<Op> }[ControlOp];
export type ControlResult = ResultOf<ControlOp>;

/** What the main thread answers; never throws for a request that is merely refused. */
export type ControlResponse = { ok: true; result: ControlResult } | { ok: false; cause: string };

/** The main thread's side: does what is asked and answers with the result of that op. */
export type ControlHandler = (request: ControlRequest) => Promise<ControlResponse>;

/** What travels on the port. */
export type ControlQuestion = ControlRequest & { id: number };
export type ControlAnswer = (ControlResponse | { ok: false; cause: string; fault: true }) & {
  id: number;
};

/** Most rows of one page of a list. */
export const PAGE_COUNT_MAX = 1000;
/** Most requests the worker keeps waiting for the main thread. */
export const QUESTIONS_MAX = 1024;
