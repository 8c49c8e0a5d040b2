// Writing: each writer fills the caller's buffer from `offset`, touches nothing outside what it
// writes, and returns the size. Numbers that a field cannot hold throw, for they would be cut.

import { assert } from "./assert.js";
import type { FrameHeader, Management, Outcome, UseRecord } from "./decode.js";
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
  FRAME_SENDER_ID_OFFSET,
  FRAME_SEQUENCE_OFFSET,
  FRAME_SIZE_MIN,
  FRAME_STATUS_OFFSET,
  FRAME_TIME_OFFSET,
  FRAME_VERSION,
  FRAME_VERSION_OFFSET,
} from "./frame.js";
import type { Mac } from "./mac.js";
import {
  MANAGEMENT_EXPIRES_AT_OFFSET,
  MANAGEMENT_FUNCTION_OFFSET,
  MANAGEMENT_KEY_GENERATION_OFFSET,
  MANAGEMENT_MAC_ALGORITHM_OFFSET,
  MANAGEMENT_MASTER_KEY_VERSION_OFFSET,
  MANAGEMENT_RECORD_SIZE,
  MANAGEMENT_RESERVED_OFFSET,
  MANAGEMENT_SERVER_NONCE_OFFSET,
  MANAGEMENT_STEP_OFFSET,
  MANAGEMENT_TERMINAL_NONCE_OFFSET,
  NONCE_SIZE,
} from "./management.js";
import { responseMti } from "./mti.js";
import {
  OUTCOME_AUTHORIZATION_ID_OFFSET,
  OUTCOME_BUSINESS_DATE_OFFSET,
  OUTCOME_DIFFERING_FIELD_OFFSET,
  OUTCOME_FLAGS_OFFSET,
  OUTCOME_REASON_OFFSET,
  OUTCOME_RECORD_SIZE,
  OUTCOME_RESERVED_OFFSET,
  OUTCOME_RESPONSE_CODE_OFFSET,
  OUTCOME_RRN_OFFSET,
  OUTCOME_STAN_OFFSET,
  OUTCOME_TERMINAL_ID_OFFSET,
} from "./outcome-record.js";
import { PAN_KIND_CARD, writePanBlock } from "./pan.js";
import {
  USE_AMOUNT_OFFSET,
  USE_BUSINESS_DATE_OFFSET,
  USE_FLAGS_OFFSET,
  USE_ITEM_CODE_OFFSET,
  USE_LOCAL_TIME_OFFSET,
  USE_MEDIUM_OFFSET,
  USE_ORIGINAL_DATE_OFFSET,
  USE_ORIGINAL_STAN_OFFSET,
  USE_PAN_OFFSET,
  USE_RECORD_SIZE,
  USE_RESERVED_A_OFFSET,
  USE_RESERVED_B_OFFSET,
  USE_STAN_OFFSET,
  USE_TERMINAL_ID_OFFSET,
} from "./use-record.js";

/** Two characters as the little-endian word on the wire: "00" is 0x3030, "" is 0. */
export function statusWord(status: string): number {
  if (status === "") return 0;
  assert(status.length === 2, "a response code has two characters");
  return status.charCodeAt(0) | (status.charCodeAt(1) << 8);
}

/** Writes a frame header; returns FRAME_HEADER_SIZE. */
export function writeFrameHeader(view: DataView, offset: number, header: FrameHeader): number {
  assert(header.timeMs >= 0 && header.timeMs < 2 ** 48, "a frame's time is 48 bits");
  view.setUint16(offset + FRAME_MAGIC_OFFSET, FRAME_MAGIC, true);
  view.setUint8(offset + FRAME_VERSION_OFFSET, FRAME_VERSION);
  view.setUint8(offset + FRAME_FLAGS_OFFSET, header.flags);
  view.setUint16(offset + FRAME_MTI_OFFSET, header.mti, true);
  view.setUint16(offset + FRAME_COUNT_OFFSET, header.count, true);
  view.setUint32(offset + FRAME_SENDER_ID_OFFSET, u32(header.senderId), true);
  view.setUint32(offset + FRAME_KEY_GENERATION_OFFSET, u32(header.keyGeneration), true);
  view.setUint32(offset + FRAME_SEQUENCE_OFFSET, u32(header.sequence), true);
  view.setUint32(offset + FRAME_BODY_SIZE_OFFSET, u32(header.bodySize), true);
  view.setUint32(offset + FRAME_TIME_OFFSET, header.timeMs >>> 0, true);
  view.setUint16(offset + FRAME_TIME_OFFSET + 4, Math.floor(header.timeMs / 2 ** 32), true);
  view.setUint16(offset + FRAME_STATUS_OFFSET, statusWord(header.status), true);
  return FRAME_HEADER_SIZE;
}

/**
 * Writes a use record; returns USE_RECORD_SIZE. Checks that fields fit, not that they are in
 * range: a wrong number must be able to travel, to be declined at the other end.
 */
export function writeUseRecord(bytes: Uint8Array, offset: number, use: UseRecord): number {
  if (!Number.isSafeInteger(use.amountMinor)) throw new RangeError("an amount is whole fen");
  writePanBlock(bytes, offset + USE_PAN_OFFSET, use.pan, PAN_KIND_CARD);
  put32(bytes, offset + USE_TERMINAL_ID_OFFSET, u32(use.terminalId));
  put32(bytes, offset + USE_STAN_OFFSET, u32(use.stan));
  put32(bytes, offset + USE_BUSINESS_DATE_OFFSET, u32(use.businessDate));
  put32(bytes, offset + USE_ITEM_CODE_OFFSET, u32(use.itemCode));
  put32(bytes, offset + USE_AMOUNT_OFFSET, use.amountMinor >>> 0);
  put32(bytes, offset + USE_AMOUNT_OFFSET + 4, Math.floor(use.amountMinor / 2 ** 32));
  put32(bytes, offset + USE_LOCAL_TIME_OFFSET, u32(use.localTime));
  bytes[offset + USE_MEDIUM_OFFSET] = use.medium;
  bytes[offset + USE_FLAGS_OFFSET] = 0;
  put16(bytes, offset + USE_RESERVED_A_OFFSET, 0);
  put32(bytes, offset + USE_ORIGINAL_STAN_OFFSET, u32(use.originalStan));
  put32(bytes, offset + USE_ORIGINAL_DATE_OFFSET, u32(use.originalBusinessDate));
  put32(bytes, offset + USE_RESERVED_B_OFFSET, 0);
  put32(bytes, offset + USE_RESERVED_B_OFFSET + 4, 0);
  return USE_RECORD_SIZE;
}

/** Writes an outcome record; returns OUTCOME_RECORD_SIZE. */
export function writeOutcome(bytes: Uint8Array, offset: number, outcome: Outcome): number {
  assert(Number.isSafeInteger(outcome.rrn) && outcome.rrn >= 0, "an rrn is a journal position");
  put32(bytes, offset + OUTCOME_TERMINAL_ID_OFFSET, u32(outcome.terminalId));
  put32(bytes, offset + OUTCOME_STAN_OFFSET, u32(outcome.stan));
  put32(bytes, offset + OUTCOME_BUSINESS_DATE_OFFSET, u32(outcome.businessDate));
  put16(bytes, offset + OUTCOME_RESPONSE_CODE_OFFSET, statusWord(outcome.responseCode));
  put16(bytes, offset + OUTCOME_REASON_OFFSET, outcome.reason);
  put32(bytes, offset + OUTCOME_RRN_OFFSET, outcome.rrn >>> 0);
  put32(bytes, offset + OUTCOME_RRN_OFFSET + 4, Math.floor(outcome.rrn / 2 ** 32));
  put32(bytes, offset + OUTCOME_AUTHORIZATION_ID_OFFSET, u32(outcome.authorizationId));
  bytes[offset + OUTCOME_FLAGS_OFFSET] = outcome.flags;
  bytes[offset + OUTCOME_DIFFERING_FIELD_OFFSET] = outcome.differingField;
  put16(bytes, offset + OUTCOME_RESERVED_OFFSET, 0);
  return OUTCOME_RECORD_SIZE;
}

/** Writes the fixed record of 0800 and 0810; returns MANAGEMENT_RECORD_SIZE. */
export function writeManagement(bytes: Uint8Array, offset: number, record: Management): number {
  assert(record.terminalNonce.length === NONCE_SIZE, "a terminal nonce has 16 bytes");
  assert(record.serverNonce.length === NONCE_SIZE, "a server nonce has 16 bytes");
  put16(bytes, offset + MANAGEMENT_FUNCTION_OFFSET, record.functionCode);
  bytes[offset + MANAGEMENT_STEP_OFFSET] = record.step;
  bytes[offset + MANAGEMENT_MAC_ALGORITHM_OFFSET] = record.macAlgorithm;
  put32(bytes, offset + MANAGEMENT_MASTER_KEY_VERSION_OFFSET, u32(record.masterKeyVersion));
  put32(bytes, offset + MANAGEMENT_KEY_GENERATION_OFFSET, u32(record.keyGeneration));
  put32(bytes, offset + MANAGEMENT_EXPIRES_AT_OFFSET, u32(record.expiresAt));
  bytes.set(record.terminalNonce, offset + MANAGEMENT_TERMINAL_NONCE_OFFSET);
  bytes.set(record.serverNonce, offset + MANAGEMENT_SERVER_NONCE_OFFSET);
  bytes.fill(0, offset + MANAGEMENT_RESERVED_OFFSET, offset + MANAGEMENT_RECORD_SIZE);
  return MANAGEMENT_RECORD_SIZE;
}

/**
 * Closes a frame whose header and body are the `size` bytes at `offset`: writes their MAC behind
 * them and returns the frame's size. Without a key (`null`) the MAC is zero, which only a
 * response flagged unauthenticated may have.
 */
export function sealFrame(
  mac: Mac | null,
  bytes: Uint8Array,
  offset: number,
  size: number,
): number {
  const macOffset = offset + size;
  assert(macOffset + FRAME_MAC_SIZE <= bytes.length, "a frame has room for its MAC");
  if (mac === null) bytes.fill(0, macOffset, macOffset + FRAME_MAC_SIZE);
  else mac.sign(bytes, offset, macOffset, bytes, macOffset);
  return size + FRAME_MAC_SIZE;
}

/** Whether the MAC of the sound frame of `size` bytes at `offset` holds. Constant time. */
export function frameVerified(mac: Mac, bytes: Uint8Array, offset: number, size: number): boolean {
  const macOffset = offset + size - FRAME_MAC_SIZE;
  return mac.verify(bytes, offset, macOffset, macOffset);
}

/**
 * Writes the frame that refuses the frame with header `request` as a whole: its response MTI,
 * no body, `status`. Without a key (`null`) it is flagged unauthenticated. Returns its size, 48.
 */
export function writeRefusal(
  bytes: Uint8Array,
  offset: number,
  request: FrameHeader,
  status: string,
  timeMs: number,
  mac: Mac | null,
): number {
  const view = new DataView(bytes.buffer, bytes.byteOffset + offset, FRAME_SIZE_MIN);
  writeFrameHeader(view, 0, {
    flags: mac === null ? FRAME_FLAG_UNAUTHENTICATED : 0,
    mti: responseMti(request.mti),
    count: 0,
    senderId: request.senderId,
    keyGeneration: request.keyGeneration,
    sequence: request.sequence,
    bodySize: 0,
    timeMs,
    status,
  });
  return sealFrame(mac, bytes, offset, FRAME_HEADER_SIZE);
}

function u32(value: number): number {
  if (value >>> 0 !== value) throw new RangeError("a number does not fit its 32-bit field");
  return value;
}

function put16(bytes: Uint8Array, offset: number, value: number): void {
  bytes[offset] = value;
  bytes[offset + 1] = value >> 8;
}

function put32(bytes: Uint8Array, offset: number, value: number): void {
  bytes[offset] = value;
  bytes[offset + 1] = value >> 8;
  bytes[offset + 2] = value >> 16;
  bytes[offset + 3] = value >> 24;
}
