// Reading: first `frameProblem`, which believes nothing, then the MAC, then the readers.
// The readers are for clients, tools and tests; the server reads records in place at their offsets.
// The invariant: `frameProblem` reads within [offset, offset + size) and throws for no bytes.

import {
  FRAME_BODY_SIZE_OFFSET,
  FRAME_COUNT_OFFSET,
  FRAME_FLAG_UNAUTHENTICATED,
  FRAME_FLAGS_OFFSET,
  FRAME_HEADER_SIZE,
  FRAME_KEY_GENERATION_OFFSET,
  FRAME_MAC_SIZE,
  FRAME_MAGIC,
  FRAME_MAGIC_OFFSET,
  FRAME_MTI_OFFSET,
  FRAME_RECORDS_MAX,
  FRAME_SENDER_ID_OFFSET,
  FRAME_SEQUENCE_OFFSET,
  FRAME_SIZE_MIN,
  FRAME_STATUS_OFFSET,
  FRAME_TIME_OFFSET,
  FRAME_VERSION,
  FRAME_VERSION_OFFSET,
  MANAGEMENT_BODY_SIZE_MAX,
  TERMINAL_ID_MAX,
} from "./frame.js";
import { FRAME_PROBLEM } from "./frame-problem.js";
import {
  MANAGEMENT_EXPIRES_AT_OFFSET,
  MANAGEMENT_FUNCTION_OFFSET,
  MANAGEMENT_KEY_GENERATION_OFFSET,
  MANAGEMENT_MAC_ALGORITHM_OFFSET,
  MANAGEMENT_MASTER_KEY_VERSION_OFFSET,
  MANAGEMENT_RECORD_SIZE,
  MANAGEMENT_SERVER_NONCE_OFFSET,
  MANAGEMENT_STEP_OFFSET,
  MANAGEMENT_TERMINAL_NONCE_OFFSET,
  NONCE_SIZE,
} from "./management.js";
import {
  isUseMti,
  MTI_MANAGEMENT_REQUEST,
  MTI_MANAGEMENT_RESPONSE,
  MTI_REVERSAL_ADVICE_RESPONSE,
  MTI_REVERSAL_RESPONSE,
  MTI_USE_ADVICE_RESPONSE,
  MTI_USE_RESPONSE,
} from "./mti.js";
import {
  OUTCOME_AUTHORIZATION_ID_OFFSET,
  OUTCOME_BUSINESS_DATE_OFFSET,
  OUTCOME_DIFFERING_FIELD_OFFSET,
  OUTCOME_FLAGS_OFFSET,
  OUTCOME_REASON_OFFSET,
  OUTCOME_RECORD_SIZE,
  OUTCOME_RESPONSE_CODE_OFFSET,
  OUTCOME_RRN_OFFSET,
  OUTCOME_STAN_OFFSET,
  OUTCOME_TERMINAL_ID_OFFSET,
} from "./outcome-record.js";
import { readPanBlock } from "./pan.js";
import {
  USE_AMOUNT_OFFSET,
  USE_BUSINESS_DATE_OFFSET,
  USE_ITEM_CODE_OFFSET,
  USE_LOCAL_TIME_OFFSET,
  USE_MEDIUM_OFFSET,
  USE_ORIGINAL_DATE_OFFSET,
  USE_ORIGINAL_STAN_OFFSET,
  USE_PAN_OFFSET,
  USE_RECORD_SIZE,
  USE_STAN_OFFSET,
  USE_TERMINAL_ID_OFFSET,
} from "./use-record.js";

/** Size in bytes of the largest frame: 4,096 use records, 262,192. */
export const FRAME_SIZE_MAX =
  FRAME_HEADER_SIZE + FRAME_RECORDS_MAX * USE_RECORD_SIZE + FRAME_MAC_SIZE;

/** A frame's header; magic and version go without saying. */
export interface FrameHeader {
  flags: number;
  mti: number;
  /** Records in the body. */
  count: number;
  senderId: number;
  keyGeneration: number;
  sequence: number;
  /** Bytes between header and MAC. */
  bodySize: number;
  /** Sender's clock, milliseconds since 1970 UTC, below 2^48. */
  timeMs: number;
  /** Response code of the frame, "00"; "" in requests. */
  status: string;
}

/** A use record (protocol/use-record.ts). */
export interface UseRecord {
  /** Up to 19 digits. */
  pan: string;
  terminalId: number;
  stan: number;
  /** YYYYMMDD. */
  businessDate: number;
  itemCode: number;
  /** Fen, 0..999,999,999,999. */
  amountMinor: number;
  /** Seconds since 1970 UTC. */
  localTime: number;
  medium: number;
  originalStan: number;
  originalBusinessDate: number;
}

/** An outcome record (protocol/outcome-record.ts). */
export interface Outcome {
  terminalId: number;
  stan: number;
  businessDate: number;
  /** Two characters, "00" is approved. */
  responseCode: string;
  /** Number in protocol/reason.ts. */
  reason: number;
  /** Reference number, up to 2^53 - 1. */
  rrn: number;
  authorizationId: number;
  flags: number;
  /** Index into DIFFERING_FIELDS; 0 but for 94. */
  differingField: number;
}

/** The fixed record of 0800 and 0810 (protocol/management.ts). */
export interface Management {
  functionCode: number;
  step: number;
  macAlgorithm: number;
  masterKeyVersion: number;
  keyGeneration: number;
  /** Seconds since 1970 UTC. */
  expiresAt: number;
  /** 16 bytes. */
  terminalNonce: Uint8Array;
  /** 16 bytes. */
  serverNonce: Uint8Array;
}

/**
 * FRAME_PROBLEM.NONE (0) when the frame of `size` bytes at `offset` is structurally sound: a
 * pass here says that the header may be read and the MAC be checked, nothing about truth.
 */
export function frameProblem(view: DataView, offset: number, size: number): number {
  if (size < FRAME_SIZE_MIN) return FRAME_PROBLEM.TRUNCATED;
  if (size > FRAME_SIZE_MAX) return FRAME_PROBLEM.TOO_LARGE;
  if (offset < 0 || offset + size > view.byteLength) return FRAME_PROBLEM.TRUNCATED;
  const magic = view.getUint16(offset + FRAME_MAGIC_OFFSET, true);
  if (magic !== FRAME_MAGIC) return FRAME_PROBLEM.MAGIC_WRONG;
  const version = view.getUint8(offset + FRAME_VERSION_OFFSET);
  if (version !== FRAME_VERSION) return FRAME_PROBLEM.VERSION_UNKNOWN;
  const senderId = view.getUint32(offset + FRAME_SENDER_ID_OFFSET, true);
  if (senderId === 0 || senderId > TERMINAL_ID_MAX) return FRAME_PROBLEM.SENDER_ID_INVALID;
  const bodySize = view.getUint32(offset + FRAME_BODY_SIZE_OFFSET, true);
  if (size !== FRAME_SIZE_MIN + bodySize) return FRAME_PROBLEM.SIZE_DIFFERS;
  const mti = view.getUint16(offset + FRAME_MTI_OFFSET, true);
  const flags = view.getUint8(offset + FRAME_FLAGS_OFFSET);
  const count = view.getUint16(offset + FRAME_COUNT_OFFSET, true);
  const status = view.getUint16(offset + FRAME_STATUS_OFFSET, true);
  return isRequestMti(mti)
    ? requestProblem(mti, flags, count, bodySize, status)
    : responseProblem(mti, flags, count, bodySize, status);
}

/** As `frameProblem`; NOT_A_REQUEST, too, for a sound frame that is a response. */
export function requestFrameProblem(view: DataView, offset: number, size: number): number {
  const problem = frameProblem(view, offset, size);
  if (problem !== FRAME_PROBLEM.NONE) return problem;
  const isRequest = isRequestMti(view.getUint16(offset + FRAME_MTI_OFFSET, true));
  return isRequest ? FRAME_PROBLEM.NONE : FRAME_PROBLEM.NOT_A_REQUEST;
}

function requestProblem(
  mti: number,
  flags: number,
  count: number,
  bodySize: number,
  status: number,
): number {
  if (flags !== 0) return FRAME_PROBLEM.FLAGS_INVALID;
  if (status !== 0) return FRAME_PROBLEM.STATUS_INVALID;
  if (mti === MTI_MANAGEMENT_REQUEST) return managementProblem(count, bodySize);
  if (count === 0 || count > FRAME_RECORDS_MAX) return FRAME_PROBLEM.COUNT_INVALID;
  return bodySize === count * USE_RECORD_SIZE
    ? FRAME_PROBLEM.NONE
    : FRAME_PROBLEM.BODY_SIZE_INVALID;
}

function responseProblem(
  mti: number,
  flags: number,
  count: number,
  bodySize: number,
  status: number,
): number {
  if (!isResponseMti(mti)) return FRAME_PROBLEM.MTI_UNKNOWN;
  if ((flags & ~FRAME_FLAG_UNAUTHENTICATED) !== 0) return FRAME_PROBLEM.FLAGS_INVALID;
  if (flags !== 0 && bodySize !== 0) return FRAME_PROBLEM.FLAGS_INVALID;
  if (!statusValid(status)) return FRAME_PROBLEM.STATUS_INVALID;
  if (count === 0) return bodySize === 0 ? FRAME_PROBLEM.NONE : FRAME_PROBLEM.BODY_SIZE_INVALID;
  if (mti === MTI_MANAGEMENT_RESPONSE) return managementProblem(count, bodySize);
  if (count > FRAME_RECORDS_MAX) return FRAME_PROBLEM.COUNT_INVALID;
  return bodySize === count * OUTCOME_RECORD_SIZE
    ? FRAME_PROBLEM.NONE
    : FRAME_PROBLEM.BODY_SIZE_INVALID;
}

function managementProblem(count: number, bodySize: number): number {
  if (count !== 1) return FRAME_PROBLEM.COUNT_INVALID;
  const inRange = bodySize >= MANAGEMENT_RECORD_SIZE && bodySize <= MANAGEMENT_BODY_SIZE_MAX;
  return inRange ? FRAME_PROBLEM.NONE : FRAME_PROBLEM.BODY_SIZE_INVALID;
}

/** Whether `mti` is one that a terminal sends. */
export function isRequestMti(mti: number): boolean {
  return isUseMti(mti) || mti === MTI_MANAGEMENT_REQUEST;
}

/** Whether `mti` is one that Tongka sends. */
export function isResponseMti(mti: number): boolean {
  return (
    mti === MTI_USE_RESPONSE ||
    mti === MTI_USE_ADVICE_RESPONSE ||
    mti === MTI_REVERSAL_RESPONSE ||
    mti === MTI_REVERSAL_ADVICE_RESPONSE ||
    mti === MTI_MANAGEMENT_RESPONSE
  );
}

function statusValid(status: number): boolean {
  return statusCharacterValid(status & 0xff) && statusCharacterValid(status >> 8);
}

function statusCharacterValid(code: number): boolean {
  return (code >= 0x30 && code <= 0x39) || (code >= 0x41 && code <= 0x5a);
}

/** A little-endian status word as text: 0x3030 is "00", 0 is "". */
export function statusText(word: number): string {
  return word === 0 ? "" : String.fromCharCode(word & 0xff, word >> 8);
}

/** Reads the header of a frame that `frameProblem` passed. */
export function readFrameHeader(view: DataView, offset: number): FrameHeader {
  return {
    flags: view.getUint8(offset + FRAME_FLAGS_OFFSET),
    mti: view.getUint16(offset + FRAME_MTI_OFFSET, true),
    count: view.getUint16(offset + FRAME_COUNT_OFFSET, true),
    senderId: view.getUint32(offset + FRAME_SENDER_ID_OFFSET, true),
    keyGeneration: view.getUint32(offset + FRAME_KEY_GENERATION_OFFSET, true),
    sequence: view.getUint32(offset + FRAME_SEQUENCE_OFFSET, true),
    bodySize: view.getUint32(offset + FRAME_BODY_SIZE_OFFSET, true),
    timeMs:
      view.getUint32(offset + FRAME_TIME_OFFSET, true) +
      view.getUint16(offset + FRAME_TIME_OFFSET + 4, true) * 2 ** 32,
    status: statusText(view.getUint16(offset + FRAME_STATUS_OFFSET, true)),
  };
}

/** Reads a use record; a card number that is not one reads with "?" where no digit is. */
export function readUseRecord(view: DataView, offset: number): UseRecord {
  return {
    pan: readPanBlock(view, offset + USE_PAN_OFFSET),
    terminalId: view.getUint32(offset + USE_TERMINAL_ID_OFFSET, true),
    stan: view.getUint32(offset + USE_STAN_OFFSET, true),
    businessDate: view.getUint32(offset + USE_BUSINESS_DATE_OFFSET, true),
    itemCode: view.getUint32(offset + USE_ITEM_CODE_OFFSET, true),
    amountMinor:
      view.getUint32(offset + USE_AMOUNT_OFFSET, true) +
      view.getInt32(offset + USE_AMOUNT_OFFSET + 4, true) * 2 ** 32,
    localTime: view.getUint32(offset + USE_LOCAL_TIME_OFFSET, true),
    medium: view.getUint8(offset + USE_MEDIUM_OFFSET),
    originalStan: view.getUint32(offset + USE_ORIGINAL_STAN_OFFSET, true),
    originalBusinessDate: view.getUint32(offset + USE_ORIGINAL_DATE_OFFSET, true),
  };
}

/** Reads an outcome record. */
export function readOutcome(view: DataView, offset: number): Outcome {
  return {
    terminalId: view.getUint32(offset + OUTCOME_TERMINAL_ID_OFFSET, true),
    stan: view.getUint32(offset + OUTCOME_STAN_OFFSET, true),
    businessDate: view.getUint32(offset + OUTCOME_BUSINESS_DATE_OFFSET, true),
    responseCode: statusText(view.getUint16(offset + OUTCOME_RESPONSE_CODE_OFFSET, true)),
    reason: view.getUint16(offset + OUTCOME_REASON_OFFSET, true),
    rrn:
      view.getUint32(offset + OUTCOME_RRN_OFFSET, true) +
      view.getUint32(offset + OUTCOME_RRN_OFFSET + 4, true) * 2 ** 32,
    authorizationId: view.getUint32(offset + OUTCOME_AUTHORIZATION_ID_OFFSET, true),
    flags: view.getUint8(offset + OUTCOME_FLAGS_OFFSET),
    differingField: view.getUint8(offset + OUTCOME_DIFFERING_FIELD_OFFSET),
  };
}

/** Reads the fixed record of 0800 and 0810; the nonces are copies. */
export function readManagement(view: DataView, offset: number): Management {
  return {
    functionCode: view.getUint16(offset + MANAGEMENT_FUNCTION_OFFSET, true),
    step: view.getUint8(offset + MANAGEMENT_STEP_OFFSET),
    macAlgorithm: view.getUint8(offset + MANAGEMENT_MAC_ALGORITHM_OFFSET),
    masterKeyVersion: view.getUint32(offset + MANAGEMENT_MASTER_KEY_VERSION_OFFSET, true),
    keyGeneration: view.getUint32(offset + MANAGEMENT_KEY_GENERATION_OFFSET, true),
    expiresAt: view.getUint32(offset + MANAGEMENT_EXPIRES_AT_OFFSET, true),
    terminalNonce: copyOf(view, offset + MANAGEMENT_TERMINAL_NONCE_OFFSET, NONCE_SIZE),
    serverNonce: copyOf(view, offset + MANAGEMENT_SERVER_NONCE_OFFSET, NONCE_SIZE),
  };
}

function copyOf(view: DataView, offset: number, size: number): Uint8Array {
  return new Uint8Array(view.buffer, view.byteOffset + offset, size).slice();
}
